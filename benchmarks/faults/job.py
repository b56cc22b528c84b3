"""The private protocol as a job without code, whose training is arithmetic (`app/faulty_site.py`)."""

import json
from pathlib import Path
from typing import Any, Final

from ecg_flare.federated.parts import Clipping, Privacy, Roster
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.folders import JobSpec, Pages, write_job
from ecg_flare.flare.job.terms import fresh_nonce

APP: Final = Path(__file__).parent / "app"
_MODULE: Final = "faulty_site."
CLASSES: Final = tuple(
    _MODULE + name for name in ("ArithmeticEvaluator", "HeldMechanism", "ArithmeticExecutor", "HeldSite", "NoCases")
)
"""What kits must allow for this job beside ecg_flare's own classes."""


def write_private_job(
    folder: Path,
    sites: tuple[str, ...],
    *,
    rounds: int = 3,
    results: str = "",
    step_timeout_s: int = 10,
    twice: bool = False,
    child: bool = False,
    seconds: float = 0.0,
) -> Path:
    """Write the job: masked sum, clipping, noise, a ledger; three sites are enough for a round.

    Args:
        results: the server's folder for the model; '' leaves it in the job's run folder.
        twice: let the held site send its answer twice.
        child: let the held site start a training process.
        seconds: how long each site's training takes.
    """
    terms = JobTerms(
        sites=Roster(dict.fromkeys(sites, 1.0), min_sites=3),
        rounds=rounds,
        clipping=Clipping(1.0),
        privacy=Privacy(1.0, epsilon_budget=100.0),
        summation="masked",
        nonce=fresh_nonce(),
    )
    nobody = Pages(_MODULE + "NoCases")
    spec = JobSpec(
        name="faults",
        about="the private protocol, with arithmetic in place of training",
        aggregator="FedAdam",
        terms=terms,
        pages=nobody,
        public_pages=nobody,
        optimizer={"learning_rate": 0.001},
        start="random:0",
        folder=results,
        custom=False,
    )
    job = write_job(spec, folder)
    _edit(job, "server", lambda config: _server(config, step_timeout_s))
    _edit(job, "client", lambda config: _client(config, twice, {"seconds": seconds, "child": child}))
    return job


def _server(config: dict[str, Any], step_timeout_s: int) -> None:
    config["server"] = {"task_request_interval": 0.5}
    config["workflows"][0]["args"] |= {"step_timeout_s": step_timeout_s, "grace_s": 3}
    replaced = {"evaluator": "ArithmeticEvaluator", "mechanism": "HeldMechanism"}
    for part in config["components"]:
        if part["id"] in replaced:
            part["path"] = _MODULE + replaced[part["id"]]


def _client(config: dict[str, Any], twice: bool, training: dict[str, Any]) -> None:
    config["executors"][0]["executor"] = {"path": _MODULE + "ArithmeticExecutor", "args": training}
    config["components"].append({"id": "held", "path": _MODULE + "HeldSite", "args": {"twice": twice}})


def _edit(job: Path, side: str, change: Any) -> None:
    file = job / "app" / "config" / f"config_fed_{side}.json"
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config, indent=2) + "\n")
