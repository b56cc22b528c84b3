"""A person at the review, scripted: sees the truth of a rendered page, and decides as somebody would who looks at it.

A line is mended only where it leaves the ink by more than SEEN_MM: by clicks on the ink that the tracer then follows,
and by hand where it still leaves it then.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.leads.by_hand import places_of
from ecg_flare.digitize.result import Digitization
from ecg_flare.errors import EcgFlareError
from ecg_flare.page.truth import LeadTrace, PageTruth
from ecg_flare.review.decisions import Decision
from ecg_flare.review.open_page import OpenPage

SEEN_MM: Final = 0.8
WINDOW_S: Final = 0.5
CLICK_S: Final = 0.1
SAME: Final = 0.03
BORDER_MM: Final = 0.6
ROW_MM: Final = 4.0


@dataclass
class Person:
    """Reviews one page: what was decided, how many clicks it took, and what the app took for it, in seconds."""

    opened: OpenPage
    truth: PageTruth
    decided: list[str] = field(default_factory=list)
    clicks: int = 0
    refused: int = 0
    seconds: float = 0.0

    def mend(self) -> None:
        """Set what is wrong of the page as a whole, its rows first, then names and borders, then the lines."""
        self._rows()
        result = self.opened.result
        if result is None or result.layout != self.truth.layout:
            self._decide("layout", self.truth.layout)
        for what, true in (("speed", self.truth.speed_mm_per_s), ("gain", self.truth.gain_mm_per_mv)):
            calibration = self._result().calibration
            found = calibration.speed_mm_per_s if what == "speed" else calibration.gain_mm_per_mv
            if abs(found / true - 1.0) > SAME:
                self._decide(what, true)
        self._names()
        self._borders()
        for trace in self.truth.traces:
            self._line(trace)

    def confirm(self) -> None:
        """Confirm every lead."""
        places = sorted(places_of([lead.span for lead in self._result().leads]))
        self._decide("confirm", [list(place) for place in places])

    def _result(self) -> Digitization:
        if self.opened.result is None:
            raise EcgFlareError(f"the page cannot be read: {self.opened.error}")
        return self.opened.result

    def _decide(self, what: str, value: Any) -> bool:
        """Decide, as the app does, and say whether it was taken."""
        begun = time.perf_counter()
        decision = Decision(what, value, "scripted", "2026-11-30T00:00:00+00:00")
        try:
            self.opened.decide(decision, str(self.opened.journal.head))
        except EcgFlareError:
            self.refused += 1
            return False
        finally:
            self.seconds += time.perf_counter() - begun
        self.decided.append(what)
        return True

    def _on_page(self, points: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "k 2"]:
        return np.array(self.opened.on_page(points))

    def _place(self, trace: LeadTrace) -> tuple[int, int] | None:
        """The place of the reading that a lead's ink stands at."""
        x, y = np.median(self._on_page(trace.polyline), axis=0)
        result = self._result()
        levels = [float(np.nanmedian(line[:, 1])) for line in result.polylines]
        row = int(np.abs(np.array(levels) - y).argmin())
        places = places_of([lead.span for lead in result.leads])
        for place, number in places.items():
            span = result.leads[number].span
            if place[0] == row and span.left_px <= x <= span.right_px:
                return place
        return None

    def _rows(self) -> None:
        """Say which rows there are, where one was missed, or something else was taken for one."""
        if self.opened.result is None:
            return
        rows = sorted({trace.row for trace in self.truth.traces})
        ink = [np.concatenate([trace.polyline for trace in self.truth.traces if trace.row == row]) for row in rows]
        levels = np.array([np.median(self._on_page(points), axis=0) for points in ink])
        if self._are_rows(levels[:, 1]):
            return
        self.clicks += len(rows)
        self._decide("rows", self.opened.on_picture(levels))

    def _are_rows(self, levels_px: Float64[np.ndarray, " n"]) -> bool:
        result = self._result()
        found = np.array([float(np.nanmedian(line[:, 1])) for line in result.polylines])
        if len(found) != len(levels_px):
            return False
        return bool(np.abs(np.sort(found) - np.sort(levels_px)).max() < ROW_MM * result.calibration.px_per_mm.y)

    def _names(self) -> None:
        result = self._result()
        places = places_of([lead.span for lead in result.leads])
        wrong = [
            {"row": place[0], "place": place[1], "lead": trace.lead}
            for trace in self.truth.traces
            if (place := self._place(trace)) is not None and result.leads[places[place]].span.lead != trace.lead
        ]
        if wrong:
            self._decide("names", wrong)

    def _borders(self) -> None:
        result = self._result()
        places = places_of([lead.span for lead in result.leads])
        unit = result.calibration.px_per_mm.x
        wrong: list[dict[str, Any]] = []
        for trace in self.truth.traces:
            place = self._place(trace)
            if place is None:
                continue
            span = result.leads[places[place]].span
            ends = self._on_page(trace.polyline[[0, -1]])
            for side, found, true in (("left", span.left_px, ends[0]), ("right", span.right_px, ends[1])):
                inside = 0 <= true[0] < result.page.image.shape[1]
                if inside and abs(found - true[0]) > BORDER_MM * unit:
                    [at] = self.opened.on_picture(true[None])
                    wrong.append({"row": place[0], "place": place[1], "side": side, "at": at})
        if wrong:
            self._decide("borders", wrong)

    def _line(self, trace: LeadTrace) -> None:
        place = self._place(trace)
        if place is None:
            return
        wrong = [self._leaves_ink(points, place[0]) for points in _windows(trace)]
        for points in _joined(trace, wrong):
            shown = self._on_page(points)
            width, height = self._result().page.image.shape[1], self._result().page.image.shape[0]
            if shown.min() < 0 or shown[:, 0].max() >= width or shown[:, 1].max() >= height:
                continue  # cut off
            clicks = _clicks(points, shown, WINDOW_S * len(trace.polyline) / (trace.end_s - trace.start_s))
            if not self._follow(place[0], clicks) or self._leaves_ink(points, place[0]):
                self._draw(place[0], points, shown)

    def _follow(self, row: int, clicks: Float64[np.ndarray, "k 2"]) -> bool:
        self.clicks += len(clicks)
        begun = time.perf_counter()
        try:
            line = self.opened.corrected.follow(self.opened.corrections, tuple(map(tuple, clicks.tolist())))
        except EcgFlareError:
            self.refused += 1
            return False
        finally:
            self.seconds += time.perf_counter() - begun
        return self._decide("line", {"row": row, "points": [list(point) for point in line], "how": "followed"})

    def _draw(self, row: int, points: Float64[np.ndarray, "k 2"], shown: Float64[np.ndarray, "k 2"]) -> None:
        """Draw the ink by hand, to a pixel of the page that is shown."""
        drawn = np.round(shown[:: max(1, len(points) // 1000)])
        self._decide("line", {"row": row, "points": self.opened.on_picture(drawn), "how": "drawn"})

    def _leaves_ink(self, points: Float64[np.ndarray, "k 2"], row: int) -> bool:
        result = self._result()
        shown, line = self._on_page(points), result.polylines[row]
        near = line[(line[:, 0] > shown[:, 0].min() - 20) & (line[:, 0] < shown[:, 0].max() + 20)]
        near = near[np.isfinite(near[:, 1])]
        if len(near) < 2:
            return True
        dense = np.concatenate([near, (near[1:] + near[:-1]) / 2])
        unit = np.array([result.calibration.px_per_mm.x, result.calibration.px_per_mm.y])
        away = np.linalg.norm((shown[:, None] - dense[None]) / unit, axis=2).min(axis=1)
        return float(np.quantile(away, 0.98)) > SEEN_MM


def _windows(trace: LeadTrace) -> Iterator[Float64[np.ndarray, "k 2"]]:
    """Yield a lead's ink in stretches of WINDOW_S; the last one may be shorter."""
    for begin in _begins(trace):
        yield _part(trace, begin, begin + WINDOW_S)


def _joined(trace: LeadTrace, wrong: Sequence[bool]) -> Iterator[Float64[np.ndarray, "k 2"]]:
    """Yield the ink of windows that are wrong one after another as one stretch, as a hand goes along it."""
    begins = _begins(trace)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wrong, [False]]).astype(int)))
    for first, after in edges.reshape(-1, 2):
        yield _part(trace, begins[first], begins[after - 1] + WINDOW_S)


