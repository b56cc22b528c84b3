"""The private learning benchmark: whose windows, what a step computes, what noise a recipe takes, how it resumes."""

import copy
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

# before the installed distribution that ships a package of the same name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.private_learning import batching, steps
from benchmarks.private_learning.__main__ import finished
from benchmarks.private_learning.patients import Patient, draw_patients
from benchmarks.private_learning.recipes import (
    ABLATION,
    COSTLY,
    LAST_STAGE,
    MAIN,
    PLAIN,
    PROJECTION,
    REFERENCE,
    START,
    WIDER,
)
from benchmarks.private_learning.runs import EVERYTHING, Bench, Recipe
from benchmarks.private_learning.steps import LocalSteps, PatientTrainer
from benchmarks.private_learning.table import Order, RunFile, dice_table, site_table

from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import initial_vector, parameter_layout
from ecg_flare.privacy.accountant import epsilon_rdp
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.task.traces.page_case import PageCase

PLAN = plan_preset("tiny")
LAYOUT = parameter_layout(PLAN)
START_MODEL = initial_vector(PLAN, seed=0)
PRIVATE = Recipe("epsilon 8", LAST_STAGE, epsilon=8.0, rounds=1, sampling_rate=1.0)


def person(site: str, number: int) -> Patient:
    rng = np.random.default_rng([number, len(site)])
    masks = np.zeros((2, 32, 32), np.uint8)
    masks[:, 14:18] = 1
    images = rng.integers(0, 256, (2, 3, 32, 32)).astype(np.uint8)
    images[:, :, 14:18] //= 4
    return Patient(site, f"patient-{number}", images, masks)


@pytest.fixture(scope="module")
def bench() -> Bench:
    people = [person(site, number) for site in ("site-1", "site-2") for number in range(3)]
    return Bench(PLAN, START_MODEL, people, [person("site-1", 7), person("site-2", 8)])


def test_windows_lie_on_the_patients_own_pages() -> None:
    mask = np.zeros((50, 70), np.uint8)
    mask[25] = 1
    image = np.full((50, 70, 3), 9, np.uint8)
    image[mask == 1] = 1
    cases = [PageCase(name, person, image, mask) for name, person in (("a", "x"), ("b", "y"), ("c", "x"))]
    people = draw_patients({"site-1": cases}, windows=3, window_px=(32, 32), on_a_trace=0.5, seed=0)
    assert [(one.name, len(one.masks)) for one in people] == [("x", 6), ("y", 3)]
    for one in people:
        np.testing.assert_array_equal(one.images[:, 0] == 1, one.masks == 1)
    again = draw_patients({"site-1": cases}, windows=3, window_px=(32, 32), on_a_trace=0.5, seed=0)
    np.testing.assert_array_equal(people[0].images, again[0].images)


def test_windows_lie_anywhere_or_on_a_trace() -> None:
    mask = np.zeros((400, 70), np.uint8)
    mask[350] = 1
    case = PageCase("a", "x", np.zeros((400, 70, 3), np.uint8), mask)

    def with_ink(on_a_trace: float) -> int:
        (one,) = draw_patients({"site-1": [case]}, windows=50, window_px=(32, 32), on_a_trace=on_a_trace, seed=0)
        return int(one.masks.any((1, 2)).sum())

    assert with_ink(1.0) == 50
    assert with_ink(0.0) < 15  # a tenth or so


def test_small_pages_are_padded_with_background() -> None:
    (one,) = draw_patients(
        {"site-1": [PageCase("a", "x", np.full((20, 40, 3), 5, np.uint8), np.ones((20, 40), np.uint8))]},
        windows=1,
        window_px=(32, 32),
        on_a_trace=0.0,
        seed=0,
    )
    assert one.images.shape == (1, 3, 32, 32)
    assert (one.images == 5).all()
    assert one.masks.sum() == 20 * 32


