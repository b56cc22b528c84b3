"""ECG pages as a kind of task: find the traces, in one resolution, with no mirroring, as a mirrored ECG is another."""

from __future__ import annotations

from functools import partial
from typing import Final

from ecg_flare.nnunet.kinds import TaskKind
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.task import Task
from ecg_flare.page.raster import IGNORED, Label
from ecg_flare.task.traces.decibels import decibels_on_pages
from ecg_flare.task.traces.measure import dice_on_pages, segment_page
from ecg_flare.task.traces.plans import KIND_NAME, PRESETS, trace_plan


def trace_task(plan: Plan) -> Task:
    """The task of a plan for ECG pages."""
    return Task(
        plan=plan,
        foreground=(Label.TRACE.name.lower(),),
        ignored=IGNORED,
        trainer="nnUNetTrainerNoMirroring",
        segment=partial(segment_page, plan),
        metric=partial(dice_on_pages, plan),
        further=partial(decibels_on_pages, plan),
        made_by=(
            "ecg",
            "page",
            *(f"task/traces/{name}.py" for name in ("page_case", "page_folder", "printed", "sources")),
        ),
    )


KIND: Final = TaskKind(
    KIND_NAME,
    trace_task,
    {name: partial(trace_plan, name) for name in PRESETS},
    sources=(
        "ecg_flare.task.traces.sources.SyntheticPages",
        "ecg_flare.task.traces.sources.PtbxlPages",
        "ecg_flare.task.traces.page_folder.PageFolder",
    ),
)
