"""How a model of ECG pages is measured: on whole pages, as they were prepared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Integer

from ecg_flare.errors import PageError, StorageError
from ecg_flare.nnunet.case_cache import CaseEntry
from ecg_flare.nnunet.dataset import PreparedDataset
from ecg_flare.nnunet.environment import return_memory
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.split import Split
from ecg_flare.nnunet.task import DiceEvaluation
from ecg_flare.task.traces.page_case import PageCase, stored_page

if TYPE_CHECKING:
    from torch import nn


def prepared_pages(dataset: PreparedDataset, split: Split | None = None) -> Iterator[PageCase]:
    """The pages and masks of a prepared dataset, or of one side of its split.

    Raises StorageError where one is gone.
    """
    for entry in dataset.entries:
        if split in (None, entry.split):
            yield _page(dataset, entry)


def segment_page(
    plan: Plan, module: nn.Module, dataset: PreparedDataset, entry: CaseEntry
) -> tuple[Integer[np.ndarray, "h w"], Integer[np.ndarray, "h w"]]:
    """The labels that a network finds on a whole page, and those of its mask."""
    import torch

    from ecg_flare.task.traces.predictor import page_logits

    case = _page(dataset, entry)
    height, width = case.mask.shape
    with torch.inference_mode():
        logits = page_logits(module, case.image, plan.size_multiple)[:, :height, :width]
        found = logits.argmax(0).cpu().numpy()
    del logits
    return_memory()
    return found, case.mask


def dice_on_pages(
    plan: Plan, model: Float32[np.ndarray, " d"], dataset: PreparedDataset, device: str
) -> DiceEvaluation:
    """A model's trace Dice on every page of a prepared dataset."""
    from ecg_flare.task.traces.evaluate import evaluate_pages
    from ecg_flare.task.traces.predictor import NetworkSegmenter

    return evaluate_pages(NetworkSegmenter(plan, model, device=device), prepared_pages(dataset))


def _page(dataset: PreparedDataset, entry: CaseEntry) -> PageCase:
    try:
        return stored_page(dataset.raw_images, dataset.raw_labels, entry.name, entry.patient_id)
    except PageError as error:
        raise StorageError(
            f"the prepared page {entry.name!r} in {dataset.folder} is gone: prepare again ({error})"
        ) from error