@pytest.mark.parametrize(
    "patterns",
    [LAST_STAGE, ("decoder.*.norm.*", "decoder.seg_layers.2.*"), ("decoder.seg_layers.2.*",), ("*.norm.*",)],
)
def test_a_step_behind_frozen_parts_is_the_step_of_the_whole_network(patterns: tuple[str, ...]) -> None:
    subset, whole = TrainableSubset.matching(LAYOUT, patterns), TrainableSubset.matching(LAYOUT, EVERYTHING)
    local, one = LocalSteps(steps=1, batch=2), person("site-1", 0)
    part = subset.take(START_MODEL)
    update = PatientTrainer(PLAN, START_MODEL, subset).update(part, one, local, np.random.default_rng(0))
    of_whole = PatientTrainer(PLAN, START_MODEL, whole).update(START_MODEL, one, local, np.random.default_rng(0))
    assert np.linalg.norm(update) > 0
    np.testing.assert_allclose(update, subset.take(of_whole), atol=1e-6)


def test_steps_start_anew_for_each_patient() -> None:
    subset = TrainableSubset.matching(LAYOUT, LAST_STAGE)
    trainer, part = PatientTrainer(PLAN, START_MODEL, subset), subset.take(START_MODEL)
    local = LocalSteps(steps=2)
    first = trainer.update(part, person("site-1", 0), local, np.random.default_rng(0))
    trainer.update(part + 1, person("site-1", 1), local, np.random.default_rng(1))
    one = person("site-1", 0)
    np.testing.assert_array_equal(trainer.update(part, one, local, np.random.default_rng(0)), first)


def test_noise_is_what_the_promise_takes() -> None:
    recipe = Recipe("", LAST_STAGE, epsilon=8.0, rounds=1, sampling_rate=1.0)
    assert recipe.sigma is not None
    assert 7.9 < epsilon_rdp([GaussianEvent(recipe.sigma)], recipe.delta) <= 8.0
    assert recipe.noise_multiplier(300) == recipe.sigma
    assert replace(recipe, epsilon=None).noise_multiplier(300) is None


def test_a_projection_scales_the_noise_and_nothing_else() -> None:
    assert {recipe.cohort for recipe in PROJECTION} == {19_000}
    recipe = Recipe("", LAST_STAGE, epsilon=8.0, rounds=1, sampling_rate=1.0, cohort=19_000)
    assert recipe.sigma is not None
    assert recipe.noise_multiplier(190) == pytest.approx(recipe.sigma / 100)


def test_names_are_unique_and_the_reference_is_plain() -> None:
    names = [recipe.name for recipe in {*MAIN, *ABLATION, *PROJECTION, *COSTLY, *WIDER}]
    assert len(set(names)) == len(names)
    assert (PLAIN.name, PLAIN.trained, PLAIN.epsilon, PLAIN.clipping_norm) == (REFERENCE, EVERYTHING, None, None)


def test_no_rounds_give_the_start(bench: Bench) -> None:
    np.testing.assert_array_equal(bench.train(START, 0), START_MODEL)
    outcome = bench.measure(START, START_MODEL)
    assert outcome.dice == bench.measure(PLAIN, START_MODEL).dice
    assert set(outcome.by_site) == {"site-1", "site-2"}


def test_without_noise_each_patient_is_clipped_all_the_same(bench: Bench) -> None:
    recipe = Recipe("", LAST_STAGE, rounds=1, average=0.0, clipping_norm=1e-9, server_tau=1.0, server_rate=1.0)
    moved = np.linalg.norm((bench.train(recipe, 0) - START_MODEL).astype(np.float64))
    assert 0 <= moved <= 2 * recipe.clipping_norm / recipe.sampling_rate
    assert np.linalg.norm(bench.train(replace(recipe, clipping_norm=None), 0) - START_MODEL) > 1e-6


