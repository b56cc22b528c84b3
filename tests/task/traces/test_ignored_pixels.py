"""Pixels of which nobody says what they are: nothing is learnt from them, nothing is counted, nothing else changes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunet_scribbles import ScribbledPages

from ecg_flare.nnunet.dataset import PreparedDataset, open_dataset, prepare
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.page.raster import IGNORED
from ecg_flare.task.traces.evaluate import trace_dice
from ecg_flare.task.traces.measure import prepared_pages
from ecg_flare.task.traces.page_case import PageCase


@dataclass(frozen=True)
class HalfKnownPages(ScribbledPages):
    """Pages of whose right half nobody says what is there."""

    def cases(self, site: str) -> Iterator[PageCase]:
        for case in super().cases(site):
            mask = case.mask.copy()
            mask[:, self.width // 2 :] = IGNORED
            yield PageCase(case.name, case.patient_id, case.image, mask)


@pytest.fixture(scope="module")
def half_known(tmp_path_factory: pytest.TempPathFactory, tiny: Plan) -> PreparedDataset:
    return prepare(HalfKnownPages(), "site-1", tiny, tmp_path_factory.mktemp("cache"), log=lambda _: None)


@pytest.fixture(scope="module")
def half_trainer(half_known: PreparedDataset, tiny: Plan) -> LocalTrainer:
    return LocalTrainer(tiny, half_known)


def labels_of(dataset: PreparedDataset) -> dict[str, int]:
    return dict(json.loads((dataset.raw / "dataset.json").read_text())["labels"])


def test_nnunet_is_told_of_ignored_pixels_only_where_there_are_some(
    prepared: PreparedDataset, half_known: PreparedDataset
) -> None:
    assert "ignore" not in labels_of(prepared)
    assert labels_of(half_known)["ignore"] == IGNORED == max(labels_of(prepared).values()) + 1


def test_the_network_and_the_plan_stay_what_the_others_have(
    trainer: LocalTrainer, half_trainer: LocalTrainer, half_known: PreparedDataset, tiny: Plan
) -> None:
    assert half_trainer.layout == trainer.layout
    assert open_dataset(half_known.folder, tiny).plan_hash == tiny.hash


def test_no_gradient_comes_from_ignored_pixels(half_trainer: LocalTrainer, tiny: Plan) -> None:
    inner = half_trainer._trainer
    target = torch.zeros(1, 1, 64, 64)
    target[..., 20:24, :] = 1
    target[..., 32:] = IGNORED
    logits = [torch.randn(1, tiny.n_classes, 64 >> k, 64 >> k, requires_grad=True) for k in range(3)]
    inner.loss(
        logits[: len(inner.loss.weight_factors)], [target[..., :: 1 << k, :: 1 << k] for k in range(3)]
    ).backward()
    gradient = logits[0].grad
    assert gradient is not None
    assert float(gradient[..., 32:].abs().max()) == 0.0
    assert float(gradient[..., :32].abs().max()) > 0.0


def test_half_known_pages_train_and_are_validated_on_what_is_known(
    half_trainer: LocalTrainer, half_known: PreparedDataset, start: np.ndarray
) -> None:
    result = half_trainer.train(start, TrainOptions(steps=3, schedule="constant"))
    assert np.isfinite(result.loss)
    assert np.abs(result.update).max() > 0
    counts = half_trainer.validate(start)
    known = sum(int((case.mask != IGNORED).sum()) for case in prepared_pages(half_known, "val"))
    assert sum(counts.tp) + sum(counts.fn) == known == sum(counts.tp) + sum(counts.fp)


def test_what_is_found_where_nobody_knows_counts_neither_way() -> None:
    truth = np.zeros((40, 40), np.uint8)
    truth[10:13] = 1
    truth[:, 30:] = IGNORED
    found = (truth == 1).astype(np.uint8)
    assert trace_dice(found, truth) == 1.0
    found[20:30, 30:] = 1
    assert trace_dice(found, truth) == 1.0
    found[20:23, :30] = 1
    assert trace_dice(found, truth) == pytest.approx(2 / 3)


def test_half_known_pages_are_found_in_the_cache_again(half_known: PreparedDataset, tiny: Plan) -> None:
    again = prepare(HalfKnownPages(), "site-1", tiny, Path(half_known.folder).parent, log=lambda _: None)
    assert again.reused
    assert again.folder == half_known.folder
