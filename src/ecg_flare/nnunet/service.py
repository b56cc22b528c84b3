"""The training process itself: reads requests from its owner, runs them, answers. Started by `worker.Worker`.

Its stdout carries frames and nothing else; whatever libraries print goes to stderr. An error of ecg_flare is answered;
any other ends the process, and the owner reports its last lines.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from ecg_flare.errors import ConfigError, EcgFlareError, WorkerError
from ecg_flare.federated.subset import EVERY_TENSOR
from ecg_flare.federated.terms import JobTerms
from ecg_flare.federated.update import check_update
from ecg_flare.nnunet.dataset import PreparedDataset, prepare
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.nnunet.frames import Frame, read_frame, write_frame
from ecg_flare.nnunet.patients import check_patients, pages_by_patient, site_key, train_drawn_patients
from ecg_flare.nnunet.plan import Plan, initial_vector, parameter_count, plan_preset, verified_plan
from ecg_flare.nnunet.sources import PageSource, build_source
from ecg_flare.page.raster import Label
from ecg_flare.privacy.gaussian import ChaChaStream

_PR_SET_PDEATHSIG: Final = 1

Answer = tuple[dict[str, Any], dict[str, np.ndarray]]


class Service:
    """The commands of the training process. Each takes JSON parameters and arrays and gives the same.

    `prepare`: source ({"path", "args"}) and own_class, as `source_params` gives them, site, plan, cache; optional
        plan_hash, validation_fraction, min_patients, and patients_per_site (unit patient), with which pages of nobody
        and too many patients are refused. Remembers the site's pages for the commands below. Gives pages, patients,
        train, val, reused, folder.
    `train`: steps, learning_rate, schedule, proximal_mu, momentum, seed, trained (all as in TrainOptions), round,
        rounds; array model. Gives the array update, and loss, seconds, steps.
    `train_patients`: as `train`, and terms (`JobTerms` of unit patient, as `asdict` gives them). Gives the array
        contribution, the integers of the patients that were drawn here, and nothing else.
    `validate`: array model. Gives tp, fp, fn of the trace class, and dice.
    `evaluate`: source, own_class, site, plan, cache; array model. Gives dice (mean over pages) and pages (Dice by
        name).
    `initialize`: plan, seed. Gives the array model: nnU-Net's initialization.
    `export`: plan, folder; array model. Writes the folder that stock nnU-Net loads.
    """

    def __init__(self, channel: IO[bytes], *, threads: int, device: str) -> None:
        self._channel = channel
        self._threads = threads
        self._device = device
        self._site = ""
        self._plan: Plan | None = None
        self._dataset: PreparedDataset | None = None
        self._pages_by_patient: dict[str, list[str]] = {}
        self._trainer: Any = None

    def serve(self, requests: queue.Queue[Frame]) -> None:
        """Answer requests until the process ends."""
        commands = {
            "prepare": self._prepare,
            "train": self._train,
            "train_patients": self._train_patients,
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
                params, arrays = commands[request.name](_Params(request.params), request.arrays)
            except EcgFlareError as error:
                answer = Frame("error", type(error).__name__, {"message": str(error)})
            else:
                answer = Frame("reply", request.name, params, arrays)
            write_frame(self._channel, answer)

    def _log(self, message: str) -> None:
        write_frame(self._channel, Frame("log", params={"message": message}))

    def _prepare(self, params: _Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        self._trainer = None
        self._site = params["site"]
        self._plan = _plan(params)
        source = _source(params)
        self._dataset = dataset = prepare(
            source,
            self._site,
            self._plan,
            Path(params["cache"]),
            validation_fraction=params.get("validation_fraction", 0.2),
            min_patients=params.get("min_patients", 2),
            log=self._log,
        )
        if "patients_per_site" in params:
            check_patients(dataset, source, most=params["patients_per_site"])
        self._pages_by_patient = pages_by_patient(dataset, site_key(Path(params["cache"])))
        return {
            "pages": len(dataset.pages),
            "patients": dataset.n_patients,
            "train": len(dataset.names("train")),
            "val": len(dataset.names("val")),
            "reused": dataset.reused,
            "folder": str(dataset.folder),
        }, {}

    def _train(self, params: _Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        result = self._site_trainer().train(_model(arrays), self._options(params))
        return {"loss": result.loss, "seconds": result.seconds, "steps": params["steps"]}, {"update": result.update}

    def _train_patients(self, params: _Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        trainer, model = self._site_trainer(), _model(arrays)
        assert self._plan is not None, "`_site_trainer` wants a plan"
        check_update(model, size=parameter_count(self._plan))
        contribution = train_drawn_patients(
            trainer,
            self._pages_by_patient,
            model,
            self._options(params),
            JobTerms(**params["terms"]),
            self._site,
            ChaChaStream(),
        )
        return {}, {"contribution": contribution}

    def _options(self, params: _Params) -> Any:
        from ecg_flare.nnunet.trainer import TrainOptions

        steps = params["steps"]
        return TrainOptions(
            steps=steps,
            learning_rate=params["learning_rate"],
            schedule=params.get("schedule", "poly"),
            first_step=params.get("round", 0) * steps,
            total_steps=params.get("rounds", 1) * steps,
            momentum=params.get("momentum", 0.99),
            proximal_mu=params.get("proximal_mu", 0.0),
            seed=site_seed(params.get("seed", 0), self._site),
            trained=tuple(params.get("trained", EVERY_TENSOR)),
        )

    def _validate(self, params: _Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        counts = self._site_trainer().validate(_model(arrays))
        trace = int(Label.TRACE)
        tp, fp, fn = counts.tp[trace], counts.fp[trace], counts.fn[trace]
        return {"tp": tp, "fp": fp, "fn": fn, "dice": counts.dice(trace)}, {}

    def _evaluate(self, params: _Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        from ecg_flare.nnunet.evaluate import evaluate_pages
        from ecg_flare.nnunet.predictor import Segmenter

        plan = _plan(params)
        dataset = prepare(
            _source(params),
            params["site"],
            plan,
            Path(params["cache"]),
            min_patients=1,
            preprocess=False,
            log=self._log,
        )
        evaluation = evaluate_pages(Segmenter(plan, _model(arrays), device=self._device), dataset.cases())
        return {"dice": evaluation.mean_dice, "pages": dict(evaluation.dice_by_page)}, {}

    def _initialize(self, params: _Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        return {}, {"model": initial_vector(_plan(params), params.get("seed", 0))}

    def _export(self, params: _Params, arrays: Mapping[str, np.ndarray]) -> Answer:
        from ecg_flare.nnunet.export import export_model_folder

        return {"folder": str(export_model_folder(_model(arrays), _plan(params), Path(params["folder"])))}, {}

    def _site_trainer(self) -> Any:
        from ecg_flare.nnunet.trainer import LocalTrainer

        if self._plan is None or self._dataset is None:
            raise WorkerError("no pages are prepared in this training process: call 'prepare' first")
        if self._trainer is None:
            self._trainer = LocalTrainer(self._plan, self._dataset, threads=self._threads, device=self._device)
        return self._trainer


class _Params(dict[str, Any]):
    def __missing__(self, key: str) -> Any:
        raise ConfigError(f"the command lacks its parameter {key!r}; it has {sorted(self)}")


def _source(params: _Params) -> PageSource:
    return build_source(params["source"], own_class=params.get("own_class", ""))


def _plan(params: _Params) -> Plan:
    expected = params.get("plan_hash")
    return plan_preset(params["plan"]) if expected is None else verified_plan(params["plan"], expected)


def _model(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    if "model" not in arrays:
        raise ConfigError(f"the command lacks the array 'model'; it has {sorted(arrays)}")
    return arrays["model"]


def site_seed(seed: int, site: str) -> int:
    """A site's own training seed, from the job's and the site's name."""
    # Sites of one job share its seed, and must not draw the same patches and augmentations.
    return int.from_bytes(hashlib.sha256(f"{seed}/{site}".encode()).digest()[:8], "big")


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
    Service(outgoing, threads=threads, device=device).serve(requests)


if __name__ == "__main__":
    main()