def test_a_private_run_is_repeated_by_its_seed_and_has_noise(bench: Bench) -> None:
    recipe = replace(PRIVATE, rounds=2, sampling_rate=1.0)
    first, again, other = bench.train(recipe, 0), bench.train(recipe, 0), bench.train(recipe, 1)
    np.testing.assert_array_equal(first, again)
    subset = TrainableSubset.matching(LAYOUT, LAST_STAGE)
    assert (subset.take(first) != subset.take(other)).all()
    np.testing.assert_array_equal(subset.put(first, subset.take(START_MODEL)), START_MODEL)
    outcome = bench.measure(recipe, first)
    assert outcome.sigma > 0
    assert outcome.noise_to_signal == pytest.approx(outcome.sigma * np.sqrt(2308) / 6)


def test_runs_go_on_where_they_were_ended(bench: Bench, tmp_path: Path) -> None:
    recipes = (START, PRIVATE, replace(PLAIN, rounds=1))
    orders = [Order(recipe, 0, bench.digest) for recipe in recipes]
    file = RunFile(tmp_path / "runs.jsonl")
    finished(bench, orders[:2], file)
    with (tmp_path / "runs.jsonl").open("a") as cut:
        cut.write('{"order": ')
    before = file.runs()
    runs = finished(bench, orders, file)
    assert [run.order for run in runs] == orders
    assert all(file.runs()[key] == run for key, run in before.items())
    assert len(file.runs()) == 3
    np.testing.assert_array_equal(np.load(file.model_path(orders[0])), START_MODEL)
    assert json.loads((tmp_path / "runs.jsonl").read_text().splitlines()[1])["order"]["recipe"]["epsilon"] == 8.0
    table = dice_table(runs, REFERENCE).splitlines()
    assert table[-1].endswith("| 1 | 1.000 |")
    assert f"{runs[1].outcome.dice / runs[2].outcome.dice:.3f}" in table[3]
    assert site_table(runs).splitlines()[0] == "|  | site-1 | site-2 |"


def test_a_folded_run_moves_what_shares_a_bucket_alike(bench: Bench) -> None:
    subset = TrainableSubset.matching(LAYOUT, LAST_STAGE)
    moved = np.abs(subset.take(bench.train(replace(PRIVATE, folded=5), 0)) - subset.take(START_MODEL))
    assert len(np.unique(moved.round(6))) <= 5
    assert moved.min() > 1e-3
    assert bench.measure(replace(PRIVATE, folded=5), START_MODEL).noise_to_signal == pytest.approx(
        bench.measure(PRIVATE, START_MODEL).noise_to_signal * np.sqrt(5 / subset.dimension)
    )


def test_a_norm_that_follows_shows_from_the_second_round_on(bench: Bench) -> None:
    def released(quantile: float, rounds: int) -> np.ndarray:
        return bench.train(replace(PRIVATE, quantile=quantile, rounds=rounds), 0)

    assert np.array_equal(released(0.3, 1), released(0.9, 1))
    assert not np.array_equal(released(0.3, 2), released(0.9, 2))


def test_the_batched_gradients_are_those_of_one_patient_after_the_other() -> None:
    stage, batch = batching.drawn(3, (32, 48))
    exact, doubled = copy.deepcopy(stage).double(), batch.double()
    assert batching.one_by_one(exact, doubled).shape == (3, TrainableSubset.matching(LAYOUT, LAST_STAGE).dimension)
    assert batching.error(batching.by_vmap, exact, doubled) < 1e-10
    # nnU-Net's blocks name their tensors twice, and hooks count both
    assert batching.error(batching.by_opacus, exact, doubled) > 0.5


def test_the_loss_of_the_batched_gradients_is_nnunets() -> None:
    rng = np.random.default_rng(2)
    logits = torch.from_numpy(rng.standard_normal((1, 4, 8, 9)))
    truth = torch.from_numpy(rng.integers(0, 4, (1, 1, 8, 9)))
    spread = torch.nn.functional.one_hot(truth[:, 0], 4).movedim(-1, 1).double()
    assert float(batching.loss(logits, spread)) == pytest.approx(float(steps._loss()(logits, truth)), rel=1e-6)
