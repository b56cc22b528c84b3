"""The audited job's own code: its canary patients, and a server's evaluator that keeps each released model."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32
from nvflare.apis.fl_context import FLContext

from ecg_flare.flare.server.evaluator import PublicEvaluator
from ecg_flare.nnunet.learnt import AgreedPlan
from ecg_flare.task.traces.canaries import CanaryPages

__all__ = ["CanaryPages", "KeepModels"]


class KeepModels(PublicEvaluator):
    """Measures nothing, and keeps each model that the server releases as `model-N.npy` in `folder`."""

    def __init__(self, folder: str, source: str = "public_pages") -> None:
        super().__init__(source)
        self._folder = Path(folder)

    def evaluate(self, model: Float32[np.ndarray, " d"], plan: AgreedPlan, fl_ctx: FLContext) -> float:
        """Keep the model; 0 stands for its Dice."""
        self._folder.mkdir(parents=True, exist_ok=True)
        np.save(self._folder / f"model-{len(list(self._folder.iterdir()))}.npy", model)
        return 0.0

    def export(self, model: Float32[np.ndarray, " d"], plan: AgreedPlan, folder: Path) -> None:
        """Nothing: nobody reads pages with a model that was trained on gratings."""
