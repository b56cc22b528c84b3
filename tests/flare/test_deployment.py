"""Provisioned kits on 127.0.0.1: a server, three sites, and a lead who may ship no code, at FLARE's own console."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from benchmarks.faults.console import Console
from benchmarks.faults.federation import LEAD, SERVER, Federation, listeners, read_lines, wait_until
from benchmarks.faults.job import APP, CLASSES, write_private_job

from ecg_flare.flare.job.messages import model_sha256
from ecg_flare.flare.server.policy import LEDGER_FILE
from ecg_flare.privacy.chain import ChainWriter, witness_path
from ecg_flare.privacy.countersignature import auditor, check_on_ledger, read_countersignatures
from ecg_flare.privacy.ledger import verify
from ecg_flare.privacy.ledger_signature import ledger_verifier
from ecg_flare.storage import read_arrays

pytestmark = pytest.mark.slow

SITES = ("site-1", "site-2", "site-3")
ADMIN = "admin@coordinator.org"
FLARES = "nvflare.app_common.statistics.min_count_cleanser.MinCountCleanser"


@dataclass(frozen=True)
class Told:
    """What became of the jobs that were submitted together."""

    federation: Federation
    jobs: dict[str, str]
    statuses: dict[str, str]
    listening_before: list[str]
    listening_after: list[str]
    said_of_a_sites_file: str

    def results(self, name: str) -> Path:
        """What `download_job` brought of a job."""
        return self.federation.kits / LEAD / "transfer" / self.jobs[name] / "workspace"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Seven jobs, side by side (each takes FLARE half a minute): one to run, one to abort, five to be refused."""
    root = tmp_path_factory.mktemp("federation")
    (root / "faults").mkdir()
    jobs = {
        "good": write_private_job(root / "good", SITES, rounds=1),
        "aborted": write_private_job(root / "aborted", SITES, results=str(root / "kept"), seconds=300.0),
        "with code": write_private_job(root / "code", SITES),
        "with a strange class": write_private_job(root / "strange", SITES),
        "with a class of FLARE's": write_private_job(root / "flares", SITES),
        "under the limit": write_private_job(root / "limit", SITES),
        "of another scope": write_private_job(root / "scope", SITES),
    }
    custom = jobs["with code"] / "app" / "custom"
    custom.mkdir()
    (custom / "own.py").write_text("ANSWER = 42\n")
    _add_component(jobs["with a strange class"], "subprocess.Popen", {"args": ["true"]})
    _add_component(jobs["with a class of FLARE's"], FLARES, {})
    _clip_at(jobs["under the limit"], 2.0)
    meta = jobs["of another scope"] / "meta.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "scope": "radiology"}))
    federation = Federation(
        root / "kits",
        SITES,
        CLASSES,
        [APP],
        policy={"max_clipping_norm": 1.0},
        environment={"FAULTS": str(root / "faults")},
    )
    with federation:
        federation.provision()
        federation.start()
        federation.wait_for_sites()
        listening = listeners(federation.processes())
        with Console(federation.kits / LEAD, federation.variables()) as console:
            ids = {name: console.submit(job) for name, job in jobs.items()}
            _wait_for_training(federation, ids["aborted"])
            console.say(f"abort_job {ids['aborted']}", "y")
            deadline = time.monotonic() + 180
            while not all(status.startswith("FINISHED") for status in console.statuses().values()):
                assert time.monotonic() < deadline, console.statuses()
                time.sleep(1.0)
            for name in ("good", "aborted", "under the limit"):
                console.say(f"download_job {ids[name]}")
            statuses = {name: console.statuses()[job] for name, job in ids.items()}
        wait_until(lambda: not federation.processes(job=True), 60.0, "the end of all jobs' processes")
        with Console(federation.kits / ADMIN, federation.variables()) as console:
            said = console.say("cat site-1 local/ecg_flare.json")
        yield Told(federation, ids, statuses, listening, listeners(federation.processes()), said)
    assert not federation.processes()


def _wait_for_training(federation: Federation, job: str) -> None:
    started = "invoking task executor ArithmeticExecutor"
    # One job at a time has the server's ledger, so that this one may have to wait for another.
    wait_until(lambda: all(started in federation.log(site, job) for site in SITES), 240.0, "training at all sites")


def _add_component(job: Path, path: str, args: dict[str, object]) -> None:
    file = job / "app" / "config" / "config_fed_client.json"
    config = json.loads(file.read_text())
    config["components"].append({"id": "strange", "path": path, "args": args})
    file.write_text(json.dumps(config))


