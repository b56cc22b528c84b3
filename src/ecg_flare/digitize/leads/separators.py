"""Separators: bars printed between the columns of a page, which say to a fraction of a pixel where leads begin.

The ink of a row says where its line begins and ends on the paper. That is not where the recording does if the paper
was cut there, or if a pulse follows without a gap. A bar stands at the border itself, in the rows that have one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ecg_flare.digitize.ink.extraction import Ink
from ecg_flare.digitize.leads.bars import NARROW_PX, Bar, Place, find_bars
from ecg_flare.digitize.leads.borders import inner_borders
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.digitize.leads.thin_separators import thin_separator_offset
from ecg_flare.digitize.units import PxPerMm

SAME_END_PX: Final = 1.0
AS_FINE_PX: Final = 0.16
"""Ink places the edges of a bar no finer than this, as it is full before a pixel is; nearer borders stay."""
BY_SHADE_PX: Final = 0.05
"""The same of a bar that is wider than a narrow one: its shade places it finer."""
THIN_MM: Final = 0.4
"""A bar up to this width hides no more than a trace does: the lines are followed through it at the border."""
MOST_PLACES: Final = 0.75


@dataclass(frozen=True)
class Settled:
    """The spans with their borders in the middle of the bars, and those bars that hide more than a trace does.

    The bars' places have the settled borders.
    """

    spans: tuple[LeadSpan, ...]
    bars: tuple[Bar, ...]


def settle_on_separators(
    spans: Sequence[LeadSpan],
    ink: Ink,
    levels: Sequence[float],
    scale: PxPerMm,
) -> Settled:
    """Return the spans with their borders moved to the bars that stand beside them; unmoved without bars.

    A border without a bar moves by as much as those with one. So do the ends of the rows, unless they have bars of
    their own. `levels` are the rows' y in pixels.
    """
    if not spans:
        return Settled(tuple(spans), ())
    places = list(_between(spans, levels))
    between = _told_from_traces(find_bars(places, ink, scale), len(places), scale)
    begin = _wide(find_bars(list(_at_end(spans, levels, True)), ink, scale), scale)
    end = _wide(find_bars(list(_at_end(spans, levels, False)), ink, scale), scale)
    offsets = _offsets(between)
    usual = (
        float(np.median(list(offsets.values()))) if offsets else thin_separator_offset(spans, ink.every, levels, scale)
    )
    at_ends = {**_offsets(begin), **_offsets(end)}
    moved = {
        x: x + {**at_ends, **offsets}.get(round(x, 2), usual) for span in spans for x in (span.left_px, span.right_px)
    }
    settled = tuple(replace(span, left_px=moved[span.left_px], right_px=moved[span.right_px]) for span in spans)
    borders = {round(x, 2): to for x, to in moved.items()}
    bars = (
        replace(bar, place=replace(bar.place, border_px=borders[bar.place.border_px]))
        for bar in (*between, *begin, *end)
    )
    return Settled(settled, tuple(bars))


def _told_from_traces(bars: tuple[Bar, ...], n_places: int, scale: PxPerMm) -> tuple[Bar, ...]:
    """Return all bars, if most are wider than thin ones, or too narrow to be followed through.

    The narrow ones only if they stand at most of the places: a steep stroke is as narrow, but not there everywhere.
    """
    if _usual_width(bars) > NARROW_PX:
        return _wide(bars, scale)
    return bars if len(bars) >= MOST_PLACES * n_places else ()


def _wide(bars: tuple[Bar, ...], scale: PxPerMm) -> tuple[Bar, ...]:
    """Return all bars, if most are wider than thin ones."""
    return bars if _usual_width(bars) > THIN_MM * scale.x else ()


def _usual_width(bars: Sequence[Bar]) -> float:
    return float(np.median([bar.right_px - bar.left_px for bar in bars])) if bars else 0.0


def _between(spans: Sequence[LeadSpan], levels: Sequence[float]) -> Iterator[Place]:
    for x, rows in inner_borders(spans).items():
        for row, level in enumerate(levels):
            yield Place(x, row, level, "between" if row in rows else "through")


def _at_end(spans: Sequence[LeadSpan], levels: Sequence[float], first: bool) -> Iterator[Place]:
    """Yield the ends of the rows at one side of the page, where most of them have it."""
    edges: dict[int, float] = {}
    for span in spans:
        x = span.left_px if first else span.right_px
        edges[span.row] = x if span.row not in edges else min(edges[span.row], x) if first else max(edges[span.row], x)
    usual = float(np.median(list(edges.values())))
    for row, x in edges.items():
        if abs(x - usual) < SAME_END_PX:
            yield Place(round(x, 2), row, levels[row], "begin" if first else "end")


def _offsets(bars: Sequence[Bar]) -> Mapping[float, float]:
    """Return by how much the bars of each border stand to its right, in pixels; 0 where the ink is as fine."""
    borders = {bar.place.border_px for bar in bars if bar.place.kind != "through"}
    found = {
        border: float(np.median([bar.centre_px - border for bar in bars if bar.place.border_px == border]))
        for border in borders
    }
    off = np.median(np.abs(list(found.values()))) if found else 0.0
    as_fine = BY_SHADE_PX if _usual_width(bars) > NARROW_PX else AS_FINE_PX
    return found if off > as_fine else dict.fromkeys(found, 0.0)
