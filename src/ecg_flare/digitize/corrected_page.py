"""A page read again with a person's corrections, from the stage on that they touch.

What comes before that stage is kept: a lead's name or a line drawn by hand costs a fraction of a second, a turned page
a whole reading.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Final, Generic, TypeVar

import numpy as np
from jaxtyping import Float64, UInt8

from ecg_flare.digitize.clock import Clock
from ecg_flare.digitize.corrections import NO_CORRECTIONS, Corrections, DrawnLine, Point, Ruler
from ecg_flare.digitize.leads.by_hand import lead_by_hand
from ecg_flare.digitize.measure.scale import measure_scale
from ecg_flare.digitize.measure.scaled_page import ScaledPage, measure_flat
from ecg_flare.digitize.measured_page import MeasuredPage, measure_page
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.pipeline import OpenedPage, open_page, open_standing
from ecg_flare.digitize.rectify.by_hand import stand_by_hand
from ecg_flare.digitize.result import Digitization
from ecg_flare.digitize.row_length import with_rows_of
from ecg_flare.digitize.stages import PageInk, PlacedLeads, TracedPage, follow_lines, place_leads, see_ink, take_signal
from ecg_flare.digitize.trace.by_hand import LineEdits
from ecg_flare.digitize.trace.guided import follow_points
from ecg_flare.digitize.trace.page import PageLines
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.errors import ConfigError, PageError

_Value = TypeVar("_Value")

USUAL_MISREADINGS: Final = (0.2, 0.5, 2.0, 5.0)
"""A grid's 1 mm lines taken for its 5 mm lines, or the other way round, or every second line seen."""

SNAP: Final = 0.08
"""A ruler laid by hand says to a few per cent which of these it is; the grid then says the rest exactly."""


