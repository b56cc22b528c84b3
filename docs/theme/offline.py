"""Whether a built site asks other machines for anything: scripts, styles, pictures, fonts."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

# what a browser fetches by itself; a link that a reader follows is none of it
_FETCHED: Final = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}
_ELSEWHERE: Final = re.compile(r"^\s*([a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_IN_STYLE: Final = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)


class _Fetched(HTMLParser):
    """Collects what a page fetches from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        address = values.get(_FETCHED.get(tag, ""))
        if address and _ELSEWHERE.match(address):
            self.found.append(f"<{tag}> {address}")
        if "mermaid" in (values.get("class") or "").split():
            self.found.append(f"<{tag} class='mermaid'>, for which the theme fetches a script")


def fetched_by(text: str, *, style: bool = False) -> list[str]:
    """What a page's text, or a style sheet's, asks other machines for."""
    if style:
        return [f"url {address}" for address in _IN_STYLE.findall(text)]
    parser = _Fetched()
    parser.feed(text)
    return parser.found + fetched_by(text, style=True)


def fetched_by_site(folder: Path) -> Iterator[str]:
    """A line for each thing that the pages and style sheets in a folder ask other machines for."""
    for path in sorted((*folder.rglob("*.html"), *folder.rglob("*.css"))):
        for each in fetched_by(path.read_text(encoding="utf-8"), style=path.suffix == ".css"):
            yield f"{path.relative_to(folder)}: {each}"
