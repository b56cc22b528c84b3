"""nnU-Net's own planner, run on a fingerprint that no folder of cases stands behind."""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.errors import ConfigError
from ecg_flare.nnunet.environment import nnunet_environment

_PLANNERS: Final = "nnunetv2.experiment_planning.experiment_planners"
_RESIDUAL: Final = f"{_PLANNERS}.residual_unets.residual_encoder_unet_planners"
PLANNERS: Final[Mapping[str, str]] = {
    "ExperimentPlanner": f"{_PLANNERS}.default_experiment_planner",
    "nnUNetPlannerResEncM": _RESIDUAL,
    "nnUNetPlannerResEncL": _RESIDUAL,
    "nnUNetPlannerResEncXL": _RESIDUAL,
}
"""nnU-Net's planners that may be named, and their modules."""


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """A data set as nnU-Net's planner sees it; each column stands for itself, as the planner joins no two axes.

    Attributes:
        spacings: sorted along each axis.
        shapes: voxels, sorted along each axis.
        extents: spacing times voxels, sorted along each axis.
        relative_size: median share of a case that is left once the zeros around it are cut off.
        intensities: channel -> mean, median, std and percentiles of its foreground; {} where it needs none.
    """

    spacings: Float64[np.ndarray, "cases 3"]
    shapes: Float64[np.ndarray, "cases 3"]
    extents: Float64[np.ndarray, "cases 3"]
    relative_size: float
    intensities: Mapping[str, Mapping[str, float]]


def plan_experiment(found: Fingerprint, dataset_json: Mapping[str, Any], planner: str, dataset: str) -> dict[str, Any]:
    """The plans.json that a planner of nnU-Net makes of a fingerprint.

    The planner asks for the target spacing, of spacings and shapes, and for the median size at that spacing, of shapes
    times spacings. It is asked each with the columns that belong to it, so that nobody needs to know which spacing goes
    with which shape.

    `dataset` is nnU-Net's name of the data set, such as 'Dataset004_Hippocampus'; dataset.json names its reader
    (`overwrite_image_reader_writer`), as there is no file to try one on. Raises ConfigError for an unknown planner, and
    where it fails.
    """
    if planner not in PLANNERS:
        raise ConfigError(f"unknown planner {planner!r}: choose one of {', '.join(PLANNERS)}")
    nobody = {"case": {"images": ["case_0000"], "label": "case"}}  # the planner wants the name of one file
    description = {**dataset_json, "numTraining": len(found.spacings), "dataset": nobody}
    with tempfile.TemporaryDirectory(prefix="ecg_flare-planner-") as scratch:
        raw, preprocessed = Path(scratch) / "raw", Path(scratch) / "preprocessed"
        _write(raw / dataset / "dataset.json", description)
        with nnunet_environment(raw=raw, preprocessed=preprocessed, threads=1):
            kind = getattr(importlib.import_module(PLANNERS[planner]), planner)

            def asked_of(shapes: Float64[np.ndarray, "cases 3"], **target: list[float]) -> Any:
                document = _as_document(found, shapes, dataset_json["channel_names"])
                _write(preprocessed / dataset / "dataset_fingerprint.json", document)
                return kind(dataset, **target)

            try:
                spacing = [float(side) for side in asked_of(found.shapes).determine_fullres_target_spacing()]
                sized = asked_of(found.extents / found.spacings, overwrite_target_spacing=spacing)
                sized.plan_experiment()
            except (AssertionError, ValueError, RuntimeError, ArithmeticError, LookupError) as error:
                raise ConfigError(f"{planner} makes no plan of the summed fingerprint: {error}") from error
        plans: dict[str, Any] = json.loads((preprocessed / dataset / f"{sized.plans_identifier}.json").read_text())
    median = np.median(found.shapes, axis=0)[plans["transpose_forward"]]
    plans["original_median_shape_after_transp"] = [round(side) for side in median.tolist()]
    return plans


def _as_document(found: Fingerprint, shapes: Float64[np.ndarray, "cases 3"], channels: Iterable[str]) -> dict[str, Any]:
    # nnU-Net looks each channel up, even where its normalization then asks for nothing.
    intensities = {channel: dict(found.intensities.get(channel, {})) for channel in channels}
    return {
        "spacings": found.spacings.tolist(),
        "shapes_after_crop": shapes.tolist(),
        "median_relative_size_after_cropping": found.relative_size,
        "foreground_intensity_properties_per_channel": intensities,
    }


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
