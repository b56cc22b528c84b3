"""A model as a segmenter that is known by its path: it goes to other processes as a few words."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from ecg_flare.nnunet.export import CHECKPOINT, load_model
from ecg_flare.task.traces.predictor import NetworkSegmenter


@dataclass(frozen=True)
class ModelSegmenter:
    """The network of a model: an nnU-Net folder or a file (.npz), loaded once in each process that asks it.

    `identity` stands for the bytes of the model, whatever it is called.
    """

    path: Path
    identity: str

    @classmethod
    def of(cls, path: Path) -> ModelSegmenter:
        """The model at this path; it is loaded, so that what is wrong with it is told at once.

        Raises ConfigError where it is none.
        """
        _load(path)
        files = [path / "plans.json", path / "dataset.json", path / "fold_0" / CHECKPOINT] if path.is_dir() else [path]
        digest = hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files))
        return cls(path, f"model {digest.hexdigest()}")

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], /) -> Float32[np.ndarray, "classes h w"]:
        return _load(self.path)(image)


@lru_cache(maxsize=1)
def _load(path: Path) -> NetworkSegmenter:
    if path.is_dir():
        return NetworkSegmenter.from_model_folder(path)
    model = load_model(path)
    return NetworkSegmenter(model.plan, model.vector)
