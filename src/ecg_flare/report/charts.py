"""Charts as inline SVG: lines, stacked bars and a presence matrix.

No script and no outside resource. Colours are the classes `s1` to `s4` of style.css, a colour-blind safe set in light
and dark; each series also has its own marker and dash, so that a chart can be read in grey. Every mark carries a
`<title>`, which browsers show on hover and screen readers read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from ecg_flare.report.figures import significant, ticks, whole_ticks

WIDTH: Final = 460
HEIGHT: Final = 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 14, 12, 40
_PLOT_WIDTH: Final = WIDTH - _LEFT - _RIGHT
_PLOT_HEIGHT: Final = HEIGHT - _TOP - _BOTTOM
_MAX_MARKERS: Final = 60


@dataclass(frozen=True)
class Series:
    """Values by round; `slot` (1 to 4) chooses colour, marker and dash; a bar may have slot 5, which is grey."""

    name: str
    values: Sequence[float | None]
    slot: int


@dataclass(frozen=True)
class Reference:
    """A horizontal line to compare with."""

    name: str
    value: float


@dataclass(frozen=True)
class Span:
    """How far an axis goes: down to `floor` at least and never beyond `ceiling`, and over no less than `least`."""

    floor: float | None = None
    ceiling: float | None = None
    least: float = 0.0


_AS_THE_DATA: Final = Span()


def line_chart(
    rounds: Sequence[int],
    series: Sequence[Series],
    *,
    y_label: str,
    references: Sequence[Reference] = (),
    span: Span = _AS_THE_DATA,
) -> str:
    """Values against rounds; the y axis spans the data and the references, as far as `span` lets it.

    A span that has a least extent keeps noise from being drawn as a trend.
    """
    seen = [value for each in series for value in each.values if value is not None]
    seen += [reference.value for reference in references] + ([span.floor] if span.floor is not None else [])
    seen = seen or [0.0, 1.0]  # nothing was reported: the axes alone are drawn
    spare = max(0.0, span.least - (max(seen) - min(seen))) / 2
    round_values = ticks(min(seen) - spare, max(seen) + spare)
    marks = [mark for mark in round_values if span.ceiling is None or mark <= span.ceiling]
    frame = _Frame(rounds, marks[0], max(marks[-1], max(seen)))
    body = [frame.axes(marks, y_label)]
    body += [_reference(frame, reference) for reference in references]
    body += [_line(frame, each) for each in series]
    return _svg(body, HEIGHT, f"{y_label} by round")


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
    return _svg(body, HEIGHT, f"{y_label} by round")


def presence_matrix(rounds: Sequence[int], rows: Sequence[tuple[str, Sequence[bool]]]) -> str:
    """A row a name, a cell a round: filled where present, an open cell with a cross where missing."""
    step, left = 20, 12 + 7.2 * max((len(name) for name, _ in rows), default=0)
    cell = min(20.0, max(2.5, (2 * WIDTH - left - _RIGHT) / max(1, len(rounds))))
    width = left + cell * len(rounds) + _RIGHT
    gap = min(2.0, cell / 5)
    body = []
    for row, (name, present) in enumerate(rows):
        y = row * step + 2
        body.append(_text(left - 8, y + step / 2 + 4, name, "end"))
        for column, (number, here) in enumerate(zip(rounds, present, strict=True)):
            title = f"<title>{escape(name)}, round {number}: {'answered' if here else 'missing'}</title>"
            body.append(_cell(left + column * cell, y, cell - gap, step - 2, here, title))
    bottom = len(rows) * step + 16
    shown = whole_ticks(rounds[0], rounds[-1], max(2, min(10, int(cell * len(rounds) // 30))))
    body += [_text(left + (rounds.index(mark) + 0.5) * cell, bottom, str(mark), "middle") for mark in shown]
    body.append(_text(left - 8, bottom, "round", "end", "axis"))
    return _svg(body, bottom + 6, "sites by round", width, f"max-width:{width:.0f}px")


def line_legend(series: Sequence[Series]) -> str:
    """The key of a line chart, as HTML: dash, marker and name of each series."""
    return _legend(
        (each.name, f'<line class="s{each.slot} line" x1="1" y1="6" x2="25" y2="6"/>{_marker(13, 6, each.slot)}')
        for each in series
    )


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

    @property
    def band(self) -> float:
        return _PLOT_WIDTH / max(1, len(self.rounds))

    def x(self, number: int) -> float:
        first, last = self.rounds[0], self.rounds[-1]
        if self.bars or first == last:
            return _LEFT + (self.rounds.index(number) + 0.5) * self.band
        return _LEFT + 8 + (number - first) / max(1, last - first) * (_PLOT_WIDTH - 16)

    def y(self, value: float) -> float:
        return _TOP + (self.high - value) / (self.high - self.low) * _PLOT_HEIGHT

    def axes(self, marks: Sequence[float], y_label: str) -> str:
        parts = []
        for mark in marks:
            y = self.y(mark)
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(_text(_LEFT - 7, y + 4, f"{mark:g}", "end"))
        for number in whole_ticks(self.rounds[0], self.rounds[-1]):
            if number in self.rounds:
                parts.append(_text(self.x(number), HEIGHT - _BOTTOM + 17, str(number), "middle"))
        parts.append(_text(WIDTH - _RIGHT, HEIGHT - 5, "round", "end", "axis"))
        parts.append(
            f'<text class="axis" transform="translate(13 {_TOP + _PLOT_HEIGHT / 2:.0f}) rotate(-90)" '
            f'text-anchor="middle">{escape(y_label)}</text>'
        )
        return "".join(parts)


def _legend(keys: Iterable[tuple[str, str]]) -> str:
    spans = "".join(
        f'<span><svg class="key" viewBox="0 0 26 12" aria-hidden="true">{drawn}</svg>{escape(name)}</span>'
        for name, drawn in keys
    )
    return f'<p class="legend">{spans}</p>'


def _line(frame: _Frame, series: Series) -> str:
    points = [(n, v) for n, v in zip(frame.rounds, series.values, strict=True) if v is not None]
    path = " ".join(f"{frame.x(n):.1f},{frame.y(v):.1f}" for n, v in points)
    parts = [f'<polyline class="s{series.slot} line" points="{path}"/>']
    if len(points) <= _MAX_MARKERS:
        parts += [
            f"<g><title>round {n}: {escape(series.name)} {significant(v, 4)}</title>"
            f"{_marker(frame.x(n), frame.y(v), series.slot)}</g>"
            for n, v in points
        ]
    return "".join(parts)


def _reference(frame: _Frame, reference: Reference) -> str:
    y = frame.y(reference.value)
    below = y < _TOP + 16
    return f'<line class="reference" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>' + _text(
        WIDTH - _RIGHT - 2, y + (14 if below else -5), reference.name, "end", "halo"
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


def _marker(x: float, y: float, slot: int) -> str:
    shapes = {
        1: f'<circle class="s1 mark" cx="{x:.1f}" cy="{y:.1f}" r="3.6"/>',
        2: f'<rect class="s2 mark" x="{x - 3.3:.1f}" y="{y - 3.3:.1f}" width="6.6" height="6.6"/>',
        3: f'<path class="s3 mark" d="M{x:.1f} {y - 4.4:.1f}l4.2 7.4h-8.4z"/>',
        4: f'<path class="s4 mark" d="M{x:.1f} {y - 4.8:.1f}l4.8 4.8l-4.8 4.8l-4.8-4.8z"/>',
    }
    return shapes[slot]


def _text(x: float, y: float, text: str, anchor: str, kind: str = "tick") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(body: Sequence[str], height: float, label: str, width: float = WIDTH, style: str = "") -> str:
    styled = f' style="{style}"' if style else ""
    return (
        f'<svg class="chart" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}"{styled}>'
        f"{''.join(body)}</svg>"
    )
