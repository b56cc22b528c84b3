"""The federation benchmark: whose pages, how many steps, what is kept, and that it runs."""

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

# before the installed distribution that ships a package of the same name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.federation import runs as runs_module
from benchmarks.federation.__main__ import main
from benchmarks.federation.candidates import GRID, LEVERS, SITES_ALONE, TUNED
from benchmarks.federation.curves import draw_curves
from benchmarks.federation.kept import finished, first_model, model_path
from benchmarks.federation.methods import ALONE, CENTRALIZED, Budget, FedExP, Method
from benchmarks.federation.pages import FOLDS, PROFILES, RULES, SITES, Part, Pooled, ptbxl_pages
from benchmarks.federation.runs import Bench, Point
from benchmarks.federation.table import (
    Order,
    Run,
    RunFile,
    csv_text,
    dice_table,
    json_text,
    ratio_table,
    ratios,
    reseeded,
    run_from_json,
    site_table,
    tuning_table,
)

from ecg_flare.ecg.ptbxl import read_database
from ecg_flare.errors import ConfigError, UpdateError
from ecg_flare.nnunet.case import JSON
from ecg_flare.nnunet.dataset import prepare
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.settings import PrepareSettings
from ecg_flare.nnunet.trainer import TrainOptions
from ecg_flare.task.traces.page_case import PageCase

BUDGET = Budget(rounds=3, steps=5, every=2)


@dataclass(frozen=True)
class BlankPages:
    """Small white pages with one black line, two persons a site."""

    def describe(self, site: str) -> JSON:
        return {"source": "blank"}

    def cases(self, site: str) -> Iterator[PageCase]:
        for index in range(2):
            mask = np.zeros((40, 64), np.uint8)
            mask[20] = 1
            image = np.where(mask[..., None] == 1, 0, 255).astype(np.uint8).repeat(3, axis=2)
            yield PageCase(f"page-{index}", f"patient-{index}", image, mask)


class RecordingTrainer:
    """Moves every parameter by the site's number; remembers what it was asked."""

    calls: list[tuple[str, TrainOptions]]
    momenta: list[tuple[str, np.ndarray | None]]

    def __init__(self, plan: object, dataset: object) -> None:
        self._site = dataset.folder.name.rsplit("-", 1)[0]  # type: ignore[attr-defined]
        self._rounds = 0

    def train(self, model: np.ndarray, options: TrainOptions, *, momentum: np.ndarray | None = None) -> SimpleNamespace:
        self.calls.append((self._site, options))
        self.momenta.append((self._site, momentum))
        self._rounds += 1
        step = {"a": 1.0, "b": 3.0, "pool": 5.0}[self._site]
        return SimpleNamespace(update=np.full(model.size, step, np.float32))

    @property
    def momentum(self) -> np.ndarray:
        return np.full(4, self._rounds, np.float32)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Two sites whose training only counts, and whose Dice is the model's first parameter."""
    for kept in ("calls", "momenta"):
        monkeypatch.setattr(RecordingTrainer, kept, [], raising=False)
    monkeypatch.setattr(runs_module, "LocalTrainer", RecordingTrainer)
    monkeypatch.setattr(Bench, "measure", lambda self, model, done: Point(done, float(model[0]), {"a": 0.0, "b": 1.0}))
    return Bench(plan_preset("tiny"), ("a", "b"), BlankPages(), BlankPages(), tmp_path, log=lambda _: None)


def an_order(method: str, seed: int) -> Order:
    return Order(Method(method), BUDGET, seed, "start", "0" * 64, "tiny")


def a_run(method: str, seed: int, *dice: float) -> Run:
    points = tuple(Point(2 * index, value, {"a": value, "b": value / 2}) for index, value in enumerate(dice))
    return Run(an_order(method, seed), points, cpu_s=1.5)


RUNS = [
    a_run(CENTRALIZED, 0, 0.5, 0.80),
    a_run(CENTRALIZED, 1, 0.5, 0.90),
    a_run("fedavg", 0, 0.5, 0.76),
    a_run("fedavg", 1, 0.5, 0.90),
    a_run("fedadam", 0, 0.5, 0.84),
    a_run("fedadam", 1, 0.5, 0.90),
]


@pytest.mark.realdata
def test_parts_share_no_patient_and_sites_follow_the_table(data_root: Path) -> None:
    entries = {entry.ecg_id: entry for entry in read_database(data_root / "ptbxl")}
    patients: dict[Part, set[str]] = {}
    owners: dict[str, str] = {}
    for part in FOLDS:
        source = ptbxl_pages(data_root / "ptbxl", part, pages_per_site=1000)
        for site in SITES:
            records = [entries[number] for number in source.describe(site)["records"]]
            assert records
            assert {record.site for record in records} <= set(RULES[site]["ptbxl_site"])
            patients.setdefault(part, set()).update(record.patient_id for record in records)
            for record in records:
                assert owners.setdefault(record.patient_id, site) == site
    assert patients["train"].isdisjoint(patients["val"] | patients["test"])
    assert patients["val"].isdisjoint(patients["test"])
    assert len(owners) == len({entry.patient_id for entry in entries.values()})


