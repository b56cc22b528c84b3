"""A job's own code for tests: pages that nobody reads, and training that is arithmetic, so that rounds take seconds."""

import json
import os
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
from nvflare.apis.executor import Executor

from ecg_flare.federated.patients import sum_of_drawn
from ecg_flare.flare.job.messages import TrainRequest, TrainResult, to_wire
from ecg_flare.flare.job.terms import in_request, subset, take
from ecg_flare.flare.server import mechanism
from ecg_flare.flare.server.evaluator import PublicEvaluator
from ecg_flare.flare.site.executor import NnunetExecutor
from ecg_flare.flare.site.filters import check_filters
from ecg_flare.nnunet.case import NoCases  # noqa: F401 - jobs name it as a class of this module
from ecg_flare.nnunet.plan import parameter_count
from ecg_flare.privacy.gaussian import ChaChaStream, add_noise


def toy_update(site: str, model: np.ndarray, round_index: int) -> np.ndarray:
    """What the toy site sends: fixed by its name, the round and the model."""
    rng = np.random.default_rng([int(site.split("-")[1]), round_index])
    return (rng.standard_normal(len(model)) * 0.01 - 0.1 * model).astype(np.float32)


class ToyExecutor(Executor):
    """Answers 'train' with `toy_update`; `fault` is what goes wrong, at `fault_site` in round `fault_round`."""

    def __init__(self, fault: str = "", fault_site: str = "site-2", fault_round: int = 0) -> None:
        super().__init__()
        self._fault = (fault, fault_site, fault_round)

    def execute(self, task_name, shareable, fl_ctx, abort_signal):
        request = TrainRequest.from_shareable(shareable)
        site = fl_ctx.get_identity_name()
        update = toy_update(site, request.model, request.round_index)
        fault, fault_site, fault_round = self._fault
        reply = {"round_index": request.round_index, "attempt": request.attempt, "layout_digest": request.layout_digest}
        if (site, request.round_index) == (fault_site, fault_round):
            if fault == "raise":
                raise RuntimeError("this site's training failed")
            if fault == "nan":
                update[3] = np.nan
            if fault == "short":
                update = update[:-1]
            if fault == "digest":
                reply["layout_digest"] = "0" * 64
            if fault == "stale":
                reply["attempt"] = "0" * 32
        return TrainResult(vector=update, metrics={"loss": 1.0, "secret": 2.0}, **reply).to_shareable()


def toy_patients(site: str) -> list[str]:
    """The toy site's patients."""
    return [f"{site}/{number}" for number in range(3)]


def toy_patient_update(patient: str, model: np.ndarray, round_index: int) -> np.ndarray:
    """What a toy patient asks for; some are longer than the toy's clipping norm."""
    site, _, number = patient.partition("/")
    return toy_update(f"site-{10 * int(site.split('-')[1]) + int(number)}", model, round_index)


class ToyPatientExecutor(Executor):
    """Answers 'train' under unit patient: `toy_patient_update` of all patients, who are drawn with rate 1."""

    def execute(self, task_name, shareable, fl_ctx, abort_signal):
        request, site = TrainRequest.from_shareable(shareable), fl_ctx.get_identity_name()
        terms = fl_ctx.get_engine().get_component("terms")
        check_filters(fl_ctx, terms)
        terms = in_request(terms, request)
        integers = sum_of_drawn(
            toy_patients(site),
            lambda patient: toy_patient_update(patient, take(terms, request.model), request.round_index),
            terms.weights[site],
            terms.patient_encoding(subset(terms).dimension),
            rate=terms.sampling_rate,
            stream=ChaChaStream(),
        )
        repeated = request.round_index, request.attempt, request.layout_digest
        return TrainResult(to_wire(integers), *repeated, clipping_norm=request.clipping_norm).to_shareable()


def noise_key(round_index: int) -> bytes:
    """The key of a round's noise where a test fixes it."""
    return round_index.to_bytes(32, "big")


class FixedNoise(mechanism.GaussianMechanism):
    """The mechanism with noise that a test can draw, too."""

    def open(self, *args, **options):
        return FixedNoiseLedger(**vars(super().open(*args, **options)))


