"""A round of nnU-Net's own training: reproducible, stateless, and with FedProx's term where it belongs."""

import hashlib
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler

from ecg_flare.errors import ConfigError, UpdateError
from ecg_flare.nnunet.dataset import PreparedDataset
from ecg_flare.nnunet.plan import Plan, flatten, network, unflatten_into
from ecg_flare.nnunet.task import LabelCounts
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.task.traces.measure import prepared_pages
from ecg_flare.task.traces.predictor import NetworkSegmenter


def test_training_lowers_the_loss(trainer: LocalTrainer, start: np.ndarray) -> None:
    losses: list[float] = []
    result = trainer.train(
        start, TrainOptions(steps=15, schedule="poly"), on_step=lambda step, loss: losses.append(loss)
    )
    assert result.update.dtype == np.float32
    assert result.update.shape == start.shape
    assert result.loss == pytest.approx(np.mean(losses))
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.2


def test_a_round_depends_on_model_and_options_alone(trainer: LocalTrainer, start: np.ndarray) -> None:
    options = TrainOptions(steps=3, first_step=6, total_steps=12, seed=5, schedule="poly")
    first = trainer.train(start, options).update
    trainer.train(
        start + 0.01, TrainOptions(steps=2, seed=9, schedule="poly")
    )  # leaves momentum, weights and generators behind
    trainer.validate(start)
    np.testing.assert_array_equal(trainer.train(start, options).update, first)


def test_a_given_momentum_moves_the_first_step_by_itself(trainer: LocalTrainer, start: np.ndarray) -> None:
    options = TrainOptions(steps=1, learning_rate=0.1, momentum=0.9)
    given = np.random.default_rng(0).normal(size=start.size).astype(np.float32)
    empty = trainer.train(start, options).update
    gradient = trainer.momentum
    moved = trainer.train(start, options, momentum=given).update
    learns = gradient != 0  # the last of nnU-Net's heads has no weight in the loss
    assert learns.mean() > 0.99
    by_given = -0.1 * 0.9 * 0.9 * given  # Nesterov's step is lr (g + m (m v + g))
    np.testing.assert_allclose((moved - empty)[learns], by_given[learns], atol=1e-5)
    np.testing.assert_allclose(trainer.momentum[learns], (0.9 * given + gradient)[learns], atol=1e-5)


def test_momentum_of_frozen_tensors_is_zero_and_of_another_model_refused(
    trainer: LocalTrainer, start: np.ndarray
) -> None:
    trainer.train(start, TrainOptions(steps=1, trained=("decoder.*",)))
    names = [name for name, _ in trainer.layout]
    sizes = [int(np.prod(shape)) for _, shape in trainer.layout]
    parts = np.split(trainer.momentum, np.cumsum(sizes)[:-1])
    assert {name.split(".")[0] for name, part in zip(names, parts, strict=True) if part.any()} == {"decoder"}
    with pytest.raises(UpdateError, match="shape"):
        trainer.train(start, TrainOptions(steps=1), momentum=start[:-1])


def test_seed_and_position_change_what_is_drawn(trainer: LocalTrainer, start: np.ndarray) -> None:
    options = [
        TrainOptions(steps=2, schedule="constant", first_step=first_step, total_steps=9, seed=seed)
        for first_step, seed in ((0, 0), (2, 0), (0, 1))
    ]
    updates = [trainer.train(start, each).update for each in options]
    assert not any(np.array_equal(a, b) for a, b in itertools.combinations(updates, 2))


def test_training_leaves_the_global_generators_alone(trainer: LocalTrainer, start: np.ndarray) -> None:
    np.random.seed(7)  # noqa: NPY002
    torch.manual_seed(7)
    expected = np.random.rand(), torch.rand(1).item()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    torch.manual_seed(7)
    trainer.train(start, TrainOptions(steps=1, schedule="poly"))
    assert (np.random.rand(), torch.rand(1).item()) == expected  # noqa: NPY002


def test_another_process_gives_the_same_bits(prepared: PreparedDataset, tiny: Plan, start: np.ndarray) -> None:
    code = f"""
import hashlib, sys
from pathlib import Path
from ecg_flare.nnunet.dataset import open_dataset
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import initial_vector
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
plan = plan_preset("tiny")
trainer = LocalTrainer(plan, open_dataset(Path({str(prepared.folder)!r}), plan))
result = trainer.train(initial_vector(plan, seed=1), TrainOptions(steps=4, proximal_mu=0.1, seed=3, schedule="poly"))
print(hashlib.sha256(result.update.tobytes()).hexdigest())
"""
    digests = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()[-1]
        for _ in range(2)
    ]
    here = LocalTrainer(tiny, prepared).train(start, TrainOptions(steps=4, proximal_mu=0.1, seed=3, schedule="poly"))
    assert digests == [hashlib.sha256(here.update.tobytes()).hexdigest()] * 2


