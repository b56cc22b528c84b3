"""A person at the review, scripted: sees the truth of a rendered page, and decides as somebody would who looks at it.

A line is mended only where it leaves the ink by more than SEEN_MM, by clicks on the ink that the tracer then follows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
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

    def _decide(self, what: str, value: Any) -> None:
        begun = time.perf_counter()
        decision = Decision(what, value, "scripted", "2026-11-30T00:00:00+00:00")
        try:
            self.opened.decide(decision, str(self.opened.journal.head))
        except EcgFlareError:
            self.refused += 1
            return
        finally:
            self.seconds += time.perf_counter() - begun
        self.decided.append(what)

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
        """Say which rows there are, where another number of them was found."""
        if self.opened.result is None:
            return
        rows = sorted({trace.row for trace in self.truth.traces})
        if len(self.opened.result.polylines) == len(rows):
            return
        ink = [np.concatenate([trace.polyline for trace in self.truth.traces if trace.row == row]) for row in rows]
        self.clicks += len(rows)
        self._decide("rows", [np.median(points, axis=0).tolist() for points in ink])

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
        for points in _windows(trace):
            place = self._place(trace)
            if place is None or not self._leaves_ink(points, place[0]):
                continue
            shown = self._on_page(points)
            width, height = self._result().page.image.shape[1], self._result().page.image.shape[0]
            if shown.min() < 0 or shown[:, 0].max() >= width or shown[:, 1].max() >= height:
                continue  # cut off
            clicks = _clicks(points, shown)
            self.clicks += len(clicks)
            begun = time.perf_counter()
            try:
                line = self.opened.corrected.follow(self.opened.corrections, tuple(map(tuple, clicks.tolist())))
            except EcgFlareError:
                self.refused += 1
                continue
            finally:
                self.seconds += time.perf_counter() - begun
            self._decide("line", {"row": place[0], "points": [list(point) for point in line], "how": "followed"})

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
    times = trace.times_s()
    for begin in np.arange(times[0], times[-1], WINDOW_S):
        points = trace.polyline[(times >= begin) & (times <= begin + WINDOW_S)]
        if len(points) > 4:
            yield points


def _clicks(points: Float64[np.ndarray, "k 2"], shown: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "n 2"]:
    """Places that a person clicks: the ends, every CLICK_S, and the highest and the lowest point; left to right."""
    steps = max(2, round(WINDOW_S / CLICK_S) + 1)
    chosen = {*np.linspace(0, len(points) - 1, steps).round().astype(int).tolist()}
    chosen |= {int(shown[:, 1].argmin()), int(shown[:, 1].argmax())}
    kept: list[int] = []
    for index in sorted(chosen):
        if not kept or shown[index, 0] - shown[kept[-1], 0] >= 1.0:
            kept.append(index)
    return points[kept]