class FixedNoiseLedger(mechanism.CohortLedger):
    """The ledger of `FixedNoise`."""

    def begin(self, job, round_index, **adaptive):
        mechanism.add_noise = partial(add_noise, stream=ChaChaStream(noise_key(round_index)))
        return super().begin(job, round_index, **adaptive)


class ToyEvaluator(PublicEvaluator):
    """Measures the model's first coordinate, starts from zeros, exports the vector."""

    def start_model(self, start, plan, fl_ctx):
        return np.zeros(parameter_count(plan), np.float32)

    def evaluate(self, model, plan, fl_ctx):
        return float(abs(model[0]))

    def export(self, model, plan, folder):
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "model.npy", model)


class ScanningEvaluator(ToyEvaluator):
    """After each round, looks for the sites' updates of that round in the memory of the server's process.

    What it looks for is computed in another process and held with all bits turned, so that the search itself puts no
    update into memory; the model, which must be found, shows that the search works.
    """

    def __init__(self, **args) -> None:
        super().__init__(**args)
        self._before = None
        self._round = 0

    def evaluate(self, model, plan, fl_ctx):
        if self._before is not None:
            path = os.environ["TOY_SCAN"]
            np.save(path + ".model.npy", self._before)
            command = [sys.executable, __file__, path + ".model.npy", str(self._round)]
            turned = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            turned["the model"] = _turn(model[5000:5016].tobytes()).hex()
            found = _scan({name: bytes.fromhex(text) for name, text in turned.items()})
            with Path(path).open("a") as file:
                file.write(json.dumps(found) + "\n")
            self._round += 1
        self._before = model.copy()
        return super().evaluate(model, plan, fl_ctx)


class KillingExecutor(NnunetExecutor):
    """Real training whose child process is killed once, at `fault_site` in round 0."""

    def __init__(self, fault_site: str = "site-2", **args) -> None:
        super().__init__(**args)
        self._fault_site = fault_site

    def execute(self, task_name, shareable, fl_ctx, abort_signal):
        request = TrainRequest.from_shareable(shareable)
        if fl_ctx.get_identity_name() == self._fault_site and request.round_index == 0:
            threading.Thread(target=self._kill_child, daemon=True).start()
        return super().execute(task_name, shareable, fl_ctx, abort_signal)

    def _kill_child(self) -> None:
        while self._worker.pid is None:
            time.sleep(0.05)
        os.kill(self._worker.pid, 9)


_TURN = bytes(255 - byte for byte in range(256))


def _turn(data: bytes) -> bytes:
    return data.translate(_TURN)


def _scan(turned: dict[str, bytes]) -> dict[str, int]:
    """How often each pattern (given with all bits turned) stands in this process's writable memory."""
    counts = dict.fromkeys(turned, 0)
    with Path("/proc/self/maps").open() as maps, Path("/proc/self/mem").open("rb", 0) as memory:
        regions = [line.split() for line in maps]
        for region in regions:
            if not region[1].startswith("rw"):
                continue
            start, end = (int(part, 16) for part in region[0].split("-"))
            for at in range(start, end, 1 << 24):
                try:
                    memory.seek(at)
                    chunk = _turn(memory.read(min(end - at, (1 << 24) + 64)))
                except (OSError, ValueError):
                    continue
                for name, pattern in turned.items():
                    counts[name] += chunk.count(pattern)
    return counts


def _patterns(model_file: str, round_index: int) -> dict[str, str]:
    """Sixteen coordinates of each site's update as it could stand in memory, with all bits turned."""
    from ecg_flare.federated.clipping import clip
    from ecg_flare.privacy.secure_sum.encoding import FixedPoint

    model, part, patterns = np.load(model_file), slice(5000, 5016), {}
    fixed = FixedPoint.derive(clipping_norm=1.0, weights=[1.0, 1.0, 1.0], dimension=len(model))
    for site in ("site-1", "site-2", "site-3"):
        update = toy_update(site, model, round_index)
        clipped = clip(update, 1.0).vector
        integers = fixed.encode(clipped, 1.0)
        for name, array in {
            "plain": update, "clipped": clipped, "int64": integers.astype(np.int64), "int32": integers,
        }.items():  # fmt: skip
            patterns[f"{site} {name}"] = _turn(array[part].tobytes()).hex()
    return patterns


if __name__ == "__main__":
    print(json.dumps(_patterns(sys.argv[1], int(sys.argv[2]))))
