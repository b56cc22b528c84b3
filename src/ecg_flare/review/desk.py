"""What lies open: the folder, and the few pages of it that were looked at last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.errors import EcgFlareError, ReviewError
from ecg_flare.review.decisions import Review
from ecg_flare.review.folder import ReviewFolder, ReviewPage
from ecg_flare.review.open_page import OpenPage

MAX_OPEN: Final = 3
"""Pages: the one that is shown, and its neighbours. Each holds its picture and the stages of its reading."""

MAX_OPEN_PX: Final = 60_000_000
"""Pixels of all pictures that are open beside the one that is shown: each takes about 15 bytes."""


class UnknownPageError(ReviewError):
    """The folder has no page of that name."""


class Desk:
    """Opens pages when they are asked for, and puts those away that nobody looked at for longest."""

    def __init__(self, folder: ReviewFolder, options: ReadingOptions, reviewer: str) -> None:
        self.folder = folder
        self.reviewer = reviewer
        self._options = options
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self._open: OrderedDict[str, OpenPage] = OrderedDict()

    def listed(self) -> list[dict[str, Any]]:
        """All pages as the browser lists them."""
        return [self._row(page) for page in self.folder.pages()]

    @contextmanager
    def page(self, name: str) -> Iterator[OpenPage]:
        """A page, for one request alone. Raises UnknownPageError, or PageError or ReviewError where it cannot open."""
        with self._lock:
            opening = self._opening.setdefault(name, threading.Lock())
        with opening:
            found = self._open.get(name)
            if found is None:
                found = OpenPage(self.folder.folder, self._find(name), self._options)
            self._keep(name, found)
        with found.lock:
            yield found

    def save_all(self) -> None:
        """Write the files of all open pages that are not yet written."""
        for open_page in list(self._open.values()):
            with open_page.lock:
                open_page.save()

    def _find(self, name: str) -> ReviewPage:
        for page in self.folder.pages():
            if page.name == name:
                return page
        raise UnknownPageError(f"this folder has no page {name!r:.60}")

    def _keep(self, name: str, open_page: OpenPage) -> None:
        with self._lock:
            self._open[name] = open_page
            self._open.move_to_end(name)
            put_away = [self._open.popitem(last=False)[1] for _ in range(self._too_many())]
        for other in put_away:
            with other.lock:
                other.save()

    def _too_many(self) -> int:
        """How many pages are put away: those that were looked at longest ago, beyond the limits; never the last one."""
        *others, _ = (page.corrected.image for page in self._open.values())
        kept, pixels = 0, 0
        for image in reversed(others):
            pixels += image.shape[0] * image.shape[1]
            if kept + 1 >= MAX_OPEN or pixels > MAX_OPEN_PX:
                break
            kept += 1
        return len(others) - kept

    def _row(self, page: ReviewPage) -> dict[str, Any]:
        problem = page.problem
        try:
            review = self.folder.review_of(page.name)
        except EcgFlareError as error:
            review, problem = Review(), str(error)
        report = page.report or {}
        reviewed = report.get("review", {})
        return {
            "name": page.name,
            "title": page.name if page.source is None else page.source.title,
            "confidence": None if page.report is None else page.confidence,
            "layout": report.get("layout", {}).get("name"),
            "warnings": len(report.get("warnings", [])),
            "decisions": len(review.made),
            "confirmed": bool(reviewed.get("whole_page")) and bool(review.confirmed),
            "problem": problem,
        }
