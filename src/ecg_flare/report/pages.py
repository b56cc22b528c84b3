"""A few public pages with what the trained models find on them."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from jaxtyping import UInt8

from ecg_flare.errors import ConfigError, StorageError
from ecg_flare.page.raster import Label
from ecg_flare.report.public_pages import public_cases
from ecg_flare.report.run import Run
from ecg_flare.storage import read_arrays

HIT_RGB: Final = (0, 114, 178)
MISSED_RGB: Final = (213, 94, 0)
EXTRA_RGB: Final = (170, 51, 119)
_FADE: Final = 0.45
_WEBP_QUALITY: Final = 80


@dataclass(frozen=True)
class PageView:
    """A page with one model's traces drawn over it, as a data URI."""

    name: str
    model: str
    dice: float
    uri: str


def page_views(run: Run, count: int, ptbxl: Path | None = None) -> tuple[PageView, ...]:
    """Run the final and, where it is another, the best model over the first `count` public pages.

    Raises ConfigError where the run has no saved model, and as `public_pages.public_cases`.
    """
    from ecg_flare.nnunet.kinds import verified_plan
    from ecg_flare.task.traces.evaluate import trace_dice
    from ecg_flare.task.traces.predictor import NetworkSegmenter

    plan = verified_plan(run.terms.model.plan, str(run.facts.get("plan_hash", "")), run.terms.model.document)
    models = {name: NetworkSegmenter(plan, vector) for name, vector in _models(run).items()}
    views = []
    for case in islice(public_cases(run.facts, ptbxl), count):
        for name, segmenter in models.items():
            predicted = segmenter(case.image).argmax(0).astype(np.uint8)
            drawn = draw_traces(case.image, predicted, case.mask)
            views.append(PageView(case.name, name, trace_dice(predicted, case.mask), to_uri(drawn)))
    return tuple(views)


def draw_traces(
    image: UInt8[np.ndarray, "h w 3"], predicted: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    """The page, faded, with trace pixels in colour: found (blue), missed (orange), found where none is (purple)."""
    drawn = 255 - ((255 - image.astype(np.float32)) * _FADE).astype(np.uint8)
    found, there = predicted == Label.TRACE, truth == Label.TRACE
    for pixels, rgb in ((found & there, HIT_RGB), (there & ~found, MISSED_RGB), (found & ~there, EXTRA_RGB)):
        drawn[pixels] = rgb
    return drawn


def to_uri(image: UInt8[np.ndarray, "h w 3"]) -> str:
    """An RGB image as a WebP data URI."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY])
    return "data:image/webp;base64," + base64.b64encode(encoded.tobytes()).decode()


def model_size(run: Run) -> int | None:
    """Number of parameters of the saved model; None where none was saved."""
    path = run.file("state.npz")
    return int(_model(path).size) if path is not None else None


def _models(run: Run) -> Mapping[str, Any]:
    path = run.file("state.npz")
    if path is None:
        raise ConfigError("the run saved no model (no state.npz).")
    models = {f"round {run.final.index}": _model(path)}
    best = run.file("best.npz")
    if best is not None and run.best.index != run.final.index:
        models[f"round {run.best.index} (best)"] = _model(best)
    return models


def _model(path: Path) -> np.ndarray:
    arrays = read_arrays(path)
    if "model" not in arrays:
        raise StorageError(f"{path} holds {sorted(arrays)}, expected a model.")
    return arrays["model"]
