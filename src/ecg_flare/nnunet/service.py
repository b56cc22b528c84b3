"""The training process itself: reads requests from its owner, runs them, answers. Started by `worker.Worker`.

Its stdout carries frames and nothing else; whatever libraries print goes to stderr. An error of ecg_flare is answered;
any other ends the process, and the owner reports its last lines.
"""

from __future__ import annotations

import ctypes
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from ecg_flare.errors import ConfigError, EcgFlareError, WorkerError
from ecg_flare.extensions import load_environment
from ecg_flare.federated.update import check_update, layout_size
from ecg_flare.nnunet.commands import (
    ConcludeCommand,
    CountCommand,
    EvaluateCommand,
    ExportCommand,
    InitializeCommand,
    Params,
    PrepareCommand,
    TrainCommand,
    TrainPatientsCommand,
)
from ecg_flare.nnunet.content import content_digest
from ecg_flare.nnunet.counting import counts_of_site, shares_of_site
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.nnunet.frames import Frame, read_frame, write_frame
from ecg_flare.nnunet.kinds import counting_of, learnt, required_counting, start_model
from ecg_flare.nnunet.learnt import LearntTask, PreparedCases, SiteTrainer
from ecg_flare.nnunet.patients import PatientDraw, cases_by_patient, check_patients, site_key, train_drawn_patients
from ecg_flare.privacy.gaussian import ChaChaStream

if TYPE_CHECKING:
    pass

_PR_SET_PDEATHSIG: Final = 1

Answer = tuple[dict[str, Any], dict[str, np.ndarray]]


