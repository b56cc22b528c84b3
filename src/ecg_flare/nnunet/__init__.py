"""nnU-Net trained round by round, for any task: prepared cases, the trainer and its process."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "case": ("Case", "CaseSource"),
    "dataset": ("PreparedDataset", "open_dataset", "prepare"),
    "export": ("StoredModel", "export_model_folder", "load_bundled", "load_model", "save_model"),
    "kinds": ("TaskKind", "plan_preset", "preset_names", "register_kind", "task_of"),
    "plan": ("Plan", "initial_vector"),
    "sources": ("build_source", "register_source"),
    "task": ("DiceEvaluation", "LabelCounts", "Task"),
    "trainer": ("LocalTrainer", "TrainOptions"),
    "worker": ("Worker",),
}

if TYPE_CHECKING:
    from ecg_flare.nnunet.case import Case, CaseSource
    from ecg_flare.nnunet.dataset import PreparedDataset, open_dataset, prepare
    from ecg_flare.nnunet.export import StoredModel, export_model_folder, load_bundled, load_model, save_model
    from ecg_flare.nnunet.kinds import TaskKind, plan_preset, preset_names, register_kind, task_of
    from ecg_flare.nnunet.plan import Plan, initial_vector
    from ecg_flare.nnunet.sources import build_source, register_source
    from ecg_flare.nnunet.task import DiceEvaluation, LabelCounts, Task
    from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
    from ecg_flare.nnunet.worker import Worker
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = [
    "Case",
    "CaseSource",
    "DiceEvaluation",
    "LabelCounts",
    "LocalTrainer",
    "Plan",
    "PreparedDataset",
    "StoredModel",
    "Task",
    "TaskKind",
    "TrainOptions",
    "Worker",
    "build_source",
    "export_model_folder",
    "initial_vector",
    "load_bundled",
    "load_model",
    "open_dataset",
    "plan_preset",
    "prepare",
    "preset_names",
    "register_kind",
    "register_source",
    "save_model",
    "task_of",
]
