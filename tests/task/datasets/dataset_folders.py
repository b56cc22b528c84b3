"""Small data sets in nnU-Net's raw format, and a stock plan for them: two bright boxes in noise, in 3D and in 2D."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import SimpleITK

from ecg_flare.task.datasets.plans import preset_plan

LABELS = {"background": 0, "left": 1, "right": 2}


def boxes(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """An image with a brighter box in each half, and its labels."""
    image = rng.normal(100, 10, shape).astype(np.float32)
    labels = np.zeros(shape, np.uint8)
    for label, half in ((1, slice(2, 7)), (2, slice(9, 14))):
        place = (half, *(slice(3, 11) for _ in shape[1:]))
        labels[place] = label
        image[place] += 60 * label
    return image, labels


def write_case(
    root: Path, name: str, image: np.ndarray, labels: np.ndarray, spacing: tuple[float, ...] = (1, 1, 1)
) -> None:
    """A case of as many channels as `image` has, as NIfTI."""
    for channel, values in enumerate(image):
        _write(root / "imagesTr" / f"{name}_{channel:04d}.nii.gz", values, spacing)
    _write(root / "labelsTr" / f"{name}.nii.gz", labels, spacing)


def _write(path: Path, values: np.ndarray, spacing: tuple[float, ...]) -> None:
    image = SimpleITK.GetImageFromArray(values)
    image.SetSpacing(spacing)
    SimpleITK.WriteImage(image, str(path))


def make_dataset(
    root: Path,
    *,
    cases: int = 5,
    channels: tuple[str, ...] = ("MRI",),
    labels: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
) -> Path:
    """A folder of so many cases of 16 x 16 x 16 voxels."""
    for part in ("imagesTr", "labelsTr"):
        (root / part).mkdir(parents=True)
    description = {
        "channel_names": {str(index): name for index, name in enumerate(channels)},
        "labels": labels or LABELS,
        "numTraining": cases,
        "file_ending": ".nii.gz",
        **(more or {}),
    }
    (root / "dataset.json").write_text(json.dumps(description))
    for index in range(cases):
        image, truth = boxes(np.random.default_rng(index), (16, 16, 16))
        write_case(
            root, f"case_{index:02d}", np.stack([image * (1 + channel) for channel in range(len(channels))]), truth
        )
    return root


def make_flat_dataset(root: Path, cases: int = 4) -> Path:
    """A folder of grey pictures, 32 x 32 pixels."""
    for part in ("imagesTr", "labelsTr"):
        (root / part).mkdir(parents=True)
    description = {"channel_names": {"0": "grey"}, "labels": LABELS, "numTraining": cases, "file_ending": ".png"}
    (root / "dataset.json").write_text(json.dumps(description))
    for index in range(cases):
        image, truth = boxes(np.random.default_rng(index), (32, 32))
        cv2.imwrite(str(root / "imagesTr" / f"c{index}_0000.png"), image.clip(0, 255).astype(np.uint8))
        cv2.imwrite(str(root / "labelsTr" / f"c{index}.png"), truth)
    return root


def make_plans(folder: Path, dataset_json: Path, *, flat: bool = False) -> Path:
    """A plans.json as nnU-Net's planner lays it out, of a tiny network, with the dataset.json beside it."""
    found = json.loads(dataset_json.read_text())
    as_3d = {**found, "file_ending": ".nii.gz"}
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "for_preset.json"
    source.write_text(json.dumps(as_3d))
    plans = preset_plan("small_3d", source, spacing=(1, 1, 1), trainer="nnUNetTrainer").nnunet_plans()
    source.unlink()
    plans["dataset_name"] = "Dataset007_Boxes"
    plans["plans_name"] = "nnUNetPlans"
    [configuration] = plans["configurations"].values()
    dims = 2 if flat else 3
    arguments = configuration["architecture"]["arch_kwargs"]
    arguments |= {
        "n_stages": 3,
        "features_per_stage": [4, 8, 8],
        "kernel_sizes": [[3] * dims] * 3,
        "strides": [[1] * dims, [2] * dims, [2] * dims],
        "n_conv_per_stage": [1, 1, 1],
        "n_conv_per_stage_decoder": [1, 1],
    }
    configuration |= {"patch_size": [16] * dims, "spacing": [1.0] * dims, "data_identifier": f"nnUNetPlans_{dims}d"}
    if flat:
        arguments |= {
            "conv_op": "torch.nn.modules.conv.Conv2d",
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
        }
        plans["image_reader_writer"] = "NaturalImage2DIO"
    name = "2d" if flat else "3d_fullres"
    plans["configurations"] = {name: configuration, "other": {"inherits_from": name, "batch_size": 3}}
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(found))
    return folder / "plans.json"
