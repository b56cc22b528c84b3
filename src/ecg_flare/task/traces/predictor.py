"""Class probabilities of a page: the trained network run over whole pages.

nnU-Net slides a window over the image; pages are normalized to one resolution and the network is fully convolutional,
so one forward pass over the whole page does the same at a fraction of the time. Pages beyond a size limit run in
overlapping bands, so that memory stays bounded.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float32, UInt8

from ecg_flare.errors import ConfigError, PageError
from ecg_flare.nnunet.environment import return_memory
from ecg_flare.nnunet.export import CHECKPOINT, load_bundled
from ecg_flare.nnunet.kinds import nnunet_plan
from ecg_flare.nnunet.learnt import AgreedPlan
from ecg_flare.nnunet.plan import Plan, network, unflatten_into
from ecg_flare.task.traces.plans import CONFIGURATION, KIND_NAME

if TYPE_CHECKING:
    import torch
    from torch import nn

MAX_WHOLE_PAGE_PX: Final = 2_000_000
"""Pages with more pixels than this run in bands (a letter page has 966,000)."""

_BAND_OVERLAP_PX: Final = 64


class NetworkSegmenter:
    """A trained network as a function of a page image.

    Calling it with an RGB image (h, w, 3), uint8, at `NORMALIZED_PX_PER_MM`, gives float32 (classes, h, w): the class
    probabilities of each pixel, in the order of `page.raster.Label`, summing to 1.
    """

    def __init__(self, plan: AgreedPlan, vector: Float32[np.ndarray, " d"], *, device: str = "cpu") -> None:
        self.plan = nnunet_plan(plan)
        module = network(self.plan)
        unflatten_into(module, vector)
        self._network = module.eval().to(device)

    @classmethod
    def bundled(cls, name: str, *, device: str = "cpu") -> NetworkSegmenter:
        """The model of that name that comes with the package: `segmenter` reads pages, `start` begins a federation."""
        model = load_bundled(name)
        return cls(model.plan, model.vector, device=device)

    @classmethod
    def from_model_folder(cls, folder: Path, *, fold: str = "0", device: str = "cpu") -> NetworkSegmenter:
        """A model folder as stock nnU-Net writes it: plans.json, dataset.json, fold_0/checkpoint_final.pth.

        The checkpoint is read without unpickling objects (`weights_only`).

        Raises ConfigError where a file is missing, or holds more than weights.
        """
        plan, weights = _read_model_folder(folder, fold)
        module = network(plan)
        names = dict(module.named_parameters())
        missing = sorted(set(names) - set(weights))
        if missing:
            raise ConfigError(f"{folder} lacks {len(missing)} parameters of its plan, the first is {missing[0]!r}")
        vector = np.concatenate([weights[name].float().numpy().ravel() for name in names])
        return cls(plan, vector, device=device)

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "classes h w"]:
        _check_image(image)
        height, width = image.shape[:2]
        if height * width <= MAX_WHOLE_PAGE_PX:
            return self._probabilities(image)
        result = np.empty((self.plan.n_classes, height, width), np.float32)
        for band, inner, target in _bands(height, max(1, MAX_WHOLE_PAGE_PX // width), self.plan.size_multiple):
            result[:, target] = self._probabilities(image[band])[:, inner]
        return result

    def _probabilities(self, image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "classes h w"]:
        import torch

        height, width = image.shape[:2]
        with torch.inference_mode():
            logits = page_logits(self._network, image, self.plan.size_multiple)
            probabilities = torch.softmax(logits, 0)[:, :height, :width].cpu().numpy()
        del logits
        return_memory()
        return probabilities


def bundled_segmenter() -> NetworkSegmenter:
    """The segmenter that comes with the package; the entry point by which digitize/ finds it."""
    return NetworkSegmenter.bundled("segmenter")


def page_logits(module: nn.Module, image: UInt8[np.ndarray, "h w 3"], multiple: int) -> torch.Tensor:
    """Logits (classes, h', w') of a page, padded at the bottom and right with its own edge to the next multiple.

    At least two multiples high: an instance norm at the deepest stage needs more than one pixel.
    """
    import torch

    height, width = image.shape[:2]
    padding = ((0, max(-height % multiple, 2 * multiple - height)), (0, -width % multiple), (0, 0))
    pixels = np.pad(image, padding, mode="edge").transpose(2, 0, 1)
    device = next(module.parameters()).device
    batch = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)[None].float().div_(255)
    return module(batch)[0]


def _bands(height: int, rows: int, multiple: int) -> Iterator[tuple[slice, slice, slice]]:
    """Horizontal bands of at most about `rows` rows: the rows to read, which of them to keep, and where they go."""
    overlap = max(_BAND_OVERLAP_PX, multiple)
    step = max(multiple, rows - 2 * overlap)
    for top in range(0, height, step):
        bottom = min(height, top + step)
        first, last = max(0, top - overlap), min(height, bottom + overlap)
        yield slice(first, last), slice(top - first, bottom - first), slice(top, bottom)


def _check_image(image: UInt8[np.ndarray, "h w 3"]) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise PageError(f"a page must be RGB uint8 (h, w, 3). Found {image.dtype} {image.shape}.")


def _read_model_folder(folder: Path, fold: str) -> tuple[Plan, dict[str, torch.Tensor]]:
    import torch

    checkpoint_file = folder / f"fold_{fold}" / CHECKPOINT
    try:
        plans = json.loads((folder / "plans.json").read_text())
        dataset_json = json.loads((folder / "dataset.json").read_text())
        checkpoint = torch.load(checkpoint_file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ConfigError(f"{folder} is no nnU-Net model folder: {error.filename} is missing") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"the model folder {folder} cannot be read: {error}") from error
    except pickle.UnpicklingError as error:
        raise ConfigError(f"{checkpoint_file} holds more than weights, and is not read for safety: {error}") from error
    if CONFIGURATION not in plans.get("configurations", {}):
        raise ConfigError(f"{folder} has no {CONFIGURATION} configuration: only 2D models read pages")
    plan = Plan(str(plans.get("plans_name", folder.name)), plans, dataset_json, CONFIGURATION, KIND_NAME)
    return plan, checkpoint["network_weights"]
