"""A job's own code for the memory benchmark: updates of any size without training, and the server's peak memory."""

import json
import os
import resource
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from nvflare.apis.executor import Executor
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from ecg_flare.flare.job.messages import TrainRequest, TrainResult
from ecg_flare.flare.server.evaluator import PublicEvaluator
from ecg_flare.nnunet.case import NoCases  # noqa: F401 - jobs name it as a class of this module
from ecg_flare.nnunet.learnt import AgreedPlan
from ecg_flare.nnunet.plan import parameter_count


class RandomUpdate(Executor):
    """Answers 'train' with noise of the model's size."""

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        request = TrainRequest.from_shareable(shareable)
        update = np.random.default_rng(request.round_index).standard_normal(len(request.model), np.float32)
        return TrainResult(update, request.round_index, request.attempt, request.layout_digest).to_shareable()


class MemoryProbe(PublicEvaluator):
    """Writes the server process's peak resident memory, in bytes, after each round."""

    def start_model(self, start: str, plan: AgreedPlan, fl_ctx: FLContext) -> Float32[np.ndarray, " d"]:
        return np.zeros(parameter_count(plan), np.float32)

    def evaluate(self, model: Float32[np.ndarray, " d"], plan: AgreedPlan, fl_ctx: FLContext) -> float:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        with Path(os.environ["ECG_FLARE_MEMORY_PROBE"]).open("a") as file:
            file.write(json.dumps(peak) + "\n")
        return 0.0

    def export(self, model: Float32[np.ndarray, " d"], plan: AgreedPlan, folder: Path) -> None:
        """Nothing to keep."""