def test_sites_print_four_profiles() -> None:
    assert sorted(PROFILES.values()) == ["archive", "clinic_photo", "district", "university"]
    assert list(RULES) == list(SITES)


def pooled(cache: Path, settings: PrepareSettings) -> Pooled:
    plan = plan_preset("tiny")
    return Pooled({site: prepare(BlankPages(), site, plan, cache, settings, log=lambda _: None) for site in ("a", "b")})


def test_pooled_pages_are_those_that_all_sites_train_on(tmp_path: Path) -> None:
    held_out = pooled(tmp_path, PrepareSettings(preprocess=False))
    assert [case.name for case in held_out.cases("pool")] == ["a-page-1", "b-page-1"]
    cases = list(pooled(tmp_path, PrepareSettings(validation_fraction=0, preprocess=False)).cases("pool"))
    assert [case.name for case in cases] == ["a-page-0", "a-page-1", "b-page-0", "b-page-1"]
    assert len({case.patient_id for case in cases}) == 4
    np.testing.assert_array_equal(cases[3].mask, next(BlankPages().cases("b")).mask)


@pytest.mark.parametrize(("method", "site", "steps"), [("fedavg", "a", 5), (CENTRALIZED, "pool", 10)])
def test_every_method_takes_the_same_steps_on_one_schedule(bench: Bench, method: str, site: str, steps: int) -> None:
    list(bench.train(Method(method), BUDGET, np.zeros(4, np.float32), seed=7))
    asked = [options for name, options in RecordingTrainer.calls if name == site]
    assert sum(options.steps for _, options in RecordingTrainer.calls) == 2 * 5 * 3
    assert [options.first_step for options in asked] == [0, steps, 2 * steps]
    assert {options.total_steps for options in asked} == {3 * steps}


def test_sites_draw_from_streams_of_their_own(bench: Bench) -> None:
    for seed in (0, 1):
        list(bench.train(Method("fedavg"), Budget(1, 1), np.zeros(4, np.float32), seed))
    assert len({options.seed for _, options in RecordingTrainer.calls}) == 4


def test_a_round_moves_by_the_mean_and_is_measured_when_due(bench: Bench) -> None:
    points = [point for _, point in bench.train(Method("fedavg"), BUDGET, np.zeros(4, np.float32), seed=0)]
    assert [point and (point.round, point.dice) for point in points] == [(0, 0.0), None, (2, 4.0), (3, 6.0)]


def test_finished_runs_are_not_run_again(bench: Bench, tmp_path: Path) -> None:
    orders = reseeded(Order(Method("fedavg"), BUDGET, 0, "start", bench.pages_digest, "tiny"), range(2))
    first = finished(bench, orders[:1], tmp_path)
    calls = len(RecordingTrainer.calls)
    again = finished(bench, orders, tmp_path)
    assert again[0] == first[0]
    assert len(RecordingTrainer.calls) == 2 * calls
    assert list(RunFile(tmp_path / "runs.jsonl").runs()) == [order.key for order in orders]
    moved = np.load(model_path(tmp_path, orders[1])) - first_model("start", "tiny", 1)
    np.testing.assert_allclose(moved, 6, rtol=1e-5)  # three rounds by the mean of 1 and 3


def test_a_line_cut_by_a_kill_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "runs.jsonl"
    file = RunFile(path)
    file.append(RUNS[0])
    with path.open("a", encoding="utf-8") as lines:
        lines.write('{"order": {"met')
    assert list(file.runs().values()) == [RUNS[0]]
    file.append(RUNS[1])
    assert list(file.runs().values()) == RUNS[:2]


def test_a_file_of_runs_has_a_folder_for_the_models_beside_it(tmp_path: Path) -> None:
    RunFile(tmp_path / "new" / "folder" / "runs.jsonl")
    assert (tmp_path / "new" / "folder").is_dir()


def test_runs_of_other_code_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "runs.jsonl"
    RunFile(path).append(RUNS[0])
    RunFile(path)
    assert capsys.readouterr().err == ""
    path.write_text(path.read_text().replace('"code": "', '"code": "9.'))
    assert list(RunFile(path).runs().values()) == [RUNS[0]]
    assert f"{path} has runs of 9." in capsys.readouterr().err


