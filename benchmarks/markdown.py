"""Tables as the papers hold them."""


def row(*cells: object) -> str:
    """A row of Markdown."""
    return f"| {' | '.join(map(str, cells))} |"
