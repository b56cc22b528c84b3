"""ECG pages as a task: find the traces in a page's picture."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "evaluate": ("evaluate_pages",),
    "inspection": ("inspect_pages",),
    "page_case": ("PageCase",),
    "page_folder": ("PageFolder",),
    "pooled_pages": ("PooledPages",),
    "predictor": ("NetworkSegmenter", "bundled_segmenter"),
    "sources": ("PtbxlPages", "SyntheticPages"),
}

if TYPE_CHECKING:
    from ecg_flare.task.traces.evaluate import evaluate_pages
    from ecg_flare.task.traces.inspection import inspect_pages
    from ecg_flare.task.traces.page_case import PageCase
    from ecg_flare.task.traces.page_folder import PageFolder
    from ecg_flare.task.traces.pooled_pages import PooledPages
    from ecg_flare.task.traces.predictor import NetworkSegmenter, bundled_segmenter
    from ecg_flare.task.traces.sources import PtbxlPages, SyntheticPages
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = [
    "NetworkSegmenter",
    "PageCase",
    "PageFolder",
    "PooledPages",
    "PtbxlPages",
    "SyntheticPages",
    "bundled_segmenter",
    "evaluate_pages",
    "inspect_pages",
]