def test_a_key_names_all_that_determines_a_run() -> None:
    order = an_order("fedavg", 0)
    others = [
        replace(order, seed=1),
        replace(order, start="random"),
        replace(order, pages="1" * 64),
        replace(order, plan="small"),
        replace(order, method=replace(order.method, starts="kept")),
        replace(order, budget=replace(BUDGET, steps=6)),
        replace(order, method=replace(order.method, server_rate=1.5)),
    ]
    assert len({one.key for one in (order, *others)}) == 8


def test_ratios_pair_the_seeds_and_put_the_best_first() -> None:
    best, other = ratios(RUNS)
    assert (best.method, other.method) == ("fedadam", "fedavg")
    assert (best.mean, best.least, best.most) == pytest.approx((1.025, 1.0, 1.05))
    assert (other.mean, other.least, other.most) == pytest.approx((0.975, 0.95, 1.0))
    assert ratios(RUNS[2:]) == []
    assert "| fedadam | 1.0250 | 1.0000 | 1.0500 |" in ratio_table([best, other])


def test_tables_give_mean_and_spread_over_seeds() -> None:
    lines = dice_table(RUNS).splitlines()
    assert lines[0] == "| round | steps of all | centralized | fedavg | fedadam |"
    assert lines[2].startswith("| 0 | 0 | 0.5000 ± 0.0000 |")
    assert lines[3].startswith("| 2 | 20 | 0.8500 ± 0.0707 | 0.8300 ± 0.0990 |")
    assert "| centralized | 0.8500 ± 0.0707 | 0.4250 ± 0.0354 | 0.6375 ± 0.0530 | b |" in site_table(RUNS).splitlines()
    assert "±" not in dice_table(RUNS[:1])


def test_tuning_table_puts_each_methods_best_first() -> None:
    lines = tuning_table(RUNS[:2]).splitlines()
    assert [line.split(" | ")[-2:] for line in lines[2:]] == [["0.9000", "+0.1000 |"], ["0.8000", "+0.0000 |"]]


def test_csv_and_json_hold_every_point() -> None:
    rows = list(csv.DictReader(csv_text(RUNS).splitlines()))
    assert len(rows) == 12
    assert rows[1] == {
        "method": CENTRALIZED,
        "settings": "centralized, lr 0.01, momentum 0.99",
        "seed": "0",
        "round": "2",
        "dice": "0.800000",
        "a": "0.800000",
        "b": "0.400000",
    }
    document = json.loads(json_text(RUNS))
    assert [run_from_json(run) for run in document["runs"]] == RUNS
    assert document["ratios"][0]["method"] == "fedadam"


def test_tuned_settings_are_candidates_that_were_tried() -> None:
    assert all(method in (*GRID, *LEVERS) for method in TUNED.values())
    assert list(TUNED) == [CENTRALIZED, "fedavg", "fedprox", "fedadam"]
    assert [method.site for method in SITES_ALONE] == list(SITES)


def test_a_site_alone_takes_its_steps_of_a_federation(bench: Bench) -> None:
    list(bench.train(Method(ALONE, site="b"), BUDGET, np.zeros(4, np.float32), seed=0))
    assert [(site, options.steps) for site, options in RecordingTrainer.calls] == [("b", 5)] * 3


def test_a_kept_momentum_goes_on_and_an_empty_one_does_not(bench: Bench) -> None:
    list(bench.train(Method(CENTRALIZED, starts="kept"), BUDGET, np.zeros(4, np.float32), seed=0))
    list(bench.train(Method("fedavg"), BUDGET, np.zeros(4, np.float32), seed=0))
    pool = [momentum for site, momentum in RecordingTrainer.momenta if site == "pool"]
    assert pool[0] is None
    assert [float(momentum[0]) for momentum in pool[1:] if momentum is not None] == [1.0, 2.0]
    assert all(momentum is None for site, momentum in RecordingTrainer.momenta if site != "pool")


def test_the_trajectorys_momentum_moves_as_the_model_did(bench: Bench) -> None:
    list(bench.train(Method("fedavg", 0.1, starts="trajectory"), BUDGET, np.zeros(4, np.float32), seed=0))
    for site in ("a", "b"):
        asked = [options for name, options in RecordingTrainer.calls if name == site]
        first, *others = [momentum for name, momentum in RecordingTrainer.momenta if name == site]
        assert first is None
        for before, momentum in zip(asked, others, strict=False):  # the model went up by 2, and SGD steps down
            rates = sum(before.learning_rate_at(step) for step in range(5))
            np.testing.assert_allclose(momentum, -2 / rates, rtol=1e-5)
        assert others[0][0] != others[1][0]  # the rates fall


