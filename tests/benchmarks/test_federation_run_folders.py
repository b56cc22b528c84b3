"""Runs of the federation benchmark as folders: what `ecg-flare compare` reads of them."""

import sys
from pathlib import Path

import pytest

# before the installed distribution that ships a package of the same name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.federation.methods import CENTRALIZED, Budget, Method
from benchmarks.federation.run_folders import write_run
from benchmarks.federation.runs import Point
from benchmarks.federation.table import Order, Run

from ecg_flare.report.compare import Named, compare
from ecg_flare.report.compare.cautions import cautions
from ecg_flare.report.compare.results import method_results, results
from ecg_flare.report.run import read_run

SITES = ("site-1", "site-2", "site-3", "site-4")
BUDGET = Budget(rounds=8, steps=10, every=4)


def finished(name: str, seed: int, last: float, pages: str = "ab" * 32) -> Run:
    points = tuple(Point(done, dice, {}) for done, dice in ((0, 0.5), (4, 0.6), (8, last)))
    return Run(Order(Method(name, 0.4), BUDGET, seed, "start", pages, "tiny"), points, 1.0)


def test_a_run_comes_back_with_its_dice_and_its_steps(tmp_path: Path) -> None:
    orders = [finished(CENTRALIZED, 0, 0.9), finished("fedadam", 0, 0.8), finished("fedadam", 1, 0.6)]
    given = [Named(read_run(write_run(one, SITES, tmp_path)), one.name) for one in orders]
    comparison = compare(given)
    steps = {row.method: (row.steps_in_a_row, row.sites) for row in results(comparison)}
    assert steps == {CENTRALIZED: (320, 1), "fedadam": (80, 4)}  # 40 and 10 in a round
    central, fedadam = method_results(comparison)
    assert (central.dice, fedadam.dice, fedadam.ratio) == pytest.approx((0.9, 0.7, 0.7 / 0.9))
    assert cautions(comparison) == ()


def test_runs_over_other_pages_do_not_compare(tmp_path: Path) -> None:
    orders = [finished(CENTRALIZED, 0, 0.9), finished("fedadam", 0, 0.8, "cd" * 32)]
    comparison = compare([Named(read_run(write_run(one, SITES, tmp_path))) for one in orders])
    assert results(comparison)[1].ratio is None
