"""One cell of the matrix: a job, a fault in a phase of its second round, and what is left of both."""

import json
import resource
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.faults.federation import SERVER, Federation, read_lines, wait_until
from benchmarks.faults.job import write_private_job
from ecg_flare.errors import EcgFlareError
from ecg_flare.flare.job.messages import model_sha256
from ecg_flare.flare.server.policy import LEDGER_FILE
from ecg_flare.flare.site.heads import HEADS_FOLDER
from ecg_flare.privacy.ledger import verify
from ecg_flare.storage import read_arrays

SITE_PHASES: Final = ("keys", "shares", "train", "consent", "unmask")
PHASES: Final = (*SITE_PHASES, "noise", "release")
ROUNDS: Final = 3
STEP_TIMEOUT_S: Final = 10
_VICTIM: Final = "site-2"
_FAULTY_ROUND: Final = 1
_JOB_S: Final = 240.0


def phases_of(fault: str) -> tuple[str, ...]:
    """The phases in which this fault can happen."""
    return {"training process killed": ("train",), "message twice": SITE_PHASES}.get(fault, PHASES)


@dataclass(frozen=True)
class Cell:
    """What became of one fault in one phase.

    Attributes:
        outcome: FLARE's status of the job; after an arrow, that of the same job submitted again.
        failed: rounds with too few answers; missing: rounds that went on without the faulty site.
        charged, released: rounds that the ledger charged and released, of `ROUNDS` that were to run.
        wrong: what must not happen and did; empty where all held.
    """

    fault: str
    phase: str
    outcome: str
    failed: int
    missing: int
    charged: int
    released: int
    rounds_done: int
    seconds: float
    wrong: tuple[str, ...]


def run_cell(fault: str, phase: str, federation: Federation, faults: Path) -> Cell:
    """Run one job with the fault, submit it again where it failed, and look at what is left."""
    started = time.monotonic()
    for file in faults.glob("*"):
        file.unlink()
    results = federation.folder / "results"
    shutil.rmtree(results, ignore_errors=True)
    # A cell is about a cohort of its own: the server's ledger, and what the sites remember of it, begin anew.
    shutil.rmtree((federation.kits / SERVER / LEDGER_FILE).parent, ignore_errors=True)
    for site in federation.sites:
        shutil.rmtree(federation.kits / site / HEADS_FOLDER, ignore_errors=True)
    party = "server" if phase in ("noise", "release") else _VICTIM
    (faults / "hold.json").write_text(json.dumps({"party": party, "phase": phase, "round": _FAULTY_ROUND}))
    job = write_private_job(
        federation.folder / "jobs",
        tuple(federation.sites),
        rounds=ROUNDS,
        results=str(results),
        step_timeout_s=STEP_TIMEOUT_S,
        twice=fault == "message twice",
        child=fault == "training process killed",
    )
    identity = federation.session.submit_job(str(job))
    wait_until(lambda: (faults / "reached").exists(), 120.0, f"the phase {phase}")
    before = _saved_rounds(results)
    FAULTS[fault](federation, faults)
    (faults / "go").touch()
    outcome = _end(federation, identity)
    wrong = [] if _saved_rounds(results) >= before else ["a saved round is gone"]
    (faults / "hold.json").unlink()
    _heal(federation)
    if not outcome.endswith("COMPLETED"):
        outcome += " → " + _end(federation, federation.session.submit_job(str(job)))
        _quiet(federation)
    return _look(fault, phase, outcome, federation, results, faults, wrong, time.monotonic() - started)


