"""A picture read back: from the page image to twelve leads in mV. pipeline.py reads straight down."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "archive.run": ("read_archive",),
    "confidence": ("CONFIDENT",),
    "files.batch": ("run_batch",),
    "files.summary": ("BatchSummary",),
    "files.output": ("write_result",),
    "files.overlay": ("draw_overlay",),
    "ink.candidates": ("load_segmenters",),
    "ink.classical": ("classical_segmenter",),
    "ink.segmenters": (
        "Segmenter",
        "register_segmenter",
        "segmenter_names",
    ),
    "leads.lead_reading": ("LeadReading",),
    "measure.calibration": ("Calibration",),
    "options": ("ReadingOptions",),
    "outputs": ("Outputs",),
    "pipeline": ("digitize",),
    "result": ("Digitization",),
    "units": ("PxPerMm",),
}

if TYPE_CHECKING:
    from ecg_flare.digitize.archive.run import read_archive
    from ecg_flare.digitize.confidence import CONFIDENT
    from ecg_flare.digitize.files.batch import run_batch
    from ecg_flare.digitize.files.output import write_result
    from ecg_flare.digitize.files.overlay import draw_overlay
    from ecg_flare.digitize.files.summary import BatchSummary
    from ecg_flare.digitize.ink.candidates import load_segmenters
    from ecg_flare.digitize.ink.classical import classical_segmenter
    from ecg_flare.digitize.ink.segmenters import Segmenter, register_segmenter, segmenter_names
    from ecg_flare.digitize.leads.lead_reading import LeadReading
    from ecg_flare.digitize.measure.calibration import Calibration
    from ecg_flare.digitize.options import ReadingOptions
    from ecg_flare.digitize.outputs import Outputs
    from ecg_flare.digitize.pipeline import digitize
    from ecg_flare.digitize.result import Digitization
    from ecg_flare.digitize.units import PxPerMm
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = [
    "CONFIDENT",
    "BatchSummary",
    "Calibration",
    "Digitization",
    "LeadReading",
    "Outputs",
    "PxPerMm",
    "ReadingOptions",
    "Segmenter",
    "classical_segmenter",
    "digitize",
    "draw_overlay",
    "load_segmenters",
    "read_archive",
    "register_segmenter",
    "run_batch",
    "segmenter_names",
    "write_result",
]
