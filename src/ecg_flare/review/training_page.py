"""A confirmed reading as a page that a network learns from: the upright page at the network's scale, and its mask.

| pixels | mask |
|---|---|
| on the line of a confirmed lead | trace, TRACE_WIDTH_PX wide |
| on a calibration pulse | pulse |
| words that stand apart from all lines (unexplained_ink.py) | print, in upright boxes |
| around leads that nobody confirmed and stretches that nobody can read; ink that hangs together with a line | ignored |
| anything else | paper |

Where a person confirmed every lead of a page, ink apart from all lines is known to be no trace, whatever the segmenter
took it for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from ecg_flare.digitize.corrected_page import CorrectedPage
from ecg_flare.digitize.corrections import Corrections
from ecg_flare.digitize.leads.by_hand import places_of
from ecg_flare.digitize.measure.pulse import Pulse
from ecg_flare.digitize.measured_page import MeasuredPage
from ecg_flare.digitize.result import Digitization
from ecg_flare.digitize.trace.page import PageLines
from ecg_flare.ecg.stretches import unbroken
from ecg_flare.page.raster import IGNORED, NORMALIZED_PX_PER_MM, Label, rasterize
from ecg_flare.page.truth import LeadTrace, PageTruth, outline, to_matrix
from ecg_flare.review.unexplained_ink import sort_ink

DRAWN: Final = 0.5
"""Probability of any ink from which a pixel has some."""

EXPLAINED_MM: Final = 0.75
"""Ink of a stroke that is no further from its line is the rim of the pen."""

PEN_MM: Final = 0.5
"""Above and below a line, how far its ink is followed: beyond is ink that only touches it."""

FOOT_MM: Final = 1.0
"""Of base line on either side of a pulse."""

HIGHEST_MM: Final = 12.0
"""Above and below a row's level, what is left out around a lead; less where rows stand nearer."""


@dataclass(frozen=True, eq=False)
class TrainingPage:
    """A page at NORMALIZED_PX_PER_MM, and its mask."""

    image: UInt8[np.ndarray, "h w 3"]
    mask: UInt8[np.ndarray, "h w"]


def training_page(
    page: CorrectedPage, result: Digitization, corrections: Corrections, confirmed: frozenset[tuple[int, int]]
) -> TrainingPage:
    """Draw the mask of a page's reading with these corrections; `confirmed` are the places (row, place) of leads.

    Raises PageError where the page cannot be read as its corrections say.
    """
    measured, seen = page.probabilities(corrections)
    drawing = _Drawing(result, measured, page.lines(corrections), confirmed)
    mask = rasterize(drawing.truth())
    lines = np.isin(mask, (Label.TRACE, Label.PULSE))
    rest = sort_ink(_at_least(1.0 - seen.probabilities[Label.BACKGROUND], mask.shape), lines)
    mask[rest.printed & ~lines] = Label.PRINT
    unknown = drawing.unknown() | (rest.unknown & ~_near(lines, EXPLAINED_MM))
    if not drawing.is_confirmed:
        unknown |= _at_least(seen.probabilities[Label.TRACE], mask.shape) & ~_near(lines, EXPLAINED_MM)
    mask[unknown & ~lines] = IGNORED
    return TrainingPage(measured.network_image, mask)


