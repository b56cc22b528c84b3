"""Data sets in nnU-Net's raw format as a kind of task: what is looked for is every label but the background."""

from __future__ import annotations

from functools import partial
from typing import Final

from ecg_flare.nnunet.kinds import TaskKind
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.sliding_window import segment_prepared
from ecg_flare.nnunet.task import Task
from ecg_flare.task.datasets.folder import check_source
from ecg_flare.task.datasets.measure import dice_on_cases
from ecg_flare.task.datasets.plans import KIND_NAME, trainer_of


def dataset_task(plan: Plan) -> Task:
    """The task of a plan for a data set in nnU-Net's raw format."""
    return Task(
        plan=plan,
        foreground=tuple(name for name, values in plan.labels.items() if values != (0,)),
        ignored=None,
        trainer=trainer_of(plan),
        segment=partial(segment_prepared, plan),
        metric=partial(dice_on_cases, plan),
        made_by=tuple(f"task/datasets/{name}.py" for name in ("case", "folder")),
        check_source=partial(check_source, plan),
        measured_preprocessed=True,
    )


KIND: Final = TaskKind(KIND_NAME, dataset_task, presets={}, sources=("ecg_flare.task.datasets.folder.NnunetFolder",))
