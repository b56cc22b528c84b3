"""The simulator as a user runs it, on real jobs and on toy ones whose training is arithmetic."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecg_flare.flare.job.folders import JobSpec, Pages, write_job
from flat_terms import flat_terms

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Run:
    """A finished simulator run."""

    code: int
    log: str
    workspace: Path

    @property
    def results(self) -> Path:
        return self.workspace / "server" / "simulate_job" / "ecg_flare"


def simulate(
    spec: JobSpec,
    folder: Path,
    custom: Path,
    *,
    threads: int | None = None,
    edit: Callable[[dict[str, Any], dict[str, Any]], None] = lambda server, client: None,
) -> Run:
    """Write the job, let `edit` change its server and client config, and run `nvflare simulator` on it."""
    command = simulator_command(spec, folder, custom, threads=threads, edit=edit)
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=800
    )
    return Run(done.returncode, done.stdout, folder / "run")


def simulator_command(
    spec: JobSpec,
    folder: Path,
    custom: Path,
    *,
    threads: int | None = None,
    edit: Callable[[dict[str, Any], dict[str, Any]], None] = lambda server, client: None,
) -> list[str]:
    """Write the job and give the command that runs it."""
    job = write_job(spec, folder / "jobs", custom)
    files = [job / "app" / "config" / f"config_fed_{side}.json" for side in ("server", "client")]
    configs = [json.loads(file.read_text()) for file in files]
    edit(*configs)
    for file, config in zip(files, configs, strict=True):
        file.write_text(json.dumps(config))
    command = [str(Path(sys.executable).with_name("nvflare")), "simulator", str(job), "-w", str(folder / "run")]
    if threads is not None:
        command += ["-t", str(threads)]
    return command


def toy_spec(**terms: Any) -> JobSpec:
    """A job of three sites and two rounds whose training is arithmetic (`toy_app/toy_site.py`)."""
    weights = terms.pop("weights", dict.fromkeys(("site-1", "site-2", "site-3"), 1.0))
    aggregator = terms.pop("aggregator", "FedAdam")
    return JobSpec(
        name="toy",
        about="a toy",
        aggregator=aggregator,
        terms=flat_terms(**{"weights": weights, "rounds": 2, "min_sites": 2, **terms}),
        pages=Pages("toy_site.NoCases"),
        public_pages=Pages("toy_site.NoCases"),
        optimizer={"learning_rate": 0.1} if aggregator == "FedAdam" else {},
        start="random:0",
    )


TOY_APP = Path(__file__).parent / "toy_app"


def toy_edit(
    evaluator: str = "ToyEvaluator", executor: str = "ToyExecutor", mechanism: str = "", **fault: Any
) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    """Put the toy's classes into a job; `fault` are arguments of its executor."""

    def edit(server: dict[str, Any], client: dict[str, Any]) -> None:
        client["executors"][0]["executor"] = {"path": f"toy_site.{executor}", "args": fault}
        for part in server["components"]:
            if part["id"] == "evaluator":
                part["path"] = f"toy_site.{evaluator}"
            if part["id"] == "mechanism" and mechanism:
                part["path"] = f"toy_site.{mechanism}"

    return edit


def simulate_toy(spec: JobSpec, folder: Path, *, threads: int | None = None, **classes_and_fault: Any) -> Run:
    """Run a toy job; the further arguments are those of `toy_edit`."""
    return simulate(spec, folder, TOY_APP, threads=threads, edit=toy_edit(**classes_and_fault))