def test_fedexp_steps_farther_where_updates_disagree() -> None:
    start, mean = np.zeros(2, np.float32), np.array([1.0, 0.0])
    for lengths, factor in (([1.0, 1.0], 1.0), ([5.0, 5.0], 2.5)):
        optimizer = FedExP(0.5, lengths)
        _, model = optimizer.step(optimizer.init(2), start, mean)
        np.testing.assert_allclose(model, [0.5 * factor, 0.0], rtol=1e-6)


def test_fedexp_knows_the_updates_of_each_round(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="there are none"):
        FedExP(1.0, []).step(FedExP(1.0).init(4), np.zeros(4, np.float32), np.ones(4))
    steps = {"a": (-1.0, -2.0), "b": (3.0, 3.0)}

    def train(self: RecordingTrainer, model: np.ndarray, options: TrainOptions, **_: object) -> SimpleNamespace:
        self._rounds += 1
        return SimpleNamespace(update=np.full(4, steps[self._site][self._rounds - 1], np.float32))

    monkeypatch.setattr(RecordingTrainer, "train", train)
    moved = [float(model[0]) for model in bench.models(Method("fedexp"), Budget(2, 1), np.zeros(4, np.float32), 0)]
    first = (4 + 36) / 2 / (2 * 4)  # times the mean of 1
    second = (16 + 36) / 2 / (2 * 1) * 0.5
    assert moved == pytest.approx([first, first + second])


def test_a_run_that_diverges_is_told_and_left_out(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    orders = [Order(Method(name), BUDGET, 0, "start", bench.pages_digest, "tiny") for name in ("fedavg", "fedadam")]

    def train(self: RecordingTrainer, model: np.ndarray, options: TrainOptions, **_: object) -> SimpleNamespace:
        self.calls.append((self._site, options))
        if len(self.calls) == 1:
            raise UpdateError("local training diverged")
        return SimpleNamespace(update=np.ones(model.size, np.float32))

    monkeypatch.setattr(RecordingTrainer, "train", train)
    assert [run.name for run in finished(bench, orders, tmp_path)] == ["fedadam"]
    assert "fedavg" in (told := capsys.readouterr().err)
    assert "left out" in told


def test_a_run_of_before_plans_were_named_is_read(tmp_path: Path) -> None:
    document = asdict(RUNS[0])
    del document["order"]["plan"]
    assert run_from_json(document) == RUNS[0]


def test_an_average_over_rounds_is_measured(bench: Bench) -> None:
    models = list(bench.models(Method("fedavg", averaged=0.5), Budget(2, 1), np.zeros(4, np.float32), 0))
    assert [float(model[0]) for model in models] == [1.0, 2.5]


def test_curves_have_every_method_and_their_ends() -> None:
    text = draw_curves(RUNS)
    assert "fedadam ends at 0.8700" in text
    assert text.count("<svg") == 1


def test_a_bundled_model_of_another_plan_is_refused() -> None:
    with pytest.raises(ConfigError, match="'start' is of plan tiny, and not small"):
        first_model("start", "small", 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "fedavg,fedsgd"], "no method fedsgd"),
        (["-o", "points.txt"], "points.txt does not end in .csv or .json"),
        (["--draw", "curves.png"], "curves.png does not end in .svg"),
        (["--draw", "nowhere/curves.svg"], "there is no folder nowhere"),
        (["--plan", "small"], "of plan tiny, and not small"),
        (["--paper", "--rounds", "5"], "--paper has its own --rounds"),
        (["--levers", "--seeds", "2"], "--seeds: --tune and --levers are a table of one seed"),
        (["--tune", "--levers"], "two tables"),
    ],
)
def test_impossible_options_are_named(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_missing_database_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECG_FLARE_DATA", str(tmp_path / "nowhere"))
    result = CliRunner().invoke(main, ["--folder", str(tmp_path)])
    assert result.exit_code == 1
    assert "set ECG_FLARE_DATA" in result.stderr


@pytest.mark.slow
def test_it_runs_on_synthetic_pages_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    arguments = ["--quick", "--methods", "centralized,fedadam", "--folder", str(tmp_path), "-o", str(table)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "| round | steps of all | centralized | fedadam |" in result.stdout
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(row["method"], row["round"]) for row in rows] == [
        (method, str(done)) for method in (CENTRALIZED, "fedadam") for done in (0, 2)
    ]
    assert rows[0]["dice"] == rows[2]["dice"]  # the same first model
    assert all(0.3 < float(row["dice"]) < 1 for row in rows)
    kept = (tmp_path / "runs.jsonl").read_text()
    again = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert again.stdout == result.stdout
    assert (tmp_path / "runs.jsonl").read_text() == kept
