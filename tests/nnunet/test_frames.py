"""Messages of the training process: what goes in comes out, and nothing is unpickled."""

import io
import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_flare.errors import WorkerError
from ecg_flare.nnunet.frames import Frame, read_frame, write_frame

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(
    st.dictionaries(st.text(), json_values, max_size=3),
    st.dictionaries(st.text(), st.lists(st.floats(width=32, allow_nan=False), max_size=5), max_size=3),
)
def test_a_message_comes_back(params: dict[str, object], lists: dict[str, list[float]]) -> None:
    arrays = {name: np.array(values, np.float32) for name, values in lists.items()}
    stream = io.BytesIO()
    for name in ("first", "second"):
        write_frame(stream, Frame("request", name, params, arrays))
    stream.seek(0)
    for name in ("first", "second"):
        frame = read_frame(stream)
        assert frame is not None
        assert (frame.kind, frame.name, frame.params) == ("request", name, params)
        assert set(frame.arrays) == set(arrays)
        for key, array in arrays.items():
            np.testing.assert_array_equal(frame.arrays[key], array)
            assert frame.arrays[key].dtype == np.float32
    assert read_frame(stream) is None


def test_a_message_that_is_cut_short_is_an_error() -> None:
    stream = io.BytesIO()
    write_frame(stream, Frame("reply", "train", {"loss": 1.5}, {"update": np.arange(9.0)}))
    whole = stream.getvalue()
    for length in range(1, len(whole)):
        with pytest.raises(WorkerError):
            read_frame(io.BytesIO(whole[:length]))


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">Q", 1 << 40),
        struct.pack(">Q", 3) + b"{}}",
        struct.pack(">Q", 2) + b"{}",
        struct.pack(">Q", 2) + b"[]",
    ],
)
def test_what_is_no_message_is_an_error(data: bytes) -> None:
    with pytest.raises(WorkerError):
        read_frame(io.BytesIO(data))


def test_objects_are_neither_sent_nor_read() -> None:
    objects = np.array([{"a": 1}], dtype=object)
    with pytest.raises(ValueError, match="allow_pickle"):
        write_frame(io.BytesIO(), Frame("reply", arrays={"x": objects}))
    blob = io.BytesIO()
    np.save(blob, objects, allow_pickle=True)
    arrays = [["x", len(blob.getvalue())]]
    header = json.dumps({"kind": "reply", "name": "", "params": {}, "arrays": arrays}).encode()
    with pytest.raises(WorkerError, match="cannot be read"):
        read_frame(io.BytesIO(struct.pack(">Q", len(header)) + header + blob.getvalue()))
