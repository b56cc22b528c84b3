"""The marks of a chart: a marker and a dash for each series, a text, and the element around them."""

from collections.abc import Sequence
from html import escape
from typing import Final

# From the middle: triangle, diamond, triangle on its head, upright cross, slanting cross, star of four.
_PATHS: Final = {
    3: "m0 -4.4l4.2 7.4h-8.4z",
    4: "m0 -4.8l4.8 4.8l-4.8 4.8l-4.8-4.8z",
    5: "m0 4.4l4.2 -7.4h-8.4z",
    6: "m-1.5 -4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
    7: "m0 -2.1l2.6 -2.6l2.1 2.1l-2.6 2.6l2.6 2.6l-2.1 2.1l-2.6 -2.6l-2.6 2.6l-2.1 -2.1l2.6 -2.6l-2.6 -2.6l2.1 -2.1z",
    8: "m0 -5.4l1.4 4l4 1.4l-4 1.4l-1.4 4l-1.4 -4l-4 -1.4l4 -1.4z",
}


def key_marks(slot: int) -> str:
    """Dash and marker of a series, 26 px wide and 12 px high."""
    return f'<line class="s{slot} line" x1="1" y1="6" x2="25" y2="6"/>{marker(13, 6, slot)}'


def marker(x: float, y: float, slot: int) -> str:
    """The marker of a series, its middle at (x, y)."""
    if slot in _PATHS:
        return f'<path class="s{slot} mark" d="M{x:.1f} {y:.1f}{_PATHS[slot]}"/>'
    shapes = {
        1: f'<circle class="s1 mark" cx="{x:.1f}" cy="{y:.1f}" r="3.6"/>',
        2: f'<rect class="s2 mark" x="{x - 3.3:.1f}" y="{y - 3.3:.1f}" width="6.6" height="6.6"/>',
    }
    return shapes[slot]


def text_at(x: float, y: float, text: str, anchor: str, kind: str = "tick") -> str:
    """A text that ends, begins or has its middle (`anchor`) at (x, y)."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def element(body: Sequence[str], height: float, label: str, width: float, style: str = "") -> str:
    """The drawing as an element of a page, as wide as the page lets it."""
    styled = f' style="{style}"' if style else ""
    return (
        f'<svg class="chart" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}"{styled}>'
        f"{''.join(body)}</svg>"
    )
