"""A job's own code for the memory benchmark: updates of any size without training, and the server's peak memory."""

import json
import os
import resource
from pathlib import Path

import numpy as np
from nvflare.apis.executor import Executor

from ecg_flare.flare.job.messages import TrainRequest, TrainResult
from ecg_flare.flare.server.evaluator import PublicEvaluator
from ecg_flare.nnunet.case import NoCases  # noqa: F401 - jobs name it as a class of this module
from ecg_flare.nnunet.plan import parameter_count


class RandomUpdate(Executor):
    """Answers 'train' with noise of the model's size."""

    def execute(self, task_name, shareable, fl_ctx, abort_signal):
        request = TrainRequest.from_shareable(shareable)
        update = np.random.default_rng(request.round_index).standard_normal(len(request.model), np.float32)
        return TrainResult(update, request.round_index, request.attempt, request.layout_digest).to_shareable()


class MemoryProbe(PublicEvaluator):
    """Writes the server process's peak resident memory, in bytes, after each round."""

    def start_model(self, start, plan, fl_ctx):
        return np.zeros(parameter_count(plan), np.float32)

    def evaluate(self, model, plan, fl_ctx):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        with Path(os.environ["ECG_FLARE_MEMORY_PROBE"]).open("a") as file:
            file.write(json.dumps(peak) + "\n")
        return 0.0

    def export(self, model, plan, folder):
        """Nothing to keep."""