@pytest.mark.parametrize("mu", [0.0, 5.0, 400.0])
def test_the_proximal_term_against_a_step_by_hand(
    tiny: Plan, prepared: PreparedDataset, start: np.ndarray, mu: float
) -> None:
    trainer = LocalTrainer(tiny, prepared)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    batch = next(trainer._batches)
    trainer._batches = itertools.repeat(batch)
    options = TrainOptions(steps=3, learning_rate=0.02, schedule="constant", momentum=0.0, proximal_mu=mu)
    update = trainer.train(start, options).update

    module = network(tiny, deep_supervision=True)
    unflatten_into(module, start)
    anchors = [parameter.detach().clone() for parameter in module.parameters()]
    clipped = False
    for _ in range(options.steps):
        module.zero_grad()
        trainer._trainer.loss(module(batch["data"]), batch["target"]).backward()
        pairs = [(p, a) for p, a in zip(module.parameters(), anchors, strict=True) if p.grad is not None]
        gradients = [p.grad + mu * (p.detach() - a) for p, a in pairs]
        norm = torch.sqrt(sum((g**2).sum() for g in gradients))
        clipped |= bool(norm > 12)
        factor = min(1.0, 12 / (float(norm) + 1e-6))
        with torch.no_grad():
            for (p, _), g in zip(pairs, gradients, strict=True):
                p -= options.learning_rate * (factor * g + 3e-5 * p)
    assert clipped == (mu == 400.0)  # the term counts in the norm that is clipped
    by_hand = flatten(module) - start
    assert np.linalg.norm(update - by_hand) < 1e-3 * np.linalg.norm(by_hand)


def test_the_proximal_term_holds_the_model_near(trainer: LocalTrainer, start: np.ndarray) -> None:
    norms = [
        np.linalg.norm(trainer.train(start, TrainOptions(steps=6, proximal_mu=mu, schedule="poly")).update)
        for mu in (0.0, 1.0, 10.0)
    ]
    assert norms[0] > norms[1] > norms[2]


def test_the_poly_schedule_is_nnunets() -> None:
    options = TrainOptions(steps=20, learning_rate=0.03, first_step=40, total_steps=100, schedule="poly")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.03)
    scheduler = PolyLRScheduler(optimizer, 0.03, 100)
    for step in range(20):
        scheduler.step(40 + step)
        assert options.learning_rate_at(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert TrainOptions(steps=5, schedule="constant", learning_rate=0.2).learning_rate_at(4) == 0.2


def test_divergence_is_an_error(trainer: LocalTrainer, start: np.ndarray) -> None:
    with pytest.raises(UpdateError, match="1e\\+30"):
        trainer.train(start, TrainOptions(steps=3, learning_rate=1e30, schedule="poly"))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"steps": 0}, "steps.*0"),
        ({"steps": 1, "learning_rate": 0.0}, "learning_rate.*0"),
        ({"steps": 1, "learning_rate": float("nan")}, "learning_rate.*nan"),
        ({"steps": 1, "schedule": "cosine"}, "schedule.*cosine"),
        ({"steps": 5, "first_step": 6, "total_steps": 10}, "total_steps.*11.*10"),
        ({"steps": 1, "momentum": 1.0}, "momentum.*1.0"),
        ({"steps": 1, "proximal_mu": -0.1}, "proximal_mu.*-0.1"),
        ({"steps": 1, "seed": -1}, "seed.*-1"),
    ],
)
def test_impossible_options_are_named(options: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        TrainOptions(**options)  # type: ignore[arg-type]


def test_validation_counts_whole_pages_of_other_patients(
    trainer: LocalTrainer, prepared: PreparedDataset, tiny: Plan, trained: np.ndarray
) -> None:
    counts = trainer.validate(trained)
    segmenter = NetworkSegmenter(tiny, trained)
    truth, predicted = zip(
        *((c.mask, segmenter(c.image).argmax(0)) for c in prepared_pages(prepared, "val")), strict=True
    )
    t, p = (np.concatenate([mask.ravel() for mask in masks]) for masks in (truth, predicted))
    for label in range(4):
        assert counts.tp[label] == np.sum((t == label) & (p == label))
        assert counts.fp[label] == np.sum((t != label) & (p == label))
        assert counts.fn[label] == np.sum((t == label) & (p != label))
    assert counts.dice(1) > 0.5


def test_dice_of_counts() -> None:
    counts = LabelCounts(tp=(10, 3, 0, 0), fp=(0, 1, 0, 2), fn=(0, 2, 0, 0))
    assert counts.dice(1) == pytest.approx(2 * 3 / (2 * 3 + 1 + 2))
    assert np.isnan(counts.dice(2))
    assert counts.dice(3) == 0


def test_scratch_of_nnunets_logs_is_removed(
    tiny: Plan, prepared: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    trainer = LocalTrainer(tiny, prepared)
    assert list(tmp_path.iterdir())
    trainer.close()
    assert not list(tmp_path.iterdir())
