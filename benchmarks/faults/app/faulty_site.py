"""What the faults' federation runs in place of training: arithmetic, and parties that stand still where they are told.

The folder in the variable FAULTS holds `hold.json`: the party, the phase and the round (from 0) to stand still in. A
party that gets there makes the file `reached` and goes on once there is a file `go`, or after a while.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32
from nvflare.apis.dxo import from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from ecg_flare.errors import WorkerError
from ecg_flare.federated.round import RoundResult
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TRAIN, TrainRequest, TrainResult, error_reply
from ecg_flare.flare.server.evaluator import PublicEvaluator
from ecg_flare.flare.server.mechanism import AdmittedRound, ChargedRound, CohortLedger, GaussianMechanism
from ecg_flare.flare.server.policy import ServerPolicy
from ecg_flare.flare.summation.masked.messages import CONSENT, KEYS, SHARES, UNMASK
from ecg_flare.nnunet.case import NoCases  # noqa: F401 - jobs name it as a class of this module
from ecg_flare.nnunet.commands import InitializeCommand
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.learnt import AgreedPlan
from ecg_flare.nnunet.plan import parameter_count
from ecg_flare.nnunet.worker import Worker
from ecg_flare.privacy.chain import LineSigner

PHASES = {KEYS: "keys", SHARES: "shares", TRAIN: "train", CONSENT: "consent", UNMASK: "unmask"}
LONGEST_S = 90.0
_DEFAULTS: Final = ServerPolicy()


class ArithmeticExecutor(Executor):
    """Answers 'train' with an update that the site's name, the round and the model fix.

    Args:
        seconds: how long it takes, or until the job is aborted.
        child: where the site stands still in its training, it starts a training process, too, and waits for it.
    """

    def __init__(self, seconds: float = 0.0, child: bool = False) -> None:
        super().__init__()
        self._seconds = seconds
        self._child = child

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        request = TrainRequest.from_shareable(shareable)
        deadline = time.monotonic() + self._seconds
        while time.monotonic() < deadline and not abort_signal.triggered:
            time.sleep(0.1)
        here = {"party": fl_ctx.get_identity_name(), "phase": "train", "round": request.round_index}
        if self._child and wanted() == here:
            try:
                with Worker() as worker:  # the one of NnunetExecutor
                    worker.call("initialize", InitializeCommand(plan_preset("tiny"), seed=0).to_params())
            except WorkerError as error:
                return error_reply(error)
        rng = np.random.default_rng([int(fl_ctx.get_identity_name().split("-")[1]), request.round_index])
        update = (rng.standard_normal(len(request.model)) * 0.01 - 0.1 * request.model).astype(np.float32)
        return TrainResult(update, request.round_index, request.attempt, request.layout_digest).to_shareable()


class ArithmeticEvaluator(PublicEvaluator):
    """Measures the model's first coordinate, starts from zeros, exports the vector."""

    def start_model(self, start: str, plan: AgreedPlan, fl_ctx: FLContext) -> Float32[np.ndarray, " d"]:
        return np.zeros(parameter_count(plan), np.float32)

    def evaluate(self, model: Float32[np.ndarray, " d"], plan: AgreedPlan, fl_ctx: FLContext) -> float:
        return float(min(abs(model[0]), 1.0))

    def export(self, model: Float32[np.ndarray, " d"], plan: AgreedPlan, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "model.npy", model)


class HeldSite(FLComponent):
    """Stands still in a phase of a round, and writes down the digest of every message that the site sends.

    Args:
        twice: send each answer of the phase in `hold.json` a second time.
    """

    def __init__(self, twice: bool = False) -> None:
        super().__init__()
        self._twice = twice
        self._round = -1
        self._answer: Shareable | None = None

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        site, task = fl_ctx.get_identity_name(), fl_ctx.get_prop(FLContextKey.TASK_NAME)
        if event_type == EventType.BEFORE_TASK_EXECUTION:
            self._round += task == KEYS
            if not self._twice:
                stand_still(site, PHASES.get(task, ""), self._round)
        elif event_type == EventType.AFTER_TASK_RESULT_FILTER:
            self._answer = fl_ctx.get_prop(FLContextKey.TASK_RESULT)
            if task in (KEYS, TRAIN):
                self._write_down(site, task)
        elif event_type == EventType.AFTER_SEND_TASK_RESULT and self._twice:
            self._send_again({"party": site, "phase": PHASES.get(task, ""), "round": self._round}, fl_ctx)

    def _send_again(self, here: Mapping[str, object], fl_ctx: FLContext) -> None:
        if wanted() == here:
            mark("reached")
            fl_ctx.get_engine().send_task_result(self._answer, fl_ctx, timeout=10.0)

    def _write_down(self, site: str, task: str) -> None:
        try:
            data = from_shareable(self._answer).data
        except ValueError:
            return  # an error reply
        digest = hashlib.sha256()
        for name in sorted(data):
            value = data[name]
            digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
        line = {"site": site, "task": task, "round": self._round, "sha256": digest.hexdigest()}
        try:
            with (_folder() / f"sent-{site}.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
        except OSError:
            pass  # this site's disk is full, as it should be


class HeldMechanism(GaussianMechanism):
    """Stands still before noise is charged, and once the ledger holds the release but nothing else does."""

    def open(
        self,
        terms: JobTerms,
        dimension: int,
        root: Path,
        *,
        policy: ServerPolicy = _DEFAULTS,
        signer: LineSigner | None = None,
    ) -> CohortLedger:
        opened = super().open(terms, dimension, root, policy=policy, signer=signer)
        return HeldLedger(opened.path, opened.terms, opened.fixed, opened.ledger)


class HeldLedger(CohortLedger):
    """Gives rounds that stand still."""

    def begin(
        self, job: str, round_index: int, *, clipping_norm: float | None = None, follows: int | None = None
    ) -> AdmittedRound:
        admitted = super().begin(job, round_index, clipping_norm=clipping_norm, follows=follows)
        return HeldRound(admitted, round_index)


class HeldRound(AdmittedRound):
    """Stands still before it charges the ledger."""

    def __init__(self, admitted: AdmittedRound, round_index: int) -> None:
        self._admitted, self._round = admitted, round_index

    def charge(self) -> ChargedRound:
        stand_still("server", "noise", self._round)
        charged = self._admitted.charge()
        return HeldRelease(charged.ledger, charged.entry, charged.noise)


class HeldRelease(ChargedRound):
    """Stands still once the ledger holds the release."""

    def release(self, model: Float32[np.ndarray, " model"], result: RoundResult) -> None:
        super().release(model, result)
        stand_still("server", "release", self.entry.mechanism.round)


def stand_still(party: str, phase: str, round_index: int) -> None:
    """Wait here where `hold.json` says so."""
    if wanted() != {"party": party, "phase": phase, "round": round_index} or (_folder() / "reached").exists():
        return
    mark("reached")
    deadline = time.monotonic() + LONGEST_S
    while not (_folder() / "go").exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def wanted() -> dict[str, Any] | None:
    """What `hold.json` says; None where there is none."""
    file = _folder() / "hold.json"
    held: dict[str, Any] | None = json.loads(file.read_text()) if file.exists() else None
    return held


def mark(name: str) -> None:
    """Make an empty file."""
    (_folder() / name).touch()


def _folder() -> Path:
    return Path(os.environ["FAULTS"])
