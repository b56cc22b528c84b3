"""One page under review: its picture, its decisions, and its reading as they make it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float64, UInt8

from ecg_flare.digitize.archive.identity import file_digest
from ecg_flare.digitize.confidence import WRITTEN
from ecg_flare.digitize.corrected_page import CorrectedPage
from ecg_flare.digitize.corrections import NO_CORRECTIONS, Corrections
from ecg_flare.digitize.files.output import withheld_reason, write_result
from ecg_flare.digitize.files.overlay import draw_overlay
from ecg_flare.digitize.leads.by_hand import places_of
from ecg_flare.digitize.leads.lead_reading import LeadReading
from ecg_flare.digitize.options import FS_RANGE_HZ, ReadingOptions
from ecg_flare.digitize.outputs import Outputs
from ecg_flare.digitize.result import Digitization
from ecg_flare.documents import Fields
from ecg_flare.errors import EcgFlareError, PageError, ReviewError
from ecg_flare.page.layout import layout_names
from ecg_flare.page.reader import read_page
from ecg_flare.review.decisions import AGAIN, SET_ASIDE, Decision, Review, before, check_kind, review_of
from ecg_flare.review.folder import ReviewPage
from ecg_flare.review.journal import DecidedMeanwhileError, Journal, journal_path, read_journal
from ecg_flare.storage import write_json

_MAY_LEAVE_UNREAD: Final = ("turn", "corners", "ruler", "undo", "redo", "set_aside", "again")
"""Decisions that are kept where the page cannot be read after them: the next one may mend that."""

CONFIRMED_AS: Final = "wfdb"
"""The format that every reviewed recording is written in, whatever others are."""

ONLY_CONFIRMED: Final = "the recording holds the confirmed leads alone: the others are too uncertain to be written"

_MEASURES: Final = {"speed": "speed_mm_per_s", "gain": "gain_mm_per_mv", "chest_gain": "chest_gain_mm_per_mv"}


class OpenPage:
    """A page that is open in the app; its methods are called by one thread at a time, which `lock` sees to."""

    def __init__(self, folder: Path, page: ReviewPage, options: ReadingOptions) -> None:
        if page.source is None:
            raise ReviewError(page.problem)
        self.lock = threading.RLock()
        self.page = page
        self.source = page.source
        self._folder = folder
        self._digest = file_digest(page.source.path)
        picture = read_page(page.source)
        self.notes = picture.warnings
        self.journal: Journal = read_journal(journal_path(folder, page.name))
        self.review: Review = review_of(self.journal.decisions)
        self._report = page.report
        self.offered = self._why_offered()
        self._outputs = options.outputs
        self._segmenter = options.segmenter if isinstance(options.segmenter, str) else None
        self._given = {} if page.report is None else _given(page.report, page.name)
        self.corrected = CorrectedPage(picture.image, replace(options, **self._given))
        self.result: Digitization | None = None
        self.error = ""
        self.unsaved = ""
        self.is_saved = not self.journal.decisions or (
            self._report is not None and self._report.get("review", {}).get("head") == str(self.journal.head)
        )
        self._read(self.corrections)
        self._follow_layout(picture.image, options)

    @property
    def corrections(self) -> Corrections:
        """Those that the reading has: none while they are offered after the page was read again."""
        return NO_CORRECTIONS if self.offered else self.review.corrections

    @property
    def is_confirmed(self) -> bool:
        """Whether every lead that was read is confirmed."""
        leads = () if self.result is None else tuple(lead.span for lead in self.result.leads)
        return bool(leads) and not self.offered and set(places_of(leads)) <= self.review.confirmed

    @property
    def confirmed_leads(self) -> tuple[LeadReading, ...]:
        """The leads that somebody confirmed, as they are read now."""
        if self.result is None or self.offered:
            return ()
        leads = self.result.leads
        places = places_of([lead.span for lead in leads])
        return tuple(leads[number] for place, number in places.items() if place in self.review.confirmed)

    @property
    def withheld(self) -> str:
        """Why not all of the recording is written; '' where it is, as of a page that somebody confirmed."""
        if self.result is None or self.is_confirmed or withheld_reason(self.result.confidence) is None:
            return ""
        confidence = self.result.confidence
        return f"The confidence is {confidence:.2f}, below {WRITTEN:g}: only leads that you confirm are written."

    def decide(self, decision: Decision, head: str) -> None:
        """Read the page with one more decision, and put that on disk.

        `head` is the journal's head that the decision was made on. Raises DecidedMeanwhileError where another one was
        made since, ConfigError, LayoutError or PageError for what the page cannot be read with, StorageError where it
        cannot be saved; nothing is changed then.
        """
        self.follow_others()
        if head != str(self.journal.head):
            raise DecidedMeanwhileError(
                f"{self._last_said()} since this page was shown here: look at it as it is now, then decide again"
            )
        if self.offered and decision.what not in (AGAIN, SET_ASIDE):
            raise ReviewError("first say whether the earlier corrections are made again or set aside")
        check_kind(decision.what, decision.value, self.review)
        review = review_of((*self.journal.decisions, decision))
        result, error = self._tried(review.corrections, decision.what)
        stood = before(self.review.corrections, decision.what)
        earlier = self.journal.head
        self.journal = self.journal.append(decision, self._digest, stood)
        self.review, self.offered, self.result, self.error = review, "", result, error
        self.is_saved = False
        self._mark_reviewed(str(earlier))

    def follow_others(self) -> None:
        """Show what others decided since, in another process; raises ReviewError where the journal was changed."""
        on_disk = read_journal(self.journal.path)
        if on_disk.head == self.journal.head:
            return
        since = on_disk.decisions[len(self.journal.decisions) :]
        if any(decision.what in (AGAIN, SET_ASIDE) for decision in since):
            self.offered = ""
        self.journal, self.review = on_disk, review_of(on_disk.decisions)
        self.is_saved = True  # by who decided
        self._read(self.corrections)

    def on_picture(self, points: Float64[np.ndarray, "k 2"]) -> list[list[float]]:
        """Places of the page that is shown in pixels of the picture."""
        if self.result is None:
            return [[float(x), float(y)] for x, y in points]
        return [[round(float(x), 3), round(float(y), 3)] for x, y in self.result.page.on_picture(points)]

    def on_page(self, points: Float64[np.ndarray, "k 2"]) -> list[list[float]]:
        """Places of the picture in pixels of the page that is shown."""
        if self.result is not None:
            points = self.result.page.on_image(points)
        return [[round(float(x), 3), round(float(y), 3)] for x, y in points]

    def save(self) -> None:
        """Write the reading's files as the last decision made it, where they are not yet; `unsaved` says why not.

        Where somebody else decided since, the files are theirs to write.
        """
        if self.is_saved or self.result is None or not self.journal.decisions:
            return
        try:
            self.follow_others()
            if self.is_saved:
                return
            write_result(
                self._to_write(self.result),
                draw_overlay(self.result),
                self._folder,
                self.source,
                options=ReadingOptions(force=bool(self.confirmed_leads), outputs=self._written()),
                review=self.report_section(),
            )
        except EcgFlareError as error:
            self.unsaved = str(error)
            return
        self.unsaved, self.is_saved = "", True

    def _to_write(self, result: Digitization) -> Digitization:
        """The reading as it is written: of one that is withheld otherwise, the confirmed leads alone."""
        warnings = (*self.notes, *result.warnings)
        if not self.withheld or not self.confirmed_leads:
            return replace(result, warnings=warnings)
        recording = result.recording
        signal = np.full_like(recording.signal_mv, np.nan)
        for lead in self.confirmed_leads:
            at = recording.lead_names.index(lead.span.lead), lead.span.samples(recording.fs_hz)
            signal[at] = recording.signal_mv[at]
        return replace(result, recording=replace(recording, signal_mv=signal), warnings=(*warnings, ONLY_CONFIRMED))

    def _written(self) -> Outputs:
        """The formats of the first reading, and WFDB, by which confirmed pages are known again."""
        return replace(self._outputs, formats=(*self.page.formats, CONFIRMED_AS))

    def report_section(self) -> Mapping[str, Any]:
        """What NAME.json says of the review."""
        right = [lead.span for lead in self.confirmed_leads]
        return {
            "head": str(self.journal.head),
            "decisions": len(self.review.made),
            "confirmed": [{"lead": span.lead, "row": span.row, "left_px": round(span.left_px, 2)} for span in right],
            "whole_page": self.is_confirmed,
            "who": self.journal.decisions[-1].who if self.journal.decisions else None,
            "given": dict(self._given),
            "segmenter": self._segmenter,
        }

    def _mark_reviewed(self, head: str) -> None:
        """Say in NAME.json that its reading is under review: whoever opens the page next knows it from a new reading.

        `head` is that of the decisions which its files already show.
        """
        if self._report is None or "review" in self._report:
            return
        section = {**self.report_section(), "head": head, "confirmed": [], "whole_page": False}
        self._report = {**self._report, "review": section}
        try:
            write_json(self._folder / f"{self.page.name}.json", self._report)
        except EcgFlareError as error:
            self.unsaved = str(error)

    def _why_offered(self) -> str:
        """Say why the decisions on disk are not those of the reading on disk; '' where they are."""
        if not self.review.made or (self.journal.decisions and self.journal.decisions[-1].what == AGAIN):
            return ""
        if self.journal.picture not in (None, self._digest):
            return "The picture was changed after it was reviewed: earlier corrections may not fit it."
        if self._report is not None and "review" not in self._report:
            return "This page was read again after it was reviewed."
        return ""

    def _follow_layout(self, image: UInt8[np.ndarray, "h w 3"], options: ReadingOptions) -> None:
        """Read the page anew with the layout of its report, where another one is found without being told."""
        if self._report is None or "review" in self._report or self.result is None or self.review.made:
            return
        told = Fields(self._report.get("layout"), f"{self.page.name}.json, layout", ReviewError).text("name")
        if told == self.result.layout or told not in layout_names():
            return
        self._given = {**self._given, "layout": told}
        self.corrected = CorrectedPage(image, replace(options, **self._given))
        self._read(self.corrections)

    def _last_said(self) -> str:
        if not self.journal.decisions:
            return "something was decided"
        last = self.journal.decisions[-1]
        return f"{last.who} decided ({last.what}, {last.when})"

    def _read(self, corrections: Corrections) -> None:
        try:
            self.result, self.error = self.corrected.read(corrections), ""
        except EcgFlareError as error:
            self.result, self.error = None, str(error)

    def _tried(self, corrections: Corrections, what: str) -> tuple[Digitization | None, str]:
        try:
            return self.corrected.read(corrections), ""
        except PageError as error:
            if self.result is None or what in _MAY_LEAVE_UNREAD:
                return None, str(error)
            raise


def now() -> str:
    """The time, in UTC, as decisions say it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _given(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What the page's first reading was told of it, as options of another one.

    Raises ReviewError where the report says something else than numbers.
    """
    if isinstance(review := report.get("review"), Mapping) and isinstance(review.get("given"), Mapping):
        fields, known = Fields(review["given"], f"{name}.json, review, given", ReviewError), review["given"]
        given = {
            each: fields.number(each, 0.0, 1e4) for each in ("speed", "gain", "chest_gain", "fs_hz") if each in known
        }
        if "px_per_mm" in known:
            given["px_per_mm"] = fields.series("px_per_mm", 0.0, 1e4)
        return given | ({"layout": fields.text("layout")} if "layout" in known else {})
    measures = Fields(report.get("calibration"), f"{name}.json, calibration", ReviewError)
    recording = Fields(report.get("recording"), f"{name}.json, recording", ReviewError)
    given = {"fs_hz": recording.number("fs_hz", *FS_RANGE_HZ)}
    for each, field in _MEASURES.items():
        if measures.text(f"{each}_source") == "given":
            given[each] = measures.number(field, 0.0, 1e4)
    if measures.text("method") == "given":
        given["px_per_mm"] = tuple(measures.number(f"px_per_mm_{axis}", 0.0, 1e4) for axis in "xy")
    return given
