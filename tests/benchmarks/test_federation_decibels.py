"""The table of decibels: which models are read, and how rows are made of pages."""

import sys
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest

# before the installed distribution that ships a package of the same name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.federation.candidates import SITES_ALONE, TUNED
from benchmarks.federation.decibels import START, Model, Reading, Task, federated_models, table
from benchmarks.federation.kept import model_path
from benchmarks.federation.methods import Budget, Method
from benchmarks.federation.runs import Point
from benchmarks.federation.table import Order, Run, RunFile


def keep(folder: Path, order: Order) -> None:
    RunFile(folder / "runs.jsonl").append(Run(order, (Point(order.budget.rounds, 0.9, {"site-1": 0.9}),), 1.0))
    path = model_path(folder, order)
    path.parent.mkdir(exist_ok=True)
    np.save(path, np.full(3, order.seed, np.float32))


def test_models_of_the_longest_runs_are_read(tmp_path: Path) -> None:
    order = Order(TUNED["fedadam"], Budget(100, 10), 0, "start", "0" * 64, "tiny")
    keep(tmp_path, order)
    keep(tmp_path, replace(order, seed=1))
    keep(tmp_path, replace(order, budget=Budget(20, 10)))
    keep(tmp_path, replace(order, method=Method("fedadam", averaged=0.5), seed=100))  # a lever that was tried
    keep(tmp_path, replace(order, budget=Budget(200, 10), plan="small"))
    keep(tmp_path, replace(order, start="random"))
    keep(tmp_path, replace(order, method=SITES_ALONE[2]))
    found = federated_models(tmp_path)
    assert [(one.name, one.seed, one.site) for one in found] == [
        (START, 0, ""),
        ("fedadam", 0, ""),
        ("fedadam", 1, ""),
        ("site-3 alone", 0, "site-3"),
    ]
    assert found[1].digest != found[2].digest


def test_runs_over_other_pages_are_not_pooled(tmp_path: Path) -> None:
    order = Order(TUNED["fedadam"], Budget(100, 10), 0, "start", "0" * 64, "tiny")
    keep(tmp_path, order)
    keep(tmp_path, replace(order, pages="1" * 64))
    with pytest.raises(click.ClickException, match="several sets of pages"):
        federated_models(tmp_path)


def test_a_folder_without_models_is_named(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match=f"{tmp_path} has no run with its model"):
        federated_models(tmp_path)


def test_rows_pool_pages_and_sites_alone_are_one_row() -> None:
    def reading(model: Model, site: str, snr_db: float, layout: bool = True) -> Reading:
        return Reading(Task(model, site, f"{snr_db}"), snr_db, 0.5, layout, 0.9)

    fedadam = Model("fedadam", 0)
    readings = [reading(fedadam, "site-1", 10.0), reading(fedadam, "site-2", 20.0, layout=False)]
    readings += [reading(Model(f"{site} alone", 0, site=site), site, 6.0) for site in ("site-1", "site-2")]
    assert table(readings).splitlines()[2:] == [
        "| fedadam | 1 | 2 | 15.0 | 10.5 | 10.0 | 20.0 |  |  | 0.500 | 1 of 2 |",
        "| each site alone | 1 | 2 | 6.0 | 6.0 | 6.0 | 6.0 |  |  | 0.500 | 2 of 2 |",
    ]
