"""Learning to find the traces: prepared pages, the trainer, its process, and the network as a segmenter."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "case": ("Case", "PageSource"),
    "dataset": ("PreparedDataset", "open_dataset", "prepare"),
    "evaluate": ("DiceEvaluation", "evaluate_pages"),
    "export": ("StoredModel", "export_model_folder", "load_bundled", "load_model", "save_model"),
    "page_folder": ("PageFolder",),
    "plan": ("Plan", "initial_vector", "plan_preset", "preset_names"),
    "predictor": ("bundled_segmenter",),
    "sources": ("PtbxlPages", "SyntheticPages", "build_source", "register_page_source"),
    "trainer": ("LocalTrainer", "TrainOptions"),
    "worker": ("Worker",),
}

if TYPE_CHECKING:
    from ecg_flare.nnunet.case import Case, PageSource
    from ecg_flare.nnunet.dataset import PreparedDataset, open_dataset, prepare
    from ecg_flare.nnunet.evaluate import DiceEvaluation, evaluate_pages
    from ecg_flare.nnunet.export import StoredModel, export_model_folder, load_bundled, load_model, save_model
    from ecg_flare.nnunet.page_folder import PageFolder
    from ecg_flare.nnunet.plan import Plan, initial_vector, plan_preset, preset_names
    from ecg_flare.nnunet.predictor import bundled_segmenter
    from ecg_flare.nnunet.sources import PtbxlPages, SyntheticPages, build_source, register_page_source
    from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
    from ecg_flare.nnunet.worker import Worker
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = [
    "Case",
    "DiceEvaluation",
    "LocalTrainer",
    "PageFolder",
    "PageSource",
    "Plan",
    "PreparedDataset",
    "PtbxlPages",
    "StoredModel",
    "SyntheticPages",
    "TrainOptions",
    "Worker",
    "build_source",
    "bundled_segmenter",
    "evaluate_pages",
    "export_model_folder",
    "initial_vector",
    "load_bundled",
    "load_model",
    "open_dataset",
    "plan_preset",
    "prepare",
    "preset_names",
    "register_page_source",
    "save_model",
]
