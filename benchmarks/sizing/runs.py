"""A round in FLARE's simulator, measured: of the private protocol, or of an exported job."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.sizing.memory import watch
from ecg_flare.errors import WorkerError
from ecg_flare.federated.parts import TrainedModel
from ecg_flare.federated.terms import JobTerms
from ecg_flare.federated.update import layout_size
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.export import equal_roster
from ecg_flare.flare.job.folders import JobSpec, Pages, Training, write_job
from ecg_flare.nnunet.kinds import plan_of
from ecg_flare.privacy.secure_sum.context import min_threshold
from ecg_flare.site.kit import JobFolder, entry

_APP = Path(__file__).parents[1] / "overhead" / "app"
_EXECUTOR, _EVALUATOR = (
    "ecg_flare.flare.site.executor.NnunetExecutor",
    "ecg_flare.flare.server.evaluator.PublicEvaluator",
)


@dataclass(frozen=True)
class Round:
    """What one round took.

    Attributes:
        seconds: wall seconds of the whole simulation, start and end and all rounds included.
        seconds_by_step: of the last round's steps, as the job's metrics say.
        bytes_down, bytes_up: payloads of models and masked updates, all sites together.
        server_bytes: peak memory of the server's process, None where sites train; all_bytes that of all processes.
    """

    plan: str
    parameters: int
    sites: int
    threads: int
    answered: int
    seconds: float
    seconds_by_step: Mapping[str, float]
    bytes_down: int
    bytes_up: int
    server_bytes: int | None
    all_bytes: int


def measure(plan: str, sites: int, *, threads: int, pages: Path | None) -> Round:
    """Run one round of a masked sum with noise among so many sites; raises WorkerError where the simulation fails.

    With `pages` (a folder with masks, the same for all sites) each trains one step; without, each answers noise.
    """
    spec = _spec(plan, sites, pages)
    with tempfile.TemporaryDirectory() as text:
        job = write_job(spec, Path(text), _APP)
        if pages is None:
            _stand_in(job / "app/config/config_fed_client.json", _EXECUTOR, "RandomUpdate")
            _stand_in(job / "app/config/config_fed_server.json", _EVALUATOR, "MemoryProbe")
        return measure_job(job, threads=threads)


def measure_job(job: Path, *, threads: int | None) -> Round:
    """Run a job's folder as it is, and tell of its last round; raises WorkerError where the simulation fails.

    Without `threads` the simulator takes one site after another, as it does where a user says nothing.
    """
    folder = JobFolder(job)
    terms = JobTerms(**entry(folder.server_config, "terms").get("args", {}))
    plan = plan_of(terms.model.plan, terms.model.document)
    with tempfile.TemporaryDirectory() as text:
        scratch = Path(text)
        flare, probe = str(Path(sys.executable).with_name("nvflare")), scratch / "probe.jsonl"
        at_once = [] if threads is None else ["-t", str(threads)]
        started = time.monotonic()
        with (scratch / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                [flare, "simulator", str(job), "-w", str(scratch / "run"), *at_once],
                env={**os.environ, "OMP_NUM_THREADS": "1", "ECG_FLARE_MEMORY_PROBE": str(probe)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            peak = watch(process)
        seconds = time.monotonic() - started
        metrics = scratch / "run/server/simulate_job/ecg_flare/metrics.jsonl"
        if process.returncode or not metrics.exists():
            raise WorkerError(f"the simulation ended with {process.returncode}: {_complaints(scratch / 'log.txt')}")
        server = max(map(int, probe.read_text().split())) if probe.exists() else None
        figures = _last_round(metrics, scratch / "log.txt")
    return Round(
        plan=plan.name,
        parameters=layout_size(plan.layout),
        sites=len(terms.roster),
        threads=threads or 1,
        answered=len(figures["answered"]),
        seconds=seconds,
        seconds_by_step=figures["seconds_by_step"],
        bytes_down=figures["bytes_down"],
        bytes_up=figures["bytes_up"],
        server_bytes=server,
        all_bytes=peak,
    )


def _spec(plan: str, sites: int, pages: Path | None) -> JobSpec:
    dp = BUNDLED["fedadam_site_dp"]
    roster = equal_roster([f"site-{index + 1}" for index in range(sites)], "masked", min_threshold(sites))
    terms = replace(dp.terms, sites=roster, rounds=1, model=TrainedModel(plan), summation="masked")
    spec = replace(dp, name="sizing", terms=terms, training=Training(steps=1))
    if pages is None:
        nobody = Pages("measured_site.NoCases")
        return replace(spec, pages=nobody, public_pages=nobody, start="random:0")
    folder = Pages("ecg_flare.task.traces.page_folder.PageFolder", {"folder": str(pages.resolve())})
    return replace(spec, pages=folder, public_pages=folder, start="bundled:start" if plan == "tiny" else "random:0")


def _stand_in(file: Path, path: str, name: str) -> None:
    config: dict[str, Any] = json.loads(file.read_text())
    for part in [*config["components"], *(one["executor"] for one in config.get("executors", []))]:
        if part["path"] == path:
            part["path"] = f"measured_site.{name}"
            if name == "RandomUpdate":
                part["args"] = {}
    file.write_text(json.dumps(config))


def _last_round(metrics: Path, log: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(metrics.read_text().splitlines()[-1])
    if figures["failure"] or not figures["round"]:
        raise WorkerError(f"the round was lost: {figures['failure'] or 'it never ended'}\n{_complaints(log)}")
    return figures


def _complaints(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join([line for line in lines if "ERROR" in line or "Error:" in line][:40] or lines[-40:])
