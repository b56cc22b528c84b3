"""A picture read back: one file a stage, from the page image to twelve leads in mV."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "files.batch": ("BatchOptions", "BatchSummary", "run_batch"),
    "files.output": ("write_result",),
    "files.overlay": ("draw_overlay",),
    "files.reader": ("PageImage", "count_pages", "read_page"),
    "ink.segment": ("Segmenter", "classical_segmenter", "load_segmenter"),
    "measure.calibrate": ("Calibration",),
    "pipeline": ("digitize",),
    "result": ("Digitization",),
}

if TYPE_CHECKING:
    from ecg_flare.digitize.files.batch import BatchOptions, BatchSummary, run_batch
    from ecg_flare.digitize.files.output import write_result
    from ecg_flare.digitize.files.overlay import draw_overlay
    from ecg_flare.digitize.files.reader import PageImage, count_pages, read_page
    from ecg_flare.digitize.ink.segment import Segmenter, classical_segmenter, load_segmenter
    from ecg_flare.digitize.measure.calibrate import Calibration
    from ecg_flare.digitize.pipeline import digitize
    from ecg_flare.digitize.result import Digitization
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = [
    "BatchOptions",
    "BatchSummary",
    "Calibration",
    "Digitization",
    "PageImage",
    "Segmenter",
    "classical_segmenter",
    "count_pages",
    "digitize",
    "draw_overlay",
    "load_segmenter",
    "read_page",
    "run_batch",
    "write_result",
]
