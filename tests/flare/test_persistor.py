import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecg_flare.errors import ConfigError, StorageError
from ecg_flare.flare.server import persistor
from ecg_flare.flare.server.persistor import GlobalState, ModelStore
from ecg_flare.nnunet.kinds import plan_preset

PLAN = plan_preset("tiny")
STATE = GlobalState(
    model=np.arange(4, dtype=np.float32),
    plan_hash=PLAN.hash,
    layout_digest=PLAN.layout_digest,
    terms_digest="t" * 64,
    optimizer={"steps": np.array(2), "m": np.ones(4), "v": np.full(4, 0.5)},
    rounds_done=2,
    dice=0.5,
    best_dice=0.6,
    best_round=1,
)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(folder=str(tmp_path / "state"))


def test_a_state_comes_back_whole(store: ModelStore, context: Callable[..., Any]) -> None:
    fl_ctx = context()
    assert store.load(fl_ctx, PLAN, "t" * 64) is None
    store.save(STATE, fl_ctx, best=True)
    store.save(replace(STATE, rounds_done=3), fl_ctx, best=False)
    back = store.load(fl_ctx, PLAN, "t" * 64)
    assert back is not None
    assert back.rounds_done == 3
    assert (back.dice, back.best_dice, back.best_round) == (0.5, 0.6, 1)
    assert np.array_equal(back.model, STATE.model)
    assert {name: array.tolist() for name, array in back.optimizer.items()} == {
        "steps": 2, "m": [1.0] * 4, "v": [0.5] * 4,
    }  # fmt: skip
    assert {path.name for path in store.folder(fl_ctx).iterdir()} == {"state.npz", "best.npz"}


def test_a_crash_while_saving_leaves_no_state_that_names_a_best_model_which_is_not_there(
    store: ModelStore, context: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fl_ctx, written = context(), []

    def crash_after_one(path: Path, arrays: object) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(path.name)

    monkeypatch.setattr(persistor, "write_arrays", crash_after_one)
    with pytest.raises(KeyboardInterrupt):
        store.save(STATE, fl_ctx, best=True)
    assert written == ["best.npz"]


def test_a_state_of_other_terms_is_refused(store: ModelStore, context: Callable[..., Any]) -> None:
    store.save(STATE, context(), best=False)
    with pytest.raises(ConfigError, match="terms_digest"):
        store.load(context(), PLAN, "u" * 64)
    with pytest.raises(ConfigError, match="plan_hash"):
        store.load(context(), plan_preset("small"), "t" * 64)


def test_a_corrupt_state_is_refused_and_never_unpickled(store: ModelStore, context: Callable[..., Any]) -> None:
    fl_ctx = context()
    store.save(STATE, fl_ctx, best=False)
    path = store.folder(fl_ctx) / "state.npz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StorageError, match=r"state\.npz"):
        store.load(fl_ctx, PLAN, "t" * 64)
    np.savez(path, model=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(StorageError, match=r"state\.npz"):
        store.load(fl_ctx, PLAN, "t" * 64)


@pytest.mark.parametrize("fields", [b"{", b"[1]", b'{"unknown": 1}', b"\xff"])
def test_a_state_with_other_fields_is_refused(store: ModelStore, context: Callable[..., Any], fields: bytes) -> None:
    path = store.folder(context()) / "state.npz"
    path.parent.mkdir()
    np.savez(path, model=np.zeros(4, np.float32), fields=np.frombuffer(fields, np.uint8))
    with pytest.raises(StorageError, match=r"state\.npz is not a saved state"):
        store.load(context(), PLAN, "t" * 64)


def test_a_bare_array_is_no_state(store: ModelStore, context: Callable[..., Any]) -> None:
    path = store.folder(context()) / "state.npz"
    path.parent.mkdir()
    with path.open("wb") as file:
        np.save(file, np.zeros(4, np.float32))
    with pytest.raises(StorageError, match=r"state\.npz"):
        store.load(context(), PLAN, "t" * 64)


def test_a_full_disk_leaves_the_last_state_whole(
    store: ModelStore, context: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fl_ctx = context()
    store.save(STATE, fl_ctx, best=False)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            store.save(replace(STATE, rounds_done=3), fl_ctx, best=True)
        with pytest.raises(StorageError, match="No space left"):
            store.log_round({"round": 1}, fl_ctx)
    back = store.load(fl_ctx, PLAN, "t" * 64)
    assert back is not None
    assert back.rounds_done == 2
    assert not [path for path in store.folder(fl_ctx).iterdir() if path.name.startswith(".")]


def test_a_folder_that_cannot_be_made_is_told_before_the_first_round(
    tmp_path: Path, context: Callable[..., Any]
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file"):
        ModelStore(folder=str(tmp_path / "file" / "state")).check_writable(context())


def test_rounds_are_appended_one_json_line_each(store: ModelStore, context: Callable[..., Any]) -> None:
    for number in range(3):
        store.log_round({"round": number, "dice": 0.5}, context())
    lines = (store.folder(context()) / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["round"] for line in lines] == [0, 1, 2]


def test_a_state_of_another_optimizer_is_refused(store: ModelStore, context: Callable[..., Any]) -> None:
    store.save(replace(STATE, aggregator="FedAdam(learning_rate=0.1)"), context(), best=False)
    assert store.load(context(), PLAN, "t" * 64, "FedAdam(learning_rate=0.1)") is not None
    with pytest.raises(ConfigError, match="FedYogi"):
        store.load(context(), PLAN, "t" * 64, "FedYogi(learning_rate=0.1)")


def test_a_later_submission_is_under_way_again(store: ModelStore, context: Callable[..., Any]) -> None:
    fl_ctx = context()
    store.log_end("aborted", fl_ctx)
    assert json.loads((store.folder(fl_ctx) / "ended.json").read_text()) == {"outcome": "aborted"}
    store.describe({"job": "again"}, fl_ctx)
    assert {path.name for path in store.folder(fl_ctx).iterdir()} == {"run.json"}
