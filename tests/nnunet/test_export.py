"""Models on disk: numbers only in ours, and a folder that stock nnU-Net runs."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from nnunet_scribbles import scribbled_page

from ecg_flare.errors import ConfigError, PlanMismatchError, StorageError, UpdateError
from ecg_flare.nnunet.export import export_model_folder, load_model, save_model
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import Plan
from ecg_flare.task.traces.predictor import NetworkSegmenter


def test_a_saved_model_comes_back(tmp_path: Path, tiny: Plan, start: np.ndarray) -> None:
    path = save_model(tmp_path / "new" / "model.npz", start, tiny, {"seed": 1})
    stored = load_model(path)
    np.testing.assert_array_equal(stored.vector, start)
    assert stored.plan is tiny
    assert stored.provenance == {"seed": 1}
    assert [p.name for p in path.parent.iterdir()] == ["model.npz"]


def rewrite(path: Path, **changes: object) -> None:
    with np.load(path) as archive:
        vector, header = archive["vector"], json.loads(str(archive["header"]))
    header |= {key: value for key, value in changes.items() if key != "vector"}
    np.savez(path, vector=changes.get("vector", vector), header=np.array(json.dumps(header)))


@pytest.mark.parametrize(
    ("changes", "error", "named"),
    [
        ({"plan_hash": "beef"}, PlanMismatchError, "beef"),
        ({"layout_digest": "f00d"}, PlanMismatchError, "f00d"),
        ({"plan": "huge"}, ConfigError, "huge"),
        ({"vector": np.zeros(7, np.float32)}, UpdateError, r"\(7,\)"),
    ],
)
def test_a_model_of_another_plan_is_refused(
    tmp_path: Path, tiny: Plan, start: np.ndarray, changes: dict[str, object], error: type[Exception], named: str
) -> None:
    path = save_model(tmp_path / "model.npz", start, tiny)
    rewrite(path, **changes)
    with pytest.raises(error, match=named):
        load_model(path)


def test_a_file_that_is_no_model_is_named(tmp_path: Path, start: np.ndarray) -> None:
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, vector=np.array([{"an": "object"}], dtype=object), header=np.array("{}"))
    short = tmp_path / "short.npz"
    short.write_bytes(b"PK\x03\x04 short")
    other = tmp_path / "other.npz"
    np.savez(other, weights=start)
    for path in (pickled, short, other, tmp_path / "absent.npz"):
        with pytest.raises(ConfigError, match=path.name):
            load_model(path)


def test_a_vector_of_another_plan_is_not_written(tmp_path: Path, start: np.ndarray) -> None:
    small = plan_preset("small")
    with pytest.raises(UpdateError, match="1287424"):
        save_model(tmp_path / "model.npz", start, small)
    with pytest.raises(UpdateError, match="1287424"):
        export_model_folder(start, small, tmp_path / "folder")
    assert not list(tmp_path.iterdir())


def test_an_exported_folder_segments_as_before(tmp_path: Path, tiny: Plan, start: np.ndarray) -> None:
    folder = export_model_folder(start, tiny, tmp_path / "out" / "model")
    image, _ = scribbled_page(np.random.default_rng(0), 100, 150)
    again = NetworkSegmenter.from_model_folder(folder)
    np.testing.assert_array_equal(again(image), NetworkSegmenter(tiny, start)(image))
    assert [p.name for p in folder.parent.iterdir()] == ["model"]
    assert (folder / "fold_0" / "checkpoint_final.pth").stat().st_size < 3 * start.nbytes


def test_an_export_replaces_the_last(tmp_path: Path, tiny: Plan, start: np.ndarray) -> None:
    folder = export_model_folder(start, tiny, tmp_path / "model")
    (folder / "stale.txt").write_text("from the round before")
    export_model_folder(start * 2, tiny, folder)
    assert sorted(p.name for p in folder.iterdir()) == ["dataset.json", "fold_0", "plans.json"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    image, _ = scribbled_page(np.random.default_rng(0), 64, 64)
    np.testing.assert_array_equal(
        NetworkSegmenter.from_model_folder(folder)(image), NetworkSegmenter(tiny, start * 2)(image)
    )


def test_an_export_that_fails_keeps_the_last(
    tmp_path: Path, tiny: Plan, start: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export_model_folder(start, tiny, tmp_path / "model")
    before = (folder / "fold_0" / "checkpoint_final.pth").read_bytes()

    def full(*args: object) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(StorageError, match="model"):
        export_model_folder(start * 2, tiny, folder)
    assert (folder / "fold_0" / "checkpoint_final.pth").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_is_no_model_is_named(tmp_path: Path, tiny: Plan, start: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"plans\.json is missing"):
        NetworkSegmenter.from_model_folder(tmp_path)
    folder = export_model_folder(start, tiny, tmp_path / "model")
    plans = json.loads((folder / "plans.json").read_text())
    plans["configurations"] = {"3d_fullres": {}}
    (folder / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(ConfigError, match="2d"):
        NetworkSegmenter.from_model_folder(folder)


def test_a_checkpoint_is_never_unpickled(tmp_path: Path, tiny: Plan, start: np.ndarray) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    folder = export_model_folder(start, tiny, tmp_path / "model")
    checkpoint = folder / "fold_0" / "checkpoint_final.pth"
    torch.save({"network_weights": Payload()}, checkpoint)
    with pytest.raises(ConfigError, match="for safety"):
        NetworkSegmenter.from_model_folder(folder)
    checkpoint.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(ConfigError, match="checkpoint_final"):
        NetworkSegmenter.from_model_folder(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_stock_nnunet_predicts_with_an_exported_folder(tmp_path: Path, tiny: Plan) -> None:
    from ecg_flare.nnunet.export import load_bundled
    from ecg_flare.task.traces.sources import SyntheticPages

    vector = load_bundled("segmenter").vector
    model = export_model_folder(vector, tiny, tmp_path / "model")
    (tmp_path / "in").mkdir()
    case = next(SyntheticPages({"x": "plain"}, pages_per_site=1).cases("x"))
    cv2.imwrite(str(tmp_path / "in" / "page_0000.png"), case.image[..., ::-1])
    command = [str(Path(sys.executable).with_name("nnUNetv2_predict_from_modelfolder"))]
    options = ["-i", "in", "-o", "out", "-m", str(model), "-f", "0", "-device", "cpu", "--disable_tta"]
    options += ["-npp", "1", "-nps", "1"]
    subprocess.run(
        command + options, cwd=tmp_path, check=True, capture_output=True, env={**os.environ, "nnUNet_n_proc_DA": "1"}
    )
    theirs = cv2.imread(str(tmp_path / "out" / "page.png"), cv2.IMREAD_UNCHANGED)
    ours = NetworkSegmenter(tiny, vector)(case.image).argmax(0)
    assert theirs.shape == case.mask.shape
    assert np.mean(theirs == ours) > 0.97
    traces = theirs == 1, ours == 1
    assert 2 * np.sum(traces[0] & traces[1]) / (np.sum(traces[0]) + np.sum(traces[1])) > 0.9