def _clip_at(job: Path, norm: float) -> None:
    for file in (job / "app" / "config").glob("config_fed_*.json"):
        config = json.loads(file.read_text())
        next(part for part in config["components"] if part["id"] == "terms")["args"]["clipping"]["norm"] = norm
        file.write_text(json.dumps(config))


def test_a_job_without_code_runs_for_a_lead_and_comes_home(told: Told) -> None:
    assert told.statuses["good"] == "FINISHED:COMPLETED"
    results = told.results("good") / "ecg_flare"
    ledger = verify(results / "ledger.jsonl")
    [charged] = ledger.rounds
    model = read_arrays(results / "state.npz")["model"]
    assert charged.model_sha256 == model_sha256(model).hex()
    assert np.array_equal(np.load(results / "model" / "model.npy"), model)
    assert read_lines(results / "metrics.jsonl")[-1]["answered"] == list(SITES)


def test_sites_sign_with_their_kits_certificates(told: Told) -> None:
    for party in (SERVER, *SITES):
        assert "TEST MODE" not in told.federation.log(party, told.jobs["good"])
    assert "TEST MODE" not in (told.results("good") / "log.txt").read_text()


def test_a_lead_may_not_ship_code(told: Told) -> None:
    assert told.statuses["with code"] == "FINISHED:FAILED_TO_RUN"
    assert "BYOC not permitted" in told.federation.log(SERVER)


def test_a_scope_that_no_site_takes_is_refused_by_name(told: Told) -> None:
    assert told.statuses["of another scope"] == "FINISHED:FAILED_TO_RUN"
    assert "privacy scope 'radiology' is not allowed" in told.federation.log(SERVER)


@pytest.mark.parametrize(
    ("job", "path"), [("with a strange class", "subprocess.Popen"), ("with a class of FLARE's", FLARES)]
)
def test_a_class_outside_the_allow_list_is_refused_by_name(told: Told, job: str, path: str) -> None:
    assert told.statuses[job] == "FINISHED:ABNORMAL"
    assert f"component not authorized: Component '{path}'" in told.federation.log("site-1", told.jobs[job])


def test_a_job_under_a_sites_floor_is_refused_by_name(told: Told) -> None:
    assert told.statuses["under the limit"] == "FINISHED:EXECUTION_EXCEPTION"
    assert "max_clipping_norm=1.0: the job's is 2.0" in (told.results("under the limit") / "log.txt").read_text()
    assert not any("round 1/" in line for line in _told_rounds(told.results("under the limit")))


def test_an_aborted_job_leaves_nothing_at_work(told: Told) -> None:
    assert told.statuses["aborted"] == "FINISHED:ABORTED"
    assert sorted(told.listening_after) == sorted(told.listening_before)
    kits = told.federation.kits
    assert not [str(file) for file in kits.rglob("*secret*") if file.is_file()]
    ledger = kits / SERVER / LEDGER_FILE
    charged = {one.mechanism.job for one in verify(ledger).rounds}
    assert charged == {told.jobs["good"]}  # of the other nothing was recovered: nothing was charged
    ChainWriter(ledger).close()  # its lock was given back


def test_the_sites_vouch_for_the_servers_ledger_with_their_kits(told: Told) -> None:
    ledger, root = told.results("good") / "ecg_flare" / "ledger.jsonl", told.federation.kits / LEAD / "startup"
    vouched = check_on_ledger(ledger, read_countersignatures(witness_path(ledger)), auditor(root / "rootCA.pem"))
    assert vouched.reach == ((verify(ledger).head.lines, len(SITES)),)
    for site in SITES:
        startup = told.federation.kits / site / "startup"
        own = told.federation.kits / site / "ecg_flare_ledger" / "ledger.jsonl"
        assert verify(own, verifier=ledger_verifier(startup / "client.crt", startup / "rootCA.pem")).rounds


def test_nobody_is_sent_a_sites_error_log(told: Told) -> None:
    assert told.federation.log("site-1", told.jobs["under the limit"])
    assert not list(told.results("under the limit").glob("site-*"))


def test_no_administrator_reads_a_sites_files(told: Told) -> None:
    assert "is not a supported shell command" in told.said_of_a_sites_file
    assert "pinned" not in told.said_of_a_sites_file


def _told_rounds(results: Path) -> list[str]:
    return [line for line in (results / "log.txt").read_text().splitlines() if "Dice" in line and "LOST" not in line]
