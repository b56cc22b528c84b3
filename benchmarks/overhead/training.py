"""Seconds a step of the executor, as FLARE calls it, over those of the same trainer called directly."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from nvflare.apis.fl_constant import FLContextKey, ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.signal import Signal
from nvflare.apis.workspace import Workspace
from tqdm import tqdm

from ecg_flare.federated.parts import Roster, TrainedModel
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TRAIN, TrainRequest, TrainResult
from ecg_flare.flare.site.executor import NnunetExecutor
from ecg_flare.flare.site.filters import StripResult
from ecg_flare.nnunet.commands import site_seed
from ecg_flare.nnunet.dataset import prepare
from ecg_flare.nnunet.export import load_bundled
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.site.own_pages import CACHE_FOLDER
from ecg_flare.task.traces.sources import SyntheticPages

_SITE = "site-1"
for _variable in (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "BLOSC_NTHREADS",
):
    os.environ.setdefault(_variable, "1")  # as the child process sets them: both sides have the same threads


@dataclass(frozen=True)
class Overhead:
    """Seconds a step, pair by pair in one run, and their ratio."""

    direct_s: tuple[float, ...]
    executor_s: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median of the pairs' ratios, executor over direct."""
        return statistics.median(a / b for a, b in zip(self.executor_s, self.direct_s, strict=True))


def measure(*, steps: int, pairs: int, threads: int = 1, plan_name: str = "tiny") -> Overhead:
    """Train the same rounds both ways in turn, after one round of warm-up each."""
    plan, start = plan_preset(plan_name), load_bundled("start")
    source = SyntheticPages(profiles={_SITE: "district"}, pages_per_site=6)
    with tempfile.TemporaryDirectory() as folder:
        trainer = LocalTrainer(plan, prepare(source, _SITE, plan, Path(folder) / CACHE_FOLDER), threads=threads)
        terms = JobTerms(Roster({_SITE: 1.0}, min_sites=1), rounds=pairs + 1, model=TrainedModel(plan_name))
        executor = NnunetExecutor({"steps": steps}, {"threads": threads}, seed=0)
        fl_ctx = _context(Path(folder), {"terms": terms, "pages": source})

        def direct(index: int) -> None:
            # the executor's very options: other draws of the augmentation would take other times
            options = TrainOptions(
                steps,
                first_step=index * steps,
                total_steps=(pairs + 1) * steps,
                seed=site_seed(0, _SITE),
            )
            trainer.train(start.vector, options)

        def through_flare(index: int) -> None:
            request = TrainRequest(start.vector, index, "a" * 32, plan.layout_digest, plan.hash, terms.digest)
            TrainResult.from_shareable(executor.execute(TRAIN, request.to_shareable(), fl_ctx, Signal()))

        seconds: tuple[list[float], list[float]] = ([], [])
        for index in tqdm(range(pairs + 1), desc="pairs"):
            for times, run in zip(seconds, (direct, through_flare), strict=True):
                times.append(_seconds(run, index) / steps)
        executor._worker.close()
    return Overhead(tuple(seconds[0][1:]), tuple(seconds[1][1:]))


def _seconds(run: Callable[[int], None], index: int) -> float:
    started = time.perf_counter()
    run(index)
    return time.perf_counter() - started


def _context(root: Path, components: dict[str, Any]) -> FLContext:
    for name in ("startup", "local"):
        (root / name).mkdir()
    engine = SimpleNamespace(get_component=components.get, get_workspace=lambda: Workspace(str(root), _SITE))
    fl_ctx = FLContext()
    runner = SimpleNamespace(task_result_filters={"train/out": [StripResult()]})
    props = {
        ReservedKey.ENGINE: engine,
        ReservedKey.IDENTITY_NAME: _SITE,
        FLContextKey.TASK_NAME: TRAIN,
        FLContextKey.RUNNER: runner,
    }
    for key, value in props.items():
        fl_ctx.set_prop(key, value, private=True, sticky=False)
    return fl_ctx


def difference(overhead: Overhead) -> float:
    """Median seconds a step that FLARE's side adds."""
    return float(np.median(np.subtract(overhead.executor_s, overhead.direct_s)))
