"""A recording and the page that it was printed on: a page whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

from ecg_flare.ecg.record import Recording
from ecg_flare.page.files import as_printed
from ecg_flare.page.page import Page
from ecg_flare.page.resample import resample_page
from ecg_flare.task.traces.page_case import PageCase


@dataclass(frozen=True, eq=False)
class PrintedRecord:
    """A recording and the page that it was printed on, at the resolution that the page was scanned at."""

    name: str
    patient_id: str
    recording: Recording
    page: Page

    @property
    def case(self) -> PageCase:
        """The page as the network learns from it."""
        page = resample_page(self.page)
        return PageCase(self.name, self.patient_id, page.image, page.mask)

    @property
    def shown(self) -> Recording:
        """The recording with NaN wherever the page does not show it."""
        return as_printed(self.recording, self.page.truth)