@dataclass(frozen=True, eq=False)
class _Drawing:
    """A reading in pixels of the network's page."""

    result: Digitization
    measured: MeasuredPage
    lines: PageLines
    confirmed: frozenset[tuple[int, int]]

    @property
    def shape(self) -> tuple[int, int]:
        return self.measured.network_image.shape[0], self.measured.network_image.shape[1]

    @property
    def is_confirmed(self) -> bool:
        """Whether a person confirmed every lead of the page."""
        return set(places_of([lead.span for lead in self.result.leads])) <= self.confirmed

    def truth(self) -> PageTruth:
        height, width = self.shape
        calibration = self.result.calibration
        return PageTruth(
            height_px=height,
            width_px=width,
            px_per_mm_x=NORMALIZED_PX_PER_MM,
            px_per_mm_y=NORMALIZED_PX_PER_MM,
            layout=self.result.layout,
            speed_mm_per_s=calibration.speed_mm_per_s,
            gain_mm_per_mv=calibration.gain_mm_per_mv,
            chest_gain_mm_per_mv=calibration.chest_gain_mm_per_mv,
            traces=tuple(self._traces()),
            pulses=tuple(self._pulse(pulse) for pulse in self.measured.working.pulses),
            print_boxes=(),
            paper=outline(self.shape),
            homography=to_matrix(np.diag([NORMALIZED_PX_PER_MM, NORMALIZED_PX_PER_MM, 1.0])),
        )

    def unknown(self) -> Bool[np.ndarray, "h w"]:
        """What stands around leads that nobody confirmed, and around gaps of those that somebody did."""
        found = np.zeros(self.shape, bool)
        for row, left, right in self._unknown_stretches():
            level, reach = self._band(row)
            top, bottom = max(0, round(level - reach)), max(0, round(level + reach))
            found[top : bottom + 1, max(0, int(np.floor(left))) : max(0, int(np.ceil(right)) + 1)] = True
        return found

    def _traces(self) -> Iterator[LeadTrace]:
        spans = [lead.span for lead in self.result.leads]
        for place, number in places_of(spans).items():
            span = spans[number]
            if place not in self.confirmed:
                continue
            for first, last, line in self._pieces(number):
                start, end = (span.start_s + (x - span.left_px) * span.seconds_per_px for x in (first, last))
                for drawn in (line, self._pen(span.row, first, last)):
                    yield LeadTrace(
                        span.lead, span.row, drawn, max(start, 0.0), max(end, 0.0), span.is_rhythm, span.inverted
                    )

    def _pen(self, row: int, left: float, right: float) -> Float64[np.ndarray, "k 2"]:
        """The pen's way through the ink of a row's line, from x to x on the upright page: up and down in each column.

        Noise is finer than a column: a line through its middle is narrower than what the pen drew.
        """
        working, own = self.measured.working, self.lines.rows[row]
        ends = working.from_page(np.array([[left, 0.0], [right, 0.0]]))[:, 0]
        columns = np.arange(max(0, int(np.ceil(ends[0]))), min(len(own.y) - 1, int(np.floor(ends[1]))) + 1)
        columns = columns[np.isfinite(own.y[columns]) & ~own.shared[columns]]
        reach = PEN_MM * working.px_per_mm.y
        y, half = own.y[columns], self.lines.pen_px / 2
        top = np.clip(np.minimum(own.top[columns] + half, y), y - reach, y)
        bottom = np.clip(np.maximum(own.bottom[columns] - half, y), y, y + reach)
        way = np.stack([np.repeat(columns, 2), np.stack([top, bottom], axis=1).ravel()], axis=1)
        return self._scaled(working.on_page(way.astype(np.float64)))

    def _pieces(self, number: int) -> Iterator[tuple[float, float, Float64[np.ndarray, "k 2"]]]:
        """Yield the unbroken pieces of a lead's line: from x to x on the upright page, and scaled to the network's."""
        span = self.result.leads[number].span
        line = self.result.polylines[span.row]
        line = line[span.holds(line[:, 0])]
        for begin, after in unbroken(np.isfinite(line[:, 1])):
            if after - begin > 1:
                piece = line[begin:after]
                yield float(piece[0, 0]), float(piece[-1, 0]), self._scaled(piece)

    def _unknown_stretches(self) -> Iterator[tuple[int, float, float]]:
        spans = [lead.span for lead in self.result.leads]
        for place, number in places_of(spans).items():
            span = spans[number]
            edges = self._scaled(np.array([[span.left_px, 0.0], [span.right_px, 0.0]]))[:, 0]
            if place not in self.confirmed:
                yield span.row, float(edges[0]), float(edges[1])
                continue
            known = [(float(line[0, 0]), float(line[-1, 0])) for _, _, line in self._pieces(number)]
            at = float(edges[0])
            for begin, end in [*known, (float(edges[1]), float(edges[1]))]:
                if begin - at > 1.0:
                    yield span.row, at, begin
                at = end

    def _band(self, row: int) -> tuple[float, float]:
        """A row's level, and how far above and below it what is drawn may be its own."""
        levels = [float(np.nanmedian(self._scaled(line)[:, 1])) for line in self.result.polylines]
        apart = np.abs(np.delete(levels, row) - levels[row])
        most = HIGHEST_MM * NORMALIZED_PX_PER_MM
        return levels[row], float(min(most, apart.min() * 0.75)) if len(apart) else most

    def _pulse(self, pulse: Pulse) -> Float64[np.ndarray, "k 2"]:
        foot = FOOT_MM * self.measured.working.px_per_mm.x
        x = np.array([pulse.left_px - foot, pulse.left_px, pulse.left_px, pulse.right_px, pulse.right_px])
        y = np.array([pulse.foot_px, pulse.foot_px, pulse.bar_px, pulse.bar_px, pulse.foot_px])
        points = np.concatenate([np.stack([x, y], axis=1), [[pulse.right_px + foot, pulse.foot_px]]])
        return self._scaled(self.measured.working.on_page(points))

    def _scaled(self, points: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "k 2"]:
        height, width = self.result.page.image.shape[:2]
        factor = np.array([self.shape[1] / width, self.shape[0] / height])
        scaled: Float64[np.ndarray, "k 2"] = (points + 0.5) * factor - 0.5
        return scaled


def _at_least(probability: Float32[np.ndarray, "h4 w4"], shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Return the pixels of a page of this shape that are something rather than not."""
    found: Bool[np.ndarray, "h w"] = cv2.resize(probability, shape[::-1]) >= DRAWN
    return found


def _near(pixels: Bool[np.ndarray, "h w"], reach_mm: float) -> Bool[np.ndarray, "h w"]:
    side = 2 * round(reach_mm * NORMALIZED_PX_PER_MM) + 1
    near: Bool[np.ndarray, "h w"] = cv2.dilate(pixels.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return near