class _Kept(Generic[_Value]):
    """The last value of a stage, for as long as what it was made from stays the same; its failure is kept as well."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._value: _Value | PageError | None = None

    def get(self, key: Hashable, make: Callable[[], _Value]) -> _Value:
        if self._value is None or self._key != key:
            try:
                self._value = make()
            except PageError as error:
                self._value = error
            self._key = key
        if isinstance(self._value, PageError):
            raise self._value
        return self._value


class CorrectedPage:
    """One picture, and the stages of its last reading."""

    def __init__(self, image: UInt8[np.ndarray, "h w 3"], options: ReadingOptions | None = None) -> None:
        self.image = image
        self._options = replace(options or ReadingOptions(), segmenter=(options or ReadingOptions()).segmenters())
        self._opened: _Kept[OpenedPage] = _Kept()
        self._scaled: _Kept[ScaledPage] = _Kept()
        self._measured: _Kept[MeasuredPage] = _Kept()
        self._ink: _Kept[PageInk] = _Kept()
        self._lines: _Kept[PageLines] = _Kept()
        self._placed: _Kept[PlacedLeads] = _Kept()

    def read(self, corrections: Corrections = NO_CORRECTIONS) -> Digitization:
        """Read the page as these corrections say.

        Raises PageError where the page cannot be read so, ConfigError where a correction does not fit the page.
        """
        if corrections == NO_CORRECTIONS:
            return self._open(corrections).result
        traced, edits = self._traced(corrections)
        return take_signal(traced, self._options.fs_hz, Clock(), edits.laid_over)

    def probabilities(self, corrections: Corrections) -> tuple[MeasuredPage, PageInk]:
        """Return the measured page and where the segmenter sees what on it."""
        opened, measured = self._measure(corrections)
        return measured, self._see(opened, measured)

    def lines(self, corrections: Corrections) -> PageLines:
        """Return the lines of the page with those drawn by hand in their place, in pixels of the working page."""
        return self._traced(corrections)[0].lines

    def follow(self, corrections: Corrections, points: tuple[Point, ...]) -> tuple[Point, ...]:
        """Return the line that runs through the page's ink from point to point, all in pixels of the picture.

        Raises ConfigError for points that do not go from left to right on the upright page.
        """
        opened, measured = self._measure(corrections)
        seen, working = self._see(opened, measured), measured.working
        lines = self._follow(opened, measured, corrections)
        clicks, ink = _on_working(measured, points), seen.ink
        line = follow_points(ink.trace, ink.every, clicks, lines.pen_px, working.px_per_mm)
        on_picture = measured.page.on_picture(working.on_page(line))
        return tuple((float(x), float(y)) for x, y in on_picture)

    def _traced(self, corrections: Corrections) -> tuple[TracedPage, LineEdits]:
        opened, measured = self._measure(corrections)
        seen, clock = self._see(opened, measured), Clock()
        working = measured.working
        followed = self._follow(opened, measured, corrections)
        edits = _line_edits(measured, corrections, len(followed.rows))
        lines = edits.applied(followed, seen.ink.trace, working.pulses, working.px_per_mm)
        layout = corrections.layout or self._options.layout
        key = (measured, corrections.rows, corrections.lines, layout)
        placed = self._placed.get(key, lambda: place_leads(measured, seen, lines, layout, clock))
        borders = {
            ((border.row, border.place), border.side): float(_on_working(measured, (border.at,))[0, 0])
            for border in corrections.borders
        }
        names = {(name.row, name.place): name.lead for name in corrections.names}
        assignment = lead_by_hand(placed.assignment, placed.rows, names, borders)
        return TracedPage(measured, seen, lines, replace(placed, assignment=assignment)), edits

    def _open(self, corrections: Corrections) -> OpenedPage:
        """Read the page as it stands, with what is known of it only where it is refused without that."""
        standing = (corrections.turned_deg, corrections.corners)
        if not corrections.stands:
            try:
                return self._opened.get(standing, lambda: open_page(self.image, self._options))
            except PageError:
                if corrections == NO_CORRECTIONS:
                    raise
        key = (*standing, corrections.ruler, corrections.layout, corrections.speed, corrections.gain)
        scaled = self._stand(corrections)
        options = self._known(corrections, scaled)
        return self._opened.get(key, lambda: open_standing(scaled, options))

    def _stand(self, corrections: Corrections) -> ScaledPage:
        def stand() -> ScaledPage:
            page = stand_by_hand(self.image, corrections.corners, corrections.turned_deg or 0)
            return measure_flat(page)

        return self._scaled.get((corrections.turned_deg, corrections.corners), stand)

    def _known(self, corrections: Corrections, scaled: ScaledPage) -> ReadingOptions:
        """The options with all that the corrections say of the page as a whole."""
        options = self._options
        return replace(
            options,
            speed=corrections.speed or options.speed,
            gain=corrections.gain or options.gain,
            chest_gain=corrections.chest_gain or options.chest_gain,
            layout=corrections.layout or options.layout,
            px_per_mm=options.px_per_mm if corrections.ruler is None else _by_ruler(corrections.ruler, scaled),
        )

    def _measure(self, corrections: Corrections) -> tuple[OpenedPage, MeasuredPage]:
        opened = self._open(corrections)
        if all(
            each is None for each in (corrections.ruler, corrections.speed, corrections.gain, corrections.chest_gain)
        ):
            return opened, opened.measured
        page = opened.measured.page

        def measure() -> MeasuredPage:
            scaled = ScaledPage(page, measure_scale(page.image, page.period_px))
            again = measure_page(scaled, self._known(corrections, scaled), opened.measured.calibration.printed)
            return with_rows_of(again, opened.measured)

        key = (page, corrections.ruler, corrections.speed, corrections.gain, corrections.chest_gain)
        return opened, self._measured.get(key, measure)

    def _see(self, opened: OpenedPage, measured: MeasuredPage) -> PageInk:
        key = (measured.page, measured.calibration.px_per_mm)
        return self._ink.get(key, lambda: see_ink(measured, opened.segmenter, Clock()))

    def _follow(self, opened: OpenedPage, measured: MeasuredPage, corrections: Corrections) -> PageLines:
        rows, seen = corrections.rows, self._see(opened, measured)
        levels = None if rows is None else tuple(_on_working(measured, rows)[:, 1].tolist())
        key = (measured.page, measured.calibration.px_per_mm, rows)
        return self._lines.get(key, lambda: follow_lines(measured, seen, Clock(), levels))


def _line_edits(measured: MeasuredPage, corrections: Corrections, n_rows: int) -> LineEdits:
    edits = LineEdits()
    for each in corrections.lines:
        if not 0 <= each.row < n_rows:
            raise ConfigError(f"a line was drawn in row {each.row + 1}, but {n_rows} rows were found on this page")
        if isinstance(each, DrawnLine):
            edits = edits.draw(each.row, _on_working(measured, each.points))
        else:
            (begin, _), (end, _) = _on_working(measured, (each.begin, each.end)).tolist()
            edits = edits.lose(each.row, begin, end)
    return edits


def _by_ruler(ruler: Ruler, scaled: ScaledPage) -> PxPerMm:
    """Return the scale by which the ruler is as long as a person says; a grid gives its own ratio of y to x."""
    first, second = scaled.page.on_image(np.array([ruler.first, ruler.second]))
    grid = scaled.scale.grid
    measured = PxPerMm(1.0, 1.0) if grid is None else grid.px_per_mm
    factor = float(np.hypot(*((second - first) / [measured.x, measured.y]))) / ruler.mm
    if grid is not None:
        nearest = min((1.0, *USUAL_MISREADINGS), key=lambda usual: abs(np.log(factor / usual)))
        factor = nearest if abs(np.log(factor / nearest)) < SNAP else factor
    own = factor / scaled.page.enlarged
    return measured.scaled(own, own)


def _on_working(measured: MeasuredPage, points: tuple[Point, ...]) -> Float64[np.ndarray, "k 2"]:
    on_page = measured.page.on_image(np.array(points, np.float64).reshape(-1, 2))
    return measured.working.from_page(on_page)
