"""The poisoning benchmark: what poisoned sites send, what is kept, the table, and that it runs."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

# before the installed distribution that ships a package of the same name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.poisoning.__main__ import main, rules
from benchmarks.poisoning.federation import Federation, Outcome, Size
from benchmarks.poisoning.poisons import POISONS, SwappedLabels, flipped, noise, swapped
from benchmarks.poisoning.table import FEDAVG, Run, RunFile, RunRequest, dice_table, failure_lines

from ecg_flare.federated.robust import Krum, TrimmedMean
from ecg_flare.task.traces.sources import SyntheticPages

REQUEST = RunRequest(FEDAVG, "none", 0, Size(), "pages")


def run(
    rule: str = FEDAVG, poison: str = "none", seed: int = 0, dice: float = 0.5, failures: tuple[str, ...] = ()
) -> Run:
    request = replace(REQUEST, rule=rule, poison=poison, seed=seed)  # type: ignore[arg-type]
    return Run(request, Outcome(dice, 1.5, failures), 2.0)


def test_what_poisoned_sites_send() -> None:
    assert flipped(np.array([1, -2], np.float32)).tolist() == [-10, 20]
    sent = noise(100_000, np.random.default_rng(0))
    assert sent.dtype == np.float32
    assert abs(sent.mean()) < 0.02
    assert sent.std() == pytest.approx(1, abs=0.02)
    assert swapped(np.array([[0, 1], [2, 3]], np.uint8)).tolist() == [[1, 0], [2, 3]]


def test_swapped_labels_change_the_masks_alone_and_are_other_pages_to_the_cache() -> None:
    pages = SyntheticPages({"a": "district"}, 1)
    swapping = SwappedLabels(pages)
    (case,), (changed,) = pages.cases("a"), swapping.cases("a")
    assert (changed.image == case.image).all()
    assert ((changed.mask == 1) == (case.mask == 0)).all()
    assert ((changed.mask == 0) == (case.mask == 1)).all()
    assert swapping.describe("a") != pages.describe("a")


def test_the_last_sites_are_poisoned() -> None:
    assert Size(sites=5, poisoned=2).names == ("site-1", "site-2", "site-3", "site-4", "site-5")
    assert Size(sites=5, poisoned=2).poisoned_names == ("site-4", "site-5")


def test_rules_are_set_to_stand_the_poisoned_sites() -> None:
    known = rules(2)
    assert known[FEDAVG] is None
    assert known["TrimmedMean(max_byzantine=2)"] == TrimmedMean(2)
    assert known["Krum(max_byzantine=2)"] == Krum(2)
    assert len(known) == 6


def test_too_few_sites_for_a_rule_are_named() -> None:
    result = CliRunner().invoke(main, ["--sites", "6"])
    assert result.exit_code == 2
    assert "Krum with max_byzantine 2 has the updates of 6 sites" in result.stderr


def test_runs_come_back_from_their_file(tmp_path: Path) -> None:
    file = RunFile(tmp_path / "runs.jsonl")
    runs = [run(), run(poison="noise", dice=0.1, failures=("round 2: diverged",))]
    for one in runs:
        file.append(one)
    assert list(RunFile(tmp_path / "runs.jsonl").runs().values()) == runs
    assert REQUEST.key != replace(REQUEST, size=Size(rounds=4)).key


def test_the_table_has_rules_as_rows_and_poisons_as_columns() -> None:
    runs = [
        run(dice=0.6),
        run(dice=0.7, seed=1),
        run(poison="noise", dice=0.1),
        run(rule="Median", poison="noise", dice=0.5, failures=("round 1: too few",)),
    ]
    assert dice_table(runs).splitlines() == [
        "| rule | none | Gaussian noise, std 1 |",
        "| --- | --- | --- |",
        "| FedAvg | 0.650 (0.600 to 0.700) | 0.100 |",
        "| Median |  | 0.500 |",
    ]
    assert failure_lines(runs) == "Median, Gaussian noise, std 1, seed 0: round 1: too few"


@pytest.mark.slow
def test_it_runs_and_goes_on_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--seeds", "1", "--rounds", "1", "--steps", "1", "--folder", str(tmp_path)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert f"| rule | {' | '.join(POISONS.values())} |" in result.stdout
    kept = (tmp_path / "runs.jsonl").read_text()
    assert len(kept.splitlines()) == 6 * len(POISONS)
    # Nothing is trained again.
    monkeypatch.setattr(Federation, "run", None)
    again = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert again.stdout == result.stdout
    assert (tmp_path / "runs.jsonl").read_text() == kept