def _look(
    fault: str,
    phase: str,
    outcome: str,
    federation: Federation,
    results: Path,
    faults: Path,
    wrong: list[str],
    seconds: float,
) -> Cell:
    figures = [line for line in read_lines(results / "metrics.jsonl") if line["round"]]
    charged = released = 0
    last = ""
    try:
        ledger = verify(federation.kits / SERVER / LEDGER_FILE)
        charged, released = len(ledger.rounds), sum(each.released for each in ledger.rounds)
        last = next((each.model_sha256 or "" for each in reversed(ledger.rounds) if each.released), "")
    except EcgFlareError as error:
        wrong.append(f"the ledger: {error}")
    state = read_arrays(results / "state.npz") if (results / "state.npz").exists() else {}
    done = sum(1 for line in figures if line["answered"])
    if state and last and model_sha256(state["model"]).hex() != last:
        wrong.append("the saved model is not the one that was released last")
    if charged < done:
        wrong.append(f"{done} rounds ended and {charged} are charged")
    if not outcome.endswith("COMPLETED"):
        wrong.append("the job could not be ended")
    sent = Counter(line["sha256"] for site in federation.sites for line in read_lines(faults / f"sent-{site}.jsonl"))
    if repeated := sum(count - 1 for count in sent.values()):
        wrong.append(f"{repeated} masked updates or keys were sent twice")
    wrong += [f"{file.name} is left at {file.parent.name}" for file in federation.kits.glob("*/*round_secrets*")]
    return Cell(
        fault=fault,
        phase=phase,
        outcome=outcome.replace("FINISHED:", ""),
        failed=sum(bool(line["failure"]) for line in figures),
        missing=sum(bool(line["missing"]) and not line["failure"] for line in figures),
        charged=charged,
        released=released,
        rounds_done=_saved_rounds(results),
        seconds=seconds,
        wrong=tuple(wrong),
    )


def _end(federation: Federation, identity: str) -> str:
    """The job's last status; 'gone' where the server forgot it, 'stuck' where it would not end."""
    deadline = time.monotonic() + _JOB_S
    while time.monotonic() < deadline:
        status = _status(federation, identity)
        if status is None or status.startswith("FINISHED"):
            return status or "server lost"
        time.sleep(0.5)
    federation.session.abort_job(identity)
    return "stuck, aborted"


def _status(federation: Federation, identity: str) -> str | None:
    if not federation.processes(SERVER):
        return None
    meta: dict[str, Any] = federation.session.get_job_meta(identity)
    return str(meta["status"])


def _quiet(federation: Federation) -> None:
    wait_until(lambda: not federation.processes(job=True), 120.0, "the end of the job's processes")


def _heal(federation: Federation) -> None:
    """Start what a fault ended, and wait until all sites are back."""
    down = [party for party in (SERVER, *federation.sites) if not federation.processes(party)]
    if down:
        federation.start(*down)
    if SERVER in down:
        federation.forget_session()
    federation.wait_for_sites()
    _quiet(federation)


def _saved_rounds(results: Path) -> int:
    file = results / "state.npz"
    return int(json.loads(read_arrays(file)["fields"].tobytes())["rounds_done"]) if file.exists() else 0


def _site_killed(federation: Federation, faults: Path) -> None:
    federation.kill(_VICTIM, job=True)


def _training_killed(federation: Federation, faults: Path) -> None:
    (faults / "go").touch()
    wait_until(lambda: federation.kill_training(_VICTIM), 30.0, "the training process")


def _site_restarted(federation: Federation, faults: Path) -> None:
    federation.kill(_VICTIM)
    wait_until(lambda: not federation.processes(_VICTIM), 10.0, "the site's end")
    federation.start(_VICTIM)


def _server_killed(federation: Federation, faults: Path) -> None:
    federation.kill(SERVER)
    wait_until(lambda: not federation.processes(SERVER), 10.0, "the server's end")


def _site_stands_still(federation: Federation, faults: Path) -> None:
    federation.kill(_VICTIM, job=True, number=signal.SIGSTOP)
    (faults / "go").touch()
    time.sleep(STEP_TIMEOUT_S + 5.0)
    federation.kill(_VICTIM, job=True, number=signal.SIGCONT)


def _full_disk(party: str) -> Callable[[Federation, Path], None]:
    def fill(federation: Federation, faults: Path) -> None:
        ids = list(federation.processes(party, job=True))
        for each in ids:
            hard = resource.prlimit(each, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(each, resource.RLIMIT_FSIZE, (0, hard))
        (faults / "go").touch()
        time.sleep(STEP_TIMEOUT_S)
        for each in ids:
            try:
                resource.prlimit(each, resource.RLIMIT_FSIZE, (hard, hard))
            except ProcessLookupError:
                continue

    return fill


def _message_twice(federation: Federation, faults: Path) -> None:
    """The site itself sends it again (`HeldSite(twice=True)`)."""


FAULTS: Final[dict[str, Callable[[Federation, Path], None]]] = {
    "server killed and restarted": _server_killed,
    "training process killed": _training_killed,
    "site's job killed": _site_killed,
    "site stopped and restarted": _site_restarted,
    "site stopped for longer than a step": _site_stands_still,
    "disk full at server": _full_disk(SERVER),
    "disk full at site": _full_disk(_VICTIM),
    "message twice": _message_twice,
}
