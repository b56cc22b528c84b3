"""Peak memory of the server's process in FLARE's simulator, for a few and for many sites."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from ecg_flare.federated.parts import Roster, TrainedModel
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.folders import Pages, write_job

_APP = Path(__file__).parent / "app"


def peak_bytes(sites: int, *, plan_name: str, threads: int = 1, rounds: int = 1) -> int:
    """Peak resident memory of the server after FedAvg with `sites` sites, in bytes.

    With one thread updates arrive one after the other, which shows what the server keeps for each site; what FLARE
    holds for updates that arrive at the same moment comes on top.
    """
    weights = {f"site-{index + 1}": 1.0 for index in range(sites)}
    nobody = Pages("measured_site.NoCases")
    spec = replace(
        BUNDLED["fedavg"],
        name=f"memory_{sites}",
        terms=JobTerms(Roster(weights, min_sites=sites), rounds=rounds, model=TrainedModel(plan_name)),
        pages=nobody,
        public_pages=nobody,
    )
    with tempfile.TemporaryDirectory() as folder:
        job, probe = write_job(spec, Path(folder), _APP), Path(folder) / "probe.jsonl"
        _replace(
            job / "app/config/config_fed_client.json", "ecg_flare.flare.site.executor.NnunetExecutor", "RandomUpdate"
        )
        _replace(
            job / "app/config/config_fed_server.json", "ecg_flare.flare.server.evaluator.PublicEvaluator", "MemoryProbe"
        )
        command = [str(Path(sys.executable).with_name("nvflare")), "simulator", str(job), "-w", f"{folder}/run"]
        subprocess.run(
            [*command, "-t", str(threads)],
            env={**os.environ, "ECG_FLARE_MEMORY_PROBE": str(probe), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return max(int(json.loads(line)) for line in probe.read_text().splitlines())


def _replace(file: Path, path: str, name: str) -> None:
    config = json.loads(file.read_text())
    parts = [*config["components"], *(one["executor"] for one in config.get("executors", []))]
    for part in parts:
        if part["path"] == path:
            part["path"] = f"measured_site.{name}"
            if name == "RandomUpdate":
                part["args"] = {}
    file.write_text(json.dumps(config))
