"""The flat vector of an update: its meaning, its checks, and the way back to tensors."""

import hashlib

import numpy as np
import pytest

from ecg_flare.errors import UpdateError
from ecg_flare.federated.update import check_layout, check_update, flatten, layout_digest, layout_size

LAYOUT = (("weight", (2, 3)), ("bias", (2,)), ("scale", ()))


def tensors() -> dict[str, np.ndarray]:
    return {
        "bias": np.array([7.0, 8.0], np.float32),
        "scale": np.array(9.0, np.float32),
        "weight": np.arange(1.0, 7.0, dtype=np.float32).reshape(2, 3),
    }


def test_digest_is_sha256_of_the_canonical_list() -> None:
    text = b'[["weight",[2,3]],["bias",[2]],["scale",[]]]'
    assert layout_digest(LAYOUT) == hashlib.sha256(text).hexdigest()


def test_digest_depends_on_order_names_and_shapes() -> None:
    others = [LAYOUT[::-1], (("weight", (3, 2)), *LAYOUT[1:]), (("w", (2, 3)), *LAYOUT[1:])]
    assert len({layout_digest(layout) for layout in (LAYOUT, *others)}) == 4


def test_flatten_follows_the_layout_not_the_mapping() -> None:
    vector = flatten(tensors(), LAYOUT)
    assert vector.dtype == np.float32
    assert vector.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert layout_size(LAYOUT) == 9


def test_wrong_tensors_are_named() -> None:
    renamed = tensors()
    renamed["offset"] = renamed.pop("bias")
    with pytest.raises(UpdateError, match=r"missing \['bias'\], unknown \['offset'\]"):
        flatten(renamed, LAYOUT)
    with pytest.raises(UpdateError, match=r"weight has shape \(6,\), expected \(2, 3\)"):
        flatten(tensors() | {"weight": np.zeros(6, np.float32)}, LAYOUT)


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (np.zeros(9, np.float64), "float64, expected float32"),
        (np.zeros(8, np.float32), r"shape \(8,\), expected \(9,\)"),
        (np.zeros((9, 1), np.float32), r"shape \(9, 1\)"),
        (np.array([0, 0, 0, np.nan, 0, 0, 0, np.inf, 0], np.float32), "2 values .* first is nan at coordinate 3"),
    ],
)
def test_what_is_not_an_update_is_refused(vector: np.ndarray, message: str) -> None:
    with pytest.raises(UpdateError, match=message):
        check_update(vector, size=9)


def test_a_good_update_passes() -> None:
    check_update(np.zeros(9, np.float32), size=9)
    check_layout("ab", expected="ab")
    with pytest.raises(UpdateError, match="digest is ab, expected cd"):
        check_layout("ab", expected="cd")