class Service:
    """The commands of the training process. Each takes JSON parameters and arrays and gives the same.

    Their parameters are those of the commands' own classes (`commands`).

    `prepare`: gives cases, patients, train, val, reused, folder.
    `train`: array model. Gives the array update, and loss, seconds, steps.
    `train_patients`: array model. Gives the array contribution, the integers of the patients that were drawn here, and
        nothing else.
    `count`: of a task that counts, or of a model on held-out cases; array model. Gives the array counts, which has the
        form of what an update would be.
    `conclude`: of a task that counts; array model, the mean of the counts. Writes the folder.
    `validate`: no parameters; array model. Gives tp, fp, fn of the task's foreground, and dice.
    `evaluate`: array model. Gives dice (mean over cases), cases (Dice by name), digest (of the cases themselves), and
        measures (what the task measures beside Dice, by name, where it is asked for).
    `initialize`: gives the array model: the untrained network, or no counts.
    `export`: array model. Writes the folder and gives it.
    """

    def __init__(self, channel: IO[bytes], *, threads: int, device: str) -> None:
        self._channel = channel
        self._threads = threads
        self._device = device
        self._site = ""
        self._task: LearntTask[Any] | None = None
        self._cases: PreparedCases | None = None
        self._cases_by_patient: dict[str, list[str]] = {}
        self._trainer: SiteTrainer | None = None

    def serve(self, requests: queue.Queue[Frame]) -> None:
        """Answer requests until the process ends."""
        commands = {
            "prepare": self._prepare,
            "train": self._train,
            "train_patients": self._train_patients,
            "count": self._count,
            "conclude": self._conclude,
            "validate": self._validate,
            "evaluate": self._evaluate,
            "initialize": self._initialize,
            "export": self._export,
        }
        while True:
            request = requests.get()
            try:
                if request.name not in commands:
                    raise WorkerError(f"unknown command {request.name!r}: there are {', '.join(commands)}")
                params, arrays = commands[request.name](request.params, request.arrays)
            except EcgFlareError as error:
                answer = Frame("error", type(error).__name__, {"message": str(error)})
            else:
                answer = Frame("reply", request.name, params, arrays)
            write_frame(self._channel, answer)

    def _log(self, message: str) -> None:
        write_frame(self._channel, Frame("log", params={"message": message}))

    def _prepare(self, params: Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        command = PrepareCommand.from_params(params)
        cases = command.cases
        self._trainer = None
        self._site = cases.site
        self._task = learnt(cases.plan)
        self._cases = prepared = self._task.prepare(cases, command.settings, self._log)
        if command.patients_per_site is not None:
            check_patients(prepared.patients, cases.source, most=command.patients_per_site)
        self._cases_by_patient = cases_by_patient(prepared, site_key(cases.cache))
        return {
            "cases": len(prepared.entries),
            "patients": prepared.n_patients,
            "train": len(prepared.names("train")),
            "val": len(prepared.names("val")),
            "reused": prepared.reused,
            "folder": str(prepared.folder),
        }, {}

    def _train(self, params: Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        options = TrainCommand.from_params(params).options(self._site)
        result = self._site_trainer().train(_model(arrays), options)
        return {"loss": result.loss, "seconds": result.seconds, "steps": options.steps}, {"update": result.update}

    def _train_patients(self, params: Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        command = TrainPatientsCommand.from_params(params)
        trainer, model = self._site_trainer(), _model(arrays)
        check_update(model, size=layout_size(trainer.layout))
        draw = PatientDraw(command.terms, self._site, ChaChaStream())
        options = command.training.options(self._site)
        return {}, {"contribution": train_drawn_patients(trainer, self._cases_by_patient, model, options, draw)}

    def _count(self, params: Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        command = CountCommand.from_params(params)
        cases, counting, terms = command.cases, counting_of(command.cases.plan), command.terms
        if counting is not None:
            return {}, {"counts": counts_of_site(counting, cases.source, cases.site, terms, self._log)}
        sums = learnt(cases.plan).sums
        return {}, {"counts": shares_of_site(self._site_trainer(), sums, _model(arrays), self._site, terms)}

    def _conclude(self, params: Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        command = ConcludeCommand.from_params(params)
        required_counting(command.plan).conclude(_model(arrays), command.terms, command.folder)
        return {}, {}

    def _validate(self, params: Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        counts = self._site_trainer().validate(_model(arrays))
        assert self._task is not None, "`_site_trainer` wants a task"
        foreground = self._task.foreground_places
        tp, fp, fn = counts.of(foreground)
        return {"tp": tp, "fp": fp, "fn": fn, "dice": counts.dice(*foreground)}, {}

    def _evaluate(self, params: Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        command = EvaluateCommand.from_params(params)
        cases, model = command.cases, _model(arrays)
        task = learnt(cases.plan)
        prepared = task.prepare(cases, task.to_evaluate, self._log)
        evaluation = task.evaluate(model, prepared, self._device)
        return {
            "dice": evaluation.mean_dice,
            "cases": dict(evaluation.dice_by_case),
            "digest": content_digest(prepared),
            "measures": dict(task.measures(model, cases, self._device)) if command.measures else {},
        }, {}

    def _initialize(self, params: Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        command = InitializeCommand.from_params(params)
        return {}, {"model": start_model(command.plan, command.seed)}

    def _export(self, params: Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        command = ExportCommand.from_params(params)
        return {"folder": str(learnt(command.plan).export(_model(arrays), command.folder))}, {}

    def _site_trainer(self) -> SiteTrainer:
        if self._task is None or self._cases is None:
            raise WorkerError("no cases are prepared in this training process: call 'prepare' first")
        if self._trainer is None:
            self._trainer = self._task.site_trainer(self._cases, self._threads, self._device)
        return self._trainer


def _model(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    if "model" not in arrays:
        raise ConfigError(f"the command lacks the array 'model'; it has {sorted(arrays)}")
    return arrays["model"]


def _claim_stdio() -> tuple[IO[bytes], IO[bytes]]:
    """Take stdin and stdout for frames; from here on what libraries print goes to stderr."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return requests, replies


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(0)


def _read_requests(stream: IO[bytes], requests: queue.Queue[Frame]) -> None:
    """Hand requests on; when the owner closes the pipe or dies, clean up and end the process at once."""
    try:
        while (frame := read_frame(stream)) is not None:
            requests.put(frame)
    finally:
        shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)
        os._exit(0)


def main() -> None:
    """Entry point: parent's process id, threads, device."""
    parent, threads, device = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    incoming, outgoing = _claim_stdio()
    _die_with(parent)
    requests: queue.Queue[Frame] = queue.Queue()
    threading.Thread(target=_read_requests, args=(incoming, requests), daemon=True).start()
    limit_threads(threads)
    load_environment()
    Service(outgoing, threads=threads, device=device).serve(requests)


if __name__ == "__main__":
    main()
