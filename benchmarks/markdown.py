"""Tables as the papers hold them."""

import statistics
from collections.abc import Sequence


def row(*cells: object) -> str:
    """A row of Markdown."""
    return f"| {' | '.join(map(str, cells))} |"


def mean_and_spread(values: Sequence[float], digits: int = 4) -> str:
    """The mean, and the standard deviation where there are several."""
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{spread}"
