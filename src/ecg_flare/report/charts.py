"""Charts as inline SVG: lines, stacked bars and a presence matrix.

No script and no outside resource. Colours are the classes `s1` to `s8` of chart.css, a colour-blind safe set in light
and dark; each series also has its own marker and dash, so that a chart can be read in grey. Every mark carries a
`<title>`, which browsers show on hover and screen readers read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from ecg_flare.report.figures import significant, ticks, whole_ticks
from ecg_flare.report.marks import element, key_marks, marker, text_at

WIDTH: Final = 460
HEIGHT: Final = 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 14, 12, 40
_PLOT_WIDTH: Final = WIDTH - _LEFT - _RIGHT
_MAX_MARKERS: Final = 60
_MIN_MARKERS: Final = 12

MAX_SERIES: Final = 8
"""Lines that one chart can tell apart."""


@dataclass(frozen=True)
class Series:
    """Values by round; `slot` (1 to 8) chooses colour, marker and dash; a bar may have slot 0, which is grey.

    A strong line is drawn wider than the others. A line that is a mean has a band behind it: `band` gives the lowest
    and the highest beside each value.
    """

    name: str
    values: Sequence[float | None]
    slot: int
    strong: bool = False
    band: Sequence[tuple[float, float] | None] = ()


@dataclass(frozen=True)
class Reference:
    """A horizontal line to compare with; its name stands at its right end, or at its left."""

    name: str
    value: float
    at_left: bool = False


@dataclass(frozen=True)
class Span:
    """How far an axis goes: down to `floor` at least and never beyond `ceiling`, and over no less than `least`."""

    floor: float | None = None
    ceiling: float | None = None
    least: float = 0.0


@dataclass(frozen=True)
class Axes:
    """What the axes of a line chart are called, and how high the whole chart is, in px."""

    y_label: str
    x_label: str = "round"
    height: float = HEIGHT


@dataclass(frozen=True)
class Drawing:
    """A chart without the element around it: its marks, as wide and high as it is in px, and what it shows."""

    marks: str
    label: str
    width: float = WIDTH
    height: float = HEIGHT


_AS_THE_DATA: Final = Span()


def line_chart(
    rounds: Sequence[int],
    series: Sequence[Series],
    *,
    y_label: str,
    references: Sequence[Reference] = (),
    span: Span = _AS_THE_DATA,
) -> str:
    """Values against rounds, as `line_drawing` draws them."""
    return inline(line_drawing(rounds, series, axes=Axes(y_label), references=references, span=span))


def line_drawing(
    at: Sequence[int],
    series: Sequence[Series],
    *,
    axes: Axes,
    references: Sequence[Reference] = (),
    span: Span = _AS_THE_DATA,
) -> Drawing:
    """Values against rounds, or another whole number; the y axis spans the data, as far as `span` lets it.

    A span that has a least extent keeps noise from being drawn as a trend. A series has a value or None for each of
    `at`, which rise.
    """
    seen = [value for each in series for value in each.values if value is not None]
    seen += [value for each in series for pair in each.band if pair is not None for value in pair]
    seen += [reference.value for reference in references] + ([span.floor] if span.floor is not None else [])
    seen = seen or [0.0, 1.0]  # nothing was reported: the axes alone are drawn
    spare = max(0.0, span.least - (max(seen) - min(seen))) / 2
    round_values = ticks(min(seen) - spare, max(seen) + spare)
    marks = [mark for mark in round_values if span.ceiling is None or mark <= span.ceiling]
    frame = _Frame(at, marks[0], max(marks[-1], max(seen)), x_label=axes.x_label, height=axes.height)
    body = [frame.axes(marks, axes.y_label)]
    body += [_reference(frame, reference) for reference in references]
    body += [_band(frame, each) for each in series if each.band]
    most = max(_MIN_MARKERS, _MAX_MARKERS // max(1, len(series)))
    body += [_line(frame, each, most) for each in series]
    return Drawing("".join(body), f"{axes.y_label} by {axes.x_label}", height=axes.height)


def stacked_bars(rounds: Sequence[int], series: Sequence[Series], *, y_label: str, unit: str) -> str:
    """A bar a round, the series on top of one another."""
    totals = [sum(each.values[index] or 0 for each in series) for index in range(len(rounds))]
    marks = ticks(0, max(totals, default=0) or 1)
    frame = _Frame(rounds, 0, marks[-1], bars=True)
    body = [frame.axes(marks, y_label)]
    for index, number in enumerate(rounds):
        base = 0.0
        for each in series:
            value = each.values[index] or 0.0
            title = f"round {number}: {each.name} {significant(value)} {unit}"
            body.append(_bar(frame, number, base, base + value, each.slot, title))
            base += value
    return element(body, HEIGHT, f"{y_label} by round", WIDTH)


def presence_matrix(rounds: Sequence[int], rows: Sequence[tuple[str, Sequence[bool]]]) -> str:
    """A row a name, a cell a round: filled where present, an open cell with a cross where missing."""
    step, left = 20, 12 + 7.2 * max((len(name) for name, _ in rows), default=0)
    cell = min(20.0, max(2.5, (2 * WIDTH - left - _RIGHT) / max(1, len(rounds))))
    width = left + cell * len(rounds) + _RIGHT
    gap = min(2.0, cell / 5)
    body = []
    for row, (name, present) in enumerate(rows):
        y = row * step + 2
        body.append(text_at(left - 8, y + step / 2 + 4, name, "end"))
        for column, (number, here) in enumerate(zip(rounds, present, strict=True)):
            title = f"<title>{escape(name)}, round {number}: {'answered' if here else 'missing'}</title>"
            body.append(_cell(left + column * cell, y, cell - gap, step - 2, here, title))
    bottom = len(rows) * step + 16
    shown = whole_ticks(rounds[0], rounds[-1], max(2, min(10, int(cell * len(rounds) // 30))))
    places = {number: left + (index + 0.5) * cell for index, number in enumerate(rounds)}  # not every round is there
    body += [text_at(places[mark], bottom, str(mark), "middle") for mark in shown if mark in places]
    body.append(text_at(left - 8, bottom, "round", "end", "axis"))
    return element(body, bottom + 6, "sites by round", width, f"max-width:{width:.0f}px")


def line_legend(series: Sequence[Series]) -> str:
    """The key of a line chart, as HTML: dash, marker and name of each series."""
    return _legend((each.name, key_marks(each.slot)) for each in series)


def bar_legend(series: Sequence[Series]) -> str:
    """The key of stacked bars, as HTML: colour and name of each series, from the top of the stack down."""
    return _legend(
        (each.name, f'<rect class="s{each.slot} fill" x="7" width="12" height="12" rx="2"/>')
        for each in reversed(series)
    )


@dataclass(frozen=True)
class _Frame:
    """Rounds and values to places in the drawing."""

    rounds: Sequence[int]
    low: float
    high: float
    bars: bool = False
    x_label: str = "round"
    height: float = HEIGHT

    @property
    def plot_height(self) -> float:
        return self.height - _TOP - _BOTTOM

    @property
    def band(self) -> float:
        return _PLOT_WIDTH / max(1, len(self.rounds))

    def x(self, number: int) -> float:
        first, last = self.rounds[0], self.rounds[-1]
        if self.bars or first == last:
            return _LEFT + (self.rounds.index(number) + 0.5) * self.band
        return _LEFT + 8 + (number - first) / max(1, last - first) * (_PLOT_WIDTH - 16)

    def y(self, value: float) -> float:
        return _TOP + (self.high - value) / (self.high - self.low) * self.plot_height

    def axes(self, marks: Sequence[float], y_label: str) -> str:
        parts = []
        for mark in marks:
            y = self.y(mark)
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(text_at(_LEFT - 7, y + 4, f"{mark:g}", "end"))
        for number in whole_ticks(self.rounds[0], self.rounds[-1]):
            if number in self.rounds or not self.bars:
                parts.append(text_at(self.x(number), self.height - _BOTTOM + 17, f"{number:,}", "middle"))
        parts.append(text_at(WIDTH - _RIGHT, self.height - 5, self.x_label, "end", "axis"))
        parts.append(
            f'<text class="axis" transform="translate(13 {_TOP + self.plot_height / 2:.0f}) rotate(-90)" '
            f'text-anchor="middle">{escape(y_label)}</text>'
        )
        return "".join(parts)


def _legend(keys: Iterable[tuple[str, str]]) -> str:
    spans = "".join(
        f'<span><svg class="key" viewBox="0 0 26 12" aria-hidden="true">{drawn}</svg>{escape(name)}</span>'
        for name, drawn in keys
    )
    return f'<p class="legend">{spans}</p>'


def _line(frame: _Frame, series: Series, most: int) -> str:
    """The line of a series, and a marker at each of its values, or where these are many at `most` or so of them."""
    points = [(n, v) for n, v in zip(frame.rounds, series.values, strict=True) if v is not None]
    path = " ".join(f"{frame.x(n):.1f},{frame.y(v):.1f}" for n, v in points)
    strong = " strong" if series.strong else ""
    parts = [f'<polyline class="s{series.slot} line{strong}" points="{path}"/>']
    every = -(-len(points) // most) or 1
    last = len(points) - 1
    parts += [
        f"<g><title>{frame.x_label} {n}: {escape(series.name)} {significant(v, 4)}</title>"
        f"{marker(frame.x(n), frame.y(v), series.slot)}</g>"
        for index, (n, v) in enumerate(points)
        if (last - index) % every == 0
    ]
    return "".join(parts)


def _band(frame: _Frame, series: Series) -> str:
    """The area from the lowest to the highest."""
    pairs = [(n, pair) for n, pair in zip(frame.rounds, series.band, strict=True) if pair is not None]
    above = [f"{frame.x(n):.1f},{frame.y(high):.1f}" for n, (_, high) in pairs]
    below = [f"{frame.x(n):.1f},{frame.y(low):.1f}" for n, (low, _) in reversed(pairs)]
    return f'<polygon class="s{series.slot} band" points="{" ".join(above + below)}"/>'


def _reference(frame: _Frame, reference: Reference) -> str:
    y = frame.y(reference.value)
    below = y < _TOP + 16
    x, anchor = (_LEFT + 2, "start") if reference.at_left else (WIDTH - _RIGHT - 2, "end")
    return f'<line class="reference" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>' + text_at(
        x, y + (14 if below else -5), reference.name, anchor, "halo"
    )


def _bar(frame: _Frame, number: int, base: float, top: float, slot: int, title: str) -> str:
    width = max(1.0, min(34.0, frame.band * 0.72))
    seam = 1 if frame.band > 6 else 0  # a line of paper between the parts of a bar
    height = max(0.0, frame.y(base) - frame.y(top) - seam)
    return (
        f'<rect class="s{slot} fill" x="{frame.x(number) - width / 2:.1f}" y="{frame.y(top):.1f}" '
        f'width="{width:.1f}" height="{height:.1f}" rx="1.5"><title>{escape(title)}</title></rect>'
    )


def _cell(x: float, y: float, width: float, height: float, here: bool, title: str) -> str:
    box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" rx="2"'
    if here:
        return f'<rect class="s1 fill" {box}>{title}</rect>'
    left, right, top, bottom = x + 2, x + width - 2, y + 3, y + height - 3
    cross = f"M{left:.1f} {top:.1f}L{right:.1f} {bottom:.1f}M{right:.1f} {top:.1f}L{left:.1f} {bottom:.1f}"
    return f'<g>{title}<rect class="absent" {box}/><path class="cross" d="{cross}"/></g>'


def inline(drawing: Drawing) -> str:
    """The drawing as an element of a page, as wide as the page lets it."""
    return element([drawing.marks], drawing.height, drawing.label, drawing.width)
