"""A torch module trained round by round gives what arithmetic on paper gives."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from straight_line import Line, Points, line_plan, points
from straight_line_network import LineNetwork

from ecg_flare.federated.patients import sum_of_drawn
from ecg_flare.nnunet.commands import InitializeCommand, PrepareCommand, TrainCommand, site_seed
from ecg_flare.nnunet.kinds import learnt
from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.nnunet.patients import PatientDraw, cases_by_patient, train_drawn_patients
from ecg_flare.nnunet.settings import ALL_FOR_TRAINING, PrepareSettings, TrainingSettings
from ecg_flare.nnunet.trainer import TrainOptions
from ecg_flare.nnunet.worker import Worker
from ecg_flare.privacy.gaussian import ChaChaStream
from ecg_flare.task.modules.dataset import PreparedExamples
from ecg_flare.task.modules.trainer import ModuleTrainer
from flat_terms import flat_terms

START = np.array([0.5, -0.25, 0.125], np.float32)
RATE = 0.1


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> PreparedExamples:
    return points(tmp_path_factory.mktemp("points"), settings=ALL_FOR_TRAINING)


def gradient(model: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of the mean square of slope . x + intercept - y."""
    residual = x @ model[:2] + model[2] - y
    return 2 * np.array([*(residual[:, None] * x).mean(0), residual.mean()])


def options(**changes: Any) -> TrainOptions:
    return TrainOptions(**{"steps": 2, "learning_rate": RATE, "momentum": 0.0, **changes})


