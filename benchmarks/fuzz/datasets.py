"""Parsers of data sets in nnU-Net's raw format, and of plans that a job brings."""

from __future__ import annotations

import gzip
import json
import struct
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.fuzz.mutation import change_bytes, change_json, change_lines
from benchmarks.fuzz.runs import Parser
from benchmarks.fuzz.texts import Files, one_of, put
from ecg_flare.federated.parts import TrainedModel
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.export import pages_of
from ecg_flare.nnunet.kinds import carried_document, nnunet_plan, plan_of, task_of, trained_subset
from ecg_flare.nnunet.plan import Plan
from ecg_flare.task.datasets.folder import PATIENTS_FILE, NnunetFolder
from ecg_flare.task.datasets.plans import preset_plan, stock_plan
from ecg_flare.task.modules.plan import ModulePlan

_TRAINER: Final = "nnUNetTrainer"
_SOURCE_FILE: Final = "recordings.json"
_SOURCE: Final = b'{"source": {"path": "hospital.Table", "args": {"file": "/data/visits.csv", "folds": [1, 2]}}}'
_DESCRIPTION: Final = {
    "channel_names": {"0": "MRI"},
    "labels": {"background": 0, "one": 1, "two": [1, 2]},
    "regions_class_order": [1, 2],
    "file_ending": ".nii",
}


def _nifti(values: np.ndarray) -> bytes:
    """NIfTI-1 of a small 3D array: 348 bytes of header, 4 of no extension, the values."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *values.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, *((16, 32) if values.dtype == np.float32 else (2, 8)))
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<f", header, 108, 352)
    header[344:348] = b"n+1\0"
    return bytes(header) + values.tobytes()


@cache
def _dataset() -> Files:
    labels = np.zeros((4, 5, 6), np.uint8)
    labels[1:3, 1:3] = 2
    image = np.arange(120, dtype=np.float32).reshape(4, 5, 6)
    return {
        "dataset.json": json.dumps(_DESCRIPTION).encode(),
        PATIENTS_FILE: b"case,patient_id\na,anna\n",
        "imagesTr/a_0000.nii": _nifti(image),
        "labelsTr/a.nii": _nifti(labels),
    }


def _read_dataset(files: Files, folder: Path) -> None:
    put(files, folder)
    for case in NnunetFolder(str(folder)).cases("a"):
        (folder / "out").mkdir(exist_ok=True)
        case.store(folder / "out", folder / "out")


@cache
def _packed() -> Files:
    files = _dataset()
    described = {**_DESCRIPTION, "file_ending": ".nii.gz"}
    packed = {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in files.items() if name.endswith(".nii")}
    return {"dataset.json": json.dumps(described).encode(), **packed}


def _module() -> ModulePlan:
    layout = (("body.weight", (4, 3, 7)), ("head.weight", (5, 4)), ("head.bias", (5,)))
    return ModulePlan("chest", "hospital.Findings", {"width": 4}, layout, ("a", "b"), ("head.*",))


def _read_module(data: bytes, folder: Path) -> None:
    text = data.decode(errors="replace")
    plan = plan_of("changed", text)
    _ = (plan.hash, plan.layout_digest, trained_subset(TrainedModel("changed", plan.last_part, text)).digest)


def _read_source(files: Files, folder: Path) -> None:
    put(files, folder)
    pages_of(f"source:{folder / _SOURCE_FILE}", ("a", "b"), BUNDLED["fedavg"])


@cache
def _plan() -> Plan:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dataset.json"
        path.write_text(json.dumps({**_DESCRIPTION, "file_ending": ".nii.gz"}))
        return preset_plan("small_3d", path, spacing=(1, 1, 1), trainer=_TRAINER)


def _read_document(data: bytes, folder: Path) -> None:
    plan = plan_of("changed", data.decode(errors="replace"))
    carried_document(plan)
    task, nnunet = task_of(plan), nnunet_plan(plan)
    _ = (nnunet.hash, nnunet.n_classes, nnunet.size_multiple, task.foreground_places, task.reader)


@cache
def _stock() -> Files:
    plan = _plan()
    return {
        "plans.json": json.dumps(plan.plans).encode(),
        "dataset.json": json.dumps(plan.dataset_json).encode(),
    }


def _read_stock(files: Files, folder: Path) -> None:
    put(files, folder)
    _ = stock_plan(folder / "plans.json", trainer=_TRAINER).hash


_CHANGES: Final = {".nii": change_bytes, ".json": change_json, ".csv": change_lines}

DATASETS: Final = (
    Parser("nnU-Net data set", lambda: [_dataset()], one_of(_CHANGES), _read_dataset),
    Parser("packed data set", lambda: [_packed()], one_of({".gz": change_bytes}), _read_dataset),
    Parser("plan of a job", lambda: [_plan().document.encode()], change_json, _read_document),
    Parser("plan of a torch module", lambda: [_module().document.encode()], change_json, _read_module),
    Parser("source of a job", lambda: [{_SOURCE_FILE: _SOURCE}], one_of({".json": change_json}), _read_source),
    Parser("plans.json", lambda: [_stock()], one_of({".json": change_json}), _read_stock),
)