def _begins(trace: LeadTrace) -> Float64[np.ndarray, " n"]:
    times = trace.times_s()
    begins: Float64[np.ndarray, " n"] = np.arange(times[0], times[-4], WINDOW_S)
    return begins


def _part(trace: LeadTrace, begin_s: float, end_s: float) -> Float64[np.ndarray, "k 2"]:
    times = trace.times_s()
    return trace.polyline[(times >= begin_s) & (times <= end_s)]


def _clicks(
    points: Float64[np.ndarray, "k 2"], shown: Float64[np.ndarray, "k 2"], per_window: float
) -> Float64[np.ndarray, "n 2"]:
    """Places that a person clicks, left to right: of every WINDOW_S its ends, the highest and the lowest point, and
    others every CLICK_S.
    """
    chosen: set[int] = set()
    for part in np.array_split(np.arange(len(points)), max(1, round(len(points) / per_window))):
        steps = max(2, round(WINDOW_S / CLICK_S) + 1)
        chosen |= {int(part[at]) for at in np.linspace(0, len(part) - 1, steps).round().astype(int)}
        chosen |= {int(part[shown[part, 1].argmin()]), int(part[shown[part, 1].argmax()])}
    kept: list[int] = []
    for index in sorted(chosen):
        if not kept or shown[index, 0] - shown[kept[-1], 0] >= 1.0:
            kept.append(index)
    return points[kept]
