"""Data sets in nnU-Net's raw format as a task: images of two or three dimensions, of one or several channels."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "folder": ("NnunetFolder",),
    "inspection": ("inspect_folder",),
    "plans": ("preset_plan", "stock_plan"),
}

if TYPE_CHECKING:
    from ecg_flare.task.datasets.folder import NnunetFolder
    from ecg_flare.task.datasets.inspection import inspect_folder
    from ecg_flare.task.datasets.plans import preset_plan, stock_plan
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = ["NnunetFolder", "inspect_folder", "preset_plan", "stock_plan"]
