"""A chart as a file of its own, for a paper: one SVG with its key, in the colours of paper, that needs nothing else.

Programs that set papers read fewer rules than browsers do: colours stand in the file as they are, without variables.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from ecg_flare.report.charts import MAX_SERIES, Drawing, Series
from ecg_flare.report.document import style_sheet
from ecg_flare.report.marks import key_marks

_FONT: Final = "font-family: Helvetica, Arial, 'Liberation Sans', sans-serif"
_KEY_HEIGHT: Final = 19
_KEY_WIDTH: Final = 34
_LETTER_WIDTH: Final = 6.6
"""Of a text of 12 px, rather more than the mean."""

_LEFT: Final = 14
_VARIABLE: Final = re.compile(r"var\(--([a-z0-9]+)\)")


def figure(drawing: Drawing, series: Sequence[Series], about: str) -> str:
    """The SVG file: the chart, below it the key of its series, and `about` as its description."""
    keys, height = _keys(series, drawing)
    width, whole = f"{drawing.width:.0f}", f"{drawing.height + height:.0f}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" width="{width}" height="{whole}" '
        f'viewBox="0 0 {width} {whole}" role="img"><title>{escape(drawing.label)}</title><desc>{escape(about)}</desc>'
        f'<style>{_style()}</style><rect width="100%" height="100%" fill="#fff"/>{drawing.marks}{keys}</svg>\n'
    )


def download_link(name: str, svg: str) -> str:
    """A link that saves the figure as the file `name`; the figure is in the link itself."""
    data = base64.b64encode(svg.encode()).decode()
    return (
        f'<p class="download"><a download="{escape(name)}" href="data:image/svg+xml;base64,{data}">'
        f"Download as SVG ({escape(name)})</a></p>"
    )


def _keys(series: Sequence[Series], drawing: Drawing) -> tuple[str, float]:
    """The key as rows of as many entries as fit, and how high it is."""
    x, y, drawn = float(_LEFT), drawing.height + 6.0, []
    for each in series:
        wide = _KEY_WIDTH + _LETTER_WIDTH * len(each.name) + 14
        if x > _LEFT and x + wide > drawing.width:
            x, y = float(_LEFT), y + _KEY_HEIGHT
        text = f'<text class="key" x="{_KEY_WIDTH}" y="10">{escape(each.name)}</text>'
        drawn.append(f'<g transform="translate({x:.1f} {y:.1f})">{key_marks(each.slot)}{text}</g>')
        x += wide
    return "".join(drawn), y + _KEY_HEIGHT + 4 - drawing.height


def _style() -> str:
    """The rules of charts, each variable replaced by its colour on paper."""
    colours = _colours()
    rules = [line for line in style_sheet("chart.css").splitlines() if "--c" not in line and "hover" not in line]
    of_slots = [
        f".s{slot}.line {{ stroke: {colour}; }} .s{slot}.mark, .s{slot}.band {{ fill: {colour}; }}"
        for slot in range(1, MAX_SERIES + 1)
        for colour in [colours[f"s{slot}"]]
    ]
    own = [f"text {{ {_FONT}; }}", ".chart text.key { fill: var(--ink); }", *of_slots]
    return _VARIABLE.sub(lambda found: colours[found[1]], "\n".join([*rules, *own]))


def _colours() -> Mapping[str, str]:
    """The light colours of a page, by name."""
    light = style_sheet("style.css").partition("}")[0]
    return dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]+);", light))
