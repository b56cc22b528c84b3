"""Finished runs as folders of runs, which `ecg-flare report` and `ecg-flare compare` read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.federation.table import Run
from ecg_flare import __version__
from ecg_flare.federated.parts import Roster, TrainedModel
from ecg_flare.federated.run_files import ENDED, METRICS, RUN
from ecg_flare.federated.terms import JobTerms
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.settings import TrainingSettings
from ecg_flare.storage import write_atomically, write_json


def write_run(run: Run, sites: Sequence[str], folder: Path) -> Path:
    """Write a run of a federation of `sites` below `folder`; gives its folder.

    Only measured rounds have a line. Bytes and wall seconds are not measured in memory, and left out.
    """
    target = folder / f"{run.name.replace(' ', '-')}-{run.order.seed}-{run.key[:8]}"
    lines = [_line(run, index, sites) for index in range(len(run.points))]
    write_json(target / RUN, _facts(run, sites))
    write_atomically(target / METRICS, lambda file: file.writelines(f"{json.dumps(each)}\n".encode() for each in lines))
    write_json(target / ENDED, {"outcome": "finished"})
    return target


def _facts(run: Run, sites: Sequence[str]) -> dict[str, Any]:
    method, budget, plan = run.order.method, run.order.budget, run.order.plan
    names = method.roster(sites)
    training = TrainingSettings(
        steps=method.steps(budget, sites),
        learning_rate=method.learning_rate,
        schedule=budget.schedule,
        proximal_mu=method.proximal_mu,
        momentum=method.momentum,
    )
    return {
        "job": run.name,
        "version": __version__,
        "plan": plan,
        "plan_hash": plan_preset(plan).hash,
        "terms": asdict(
            JobTerms(Roster(dict.fromkeys(names, 1.0), len(names)), rounds=budget.rounds, model=TrainedModel(plan))
        ),
        "aggregator": method.name,
        "optimizer": {"learning_rate": method.server_rate, **method.server} if method.federated else {},
        "training": {**asdict(training), "momentum_starts": method.starts, "averaged": method.averaged},
        "start": run.order.start,
    }


def _line(run: Run, index: int, sites: Sequence[str]) -> dict[str, Any]:
    point = run.points[index]
    return {
        "round": point.round,
        "dice": point.dice,
        "pages": run.order.pages,
        "answered": list(run.order.method.roster(sites)) if point.round else [],
    }
