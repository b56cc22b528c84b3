"""The labels that a network finds in a prepared case, by nnU-Net's own sliding window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Integer

from ecg_flare.errors import StorageError
from ecg_flare.nnunet.case_cache import CaseEntry
from ecg_flare.nnunet.dataset import PreparedDataset
from ecg_flare.nnunet.environment import nnunet_environment, return_memory
from ecg_flare.nnunet.plan import Plan

if TYPE_CHECKING:
    from torch import nn


def segment_prepared(
    plan: Plan, module: nn.Module, dataset: PreparedDataset, entry: CaseEntry
) -> tuple[Integer[np.ndarray, " *space"], Integer[np.ndarray, " *space"]]:
    """The labels that a network finds in a preprocessed case, and the true ones, both at the plan's spacing.

    nnU-Net's window of the patch's size moves by half of it; nothing is mirrored. Raises StorageError where the case
    is gone.
    """
    import torch

    data, truth = _load(dataset, entry)
    device = next(module.parameters()).device
    with nnunet_environment():
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        manager = PlansManager(plan.nnunet_plans())
        predictor = nnUNetPredictor(
            use_mirroring=False, perform_everything_on_device=device.type != "cpu", device=device, allow_tqdm=False
        )
        predictor.manual_initialization(
            module,
            manager,
            manager.get_configuration(plan.configuration_name),
            None,
            dataset.nnunet_dataset_json(plan),
            "nnUNetTrainer",
            None,
        )
        with torch.inference_mode():
            logits = predictor.predict_sliding_window_return_logits(torch.from_numpy(data)).float().cpu()
            found = predictor.label_manager.convert_logits_to_segmentation(logits)
    del logits
    return_memory()
    return np.asarray(found).astype(np.int64), truth


def _load(dataset: PreparedDataset, entry: CaseEntry) -> tuple[Any, Integer[np.ndarray, " *space"]]:
    with nnunet_environment():
        from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

        try:
            data, labels, *_ = nnUNetDatasetBlosc2(str(dataset.preprocessed_cases), [entry.name]).load_case(entry.name)
        except (OSError, RuntimeError) as error:
            raise StorageError(
                f"the prepared case {entry.name!r} in {dataset.folder} is gone: prepare again ({error})"
            ) from error
    return np.asarray(data[:]), np.asarray(labels[:])[0].astype(np.int64)