def arrays(examples: PreparedExamples, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    return examples.inputs(names).astype(np.float64), examples.targets(names)[:, 0].astype(np.float64)


@pytest.mark.parametrize(
    ("changes", "momentum", "mu"),
    [({}, 0.0, 0.0), ({"momentum": 0.9}, 0.9, 0.0), ({"proximal_mu": 0.5}, 0.0, 0.5), ({"schedule": "poly"}, 0.0, 0.0)],
)
def test_two_steps_are_those_on_paper(
    examples: PreparedExamples, changes: dict[str, Any], momentum: float, mu: float
) -> None:
    names = ["p0", "p1"]
    x, y = arrays(examples, names)
    model, velocity = START.astype(np.float64), np.zeros(3)
    for step in range(2):
        slope = gradient(model, x, y) + mu * (model - START)
        velocity = momentum * velocity + slope
        rate = RATE * (1 - step / 2) ** 0.9 if changes.get("schedule") == "poly" else RATE
        model = model - rate * (slope + momentum * velocity)  # Nesterov's as torch has it
    result = ModuleTrainer(line_plan(), examples).train(START, options(**changes), cases=names)
    np.testing.assert_allclose(result.update, model - START, rtol=1e-5, atol=1e-7)


def test_tensors_that_are_not_trained_stay_bit_for_bit(examples: PreparedExamples) -> None:
    update = ModuleTrainer(line_plan(), examples).train(START, options(trained=("intercept.*",))).update
    assert (update[:2] == 0).all()
    assert update[2] != 0


def test_a_long_gradient_is_cut_to_twelve(examples: PreparedExamples) -> None:
    far = np.array([1e4, 1e4, 1e4], np.float32)
    update = ModuleTrainer(line_plan(), examples).train(far, options(steps=1)).update
    assert np.linalg.norm(update.astype(np.float64)) == pytest.approx(12 * RATE, rel=1e-3)


def test_a_round_hangs_on_model_cases_and_options_alone(examples: PreparedExamples) -> None:
    trainer = ModuleTrainer(line_plan(), examples)
    first = trainer.train(START, options(seed=3)).update
    others = [trainer.train(START, options(seed=seed)).update for seed in (4, 5, 6)]
    again = ModuleTrainer(line_plan(), examples).train(START, options(seed=3)).update
    np.testing.assert_array_equal(first, again)
    assert any((first != other).any() for other in others)


@pytest.mark.parametrize("batch", [3, 4, 100])
def test_all_cases_are_seen_before_one_is_seen_again(
    examples: PreparedExamples, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    seen: list[list[str]] = []
    trainer = ModuleTrainer(line_plan(batch_size=batch), examples)
    original = trainer._batch
    monkeypatch.setattr(trainer, "_batch", lambda names: (seen.append(list(names)), original(names))[1])
    trainer.train(START, options(steps=6))
    assert {len(one) for one in seen} == {min(batch, 10)}
    assert sorted([name for batch in seen for name in batch][:10]) == sorted(f"p{index}" for index in range(10))


def test_counts_are_those_of_the_held_out_patients(tmp_path: Path) -> None:
    examples = points(tmp_path, Points(patients=20, seed=2), PrepareSettings(validation_fraction=0.5))
    val = examples.names("val")
    x, y = arrays(examples, val)
    found, there = x @ START[:2] + START[2] > 0, y > 0.5
    counts = ModuleTrainer(line_plan(), examples).validate(START)
    expected = [int((found & there).sum()), int((found & ~there).sum()), int((there & ~found).sum())]
    assert [*counts.tp, *counts.fp, *counts.fn] == expected
    assert len(val) == 20
    assert min(expected) > 0
    evaluated = learnt(line_plan()).evaluate(START, examples, "cpu")
    by_case = [evaluated.dice_by_case[name] for name in val]
    for value, one, truth in zip(by_case, found, there, strict=True):
        assert np.isnan(value) if not (one or truth) else value == float(one and truth)


def test_a_patient_is_on_one_side_of_the_split(tmp_path: Path) -> None:
    examples = points(tmp_path)
    sides = {entry.patient_id: {one.split for one in examples.entries if one.patient_id == entry.patient_id}
             for entry in examples.entries}  # fmt: skip
    assert all(len(split) == 1 for split in sides.values())
    assert (len(examples.names("train")), len(examples.names("val")), examples.n_patients) == (8, 2, 5)
    assert not examples.reused
    assert points(tmp_path).reused


def test_each_patient_is_trained_clipped_and_counted_alone(examples: PreparedExamples) -> None:
    terms = flat_terms(
        {"site-1": 1.0, "site-2": 1.0},
        clipping_norm=0.05,
        noise_multiplier=1.0,
        unit="patient",
        patients=10,
        patients_per_site=5,
        trained=("intercept.*",),
    )
    trainer, cases = ModuleTrainer(line_plan(), examples), cases_by_patient(examples, bytes(32))
    settings = options(trained=("intercept.*",), seed=7)
    sent = train_drawn_patients(trainer, cases, START, settings, PatientDraw(terms, "site-1", ChaChaStream(bytes(32))))

    def alone(patient: str) -> np.ndarray:
        x, y = arrays(examples, cases[patient])
        value = float(START[2])
        for _ in range(2):
            value -= RATE * gradient(np.array([*START[:2], value]), x, y)[2]
        return np.float32([value - START[2]])

    encoding = terms.patient_encoding(1)
    expected = sum_of_drawn(list(cases), alone, 1.0, encoding, rate=1.0, stream=ChaChaStream(bytes(32)))
    scale = encoding.fixed.scale
    np.testing.assert_allclose(sent / scale, expected / scale, atol=1e-6)
    assert abs(expected[0]) / scale > 0.01


def test_a_patient_whose_values_break_the_loss_counts_as_zeros(examples: PreparedExamples) -> None:
    terms = flat_terms(
        {"site-1": 1.0}, clipping_norm=1.0, noise_multiplier=1.0, unit="patient", patients=5, patients_per_site=5
    )
    cases, draw = cases_by_patient(examples, bytes(32)), PatientDraw(terms, "site-1", ChaChaStream(bytes(32)))
    broken = ModuleTrainer(line_plan(fault="a loss that breaks on positives"), examples)
    sent = train_drawn_patients(broken, cases, START, options(), draw)
    whole = {patient: names for patient, names in cases.items() if not arrays(examples, names)[1].any()}
    assert 0 < len(whole) < len(cases)
    again = PatientDraw(terms, "site-1", ChaChaStream(bytes(32)))
    np.testing.assert_array_equal(
        sent, train_drawn_patients(ModuleTrainer(line_plan(), examples), whole, START, options(), again)
    )


def test_the_training_process_trains_a_class_that_it_was_given(tmp_path: Path) -> None:
    plan, source = line_plan().as_admitted(), Points()
    with Worker(log=lambda _: None) as worker:
        start = worker.call("initialize", InitializeCommand(plan, 4).to_params()).arrays["model"]
        command = PrepareCommand(SiteCases(source, "site-1", plan, tmp_path), PrepareSettings())
        told = worker.call("prepare", command.to_params()).params
        train = TrainCommand(TrainingSettings(steps=3, momentum=0.5), 0, 1, seed=1, trained=("*",))
        update = worker.call("train", train.to_params(), {"model": start}).arrays["update"]
        counted = worker.call("validate", {}, {"model": start + update}).params
        worker.call("export", {**_plan_of(plan), "folder": str(tmp_path / "model")}, {"model": start})
    assert (told["train"], told["val"], told["patients"]) == (8, 2, 5)
    np.testing.assert_array_equal(start, learnt(plan).initial_model(4))
    expected = ModuleTrainer(plan, points(tmp_path / "again")).train(
        start, TrainOptions(steps=3, momentum=0.5, total_steps=3, seed=site_seed(1, "site-1"))
    )
    np.testing.assert_array_equal(update, expected.update)
    counts = ModuleTrainer(plan, points(tmp_path / "again")).validate(start + update)
    assert [counted[name] for name in ("tp", "fp", "fn")] == [counts.tp[0], counts.fp[0], counts.fn[0]]
    module = LineNetwork("")
    module.load_state_dict(torch.load(tmp_path / "model" / "weights.pt", weights_only=True))
    np.testing.assert_array_equal(np.concatenate([p.detach().numpy().ravel() for p in module.parameters()]), start)
    assert (tmp_path / "model" / "plan.json").read_text() == plan.document


def _plan_of(plan: Any) -> dict[str, Any]:
    return {"plan": plan.name, "plan_hash": plan.hash, "document": plan.document, "admitted": False}


def test_the_start_is_the_modules_own_initialization() -> None:
    torch.manual_seed(11)
    expected = [p.detach().numpy().ravel() for p in LineNetwork("").parameters()]
    torch.manual_seed(12)
    np.testing.assert_array_equal(learnt(line_plan()).initial_model(11), np.concatenate(expected))
    assert torch.initial_seed() == 12


def test_a_plan_is_known_without_its_class_by_name_and_hash() -> None:
    plan = line_plan()
    assert plan.hash == hashlib.sha256(plan.document.encode()).hexdigest()
    assert plan.layout == (("slope.weight", (1, 2)), ("intercept.value", (1,)))
    assert plan.last_part == Line.last_part
