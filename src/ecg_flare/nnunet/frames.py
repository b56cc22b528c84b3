"""Messages between a process and its training child: one JSON header, then numpy arrays, over a pipe.

8 bytes   length of the header, big-endian
header    JSON object; its "arrays" lists [name, number of bytes]
arrays    each as `numpy.save` writes it; read without unpickling
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Final, Literal

import numpy as np

from ecg_flare.errors import WorkerError
from ecg_flare.storage import decode_array

Kind = Literal["request", "reply", "error", "log"]

_LENGTH: Final = struct.Struct(">Q")
_MAX_HEADER_BYTES: Final = 1 << 24


@dataclass(frozen=True, eq=False)
class Frame:
    """One message.

    Attributes:
        kind: 'request' to the child; 'reply', 'error' or 'log' from it.
        name: the command, or the error's class.
        params: JSON object.
        arrays: by name; no object arrays.
    """

    kind: Kind
    name: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def write_frame(stream: IO[bytes], frame: Frame) -> None:
    """Write one message and flush; raises OSError where the other side is gone."""
    blobs = {name: _encode(array) for name, array in frame.arrays.items()}
    header = json.dumps(
        {
            "kind": frame.kind,
            "name": frame.name,
            "params": dict(frame.params),
            "arrays": [[name, len(blob)] for name, blob in blobs.items()],
        }
    ).encode()
    stream.write(_LENGTH.pack(len(header)))
    stream.write(header)
    for blob in blobs.values():
        stream.write(blob)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Frame | None:
    """Read one message, or None at the end of the stream; raises WorkerError where it is cut short or no message."""
    prefix = stream.read(_LENGTH.size)
    if not prefix:
        return None
    if len(prefix) < _LENGTH.size:
        raise WorkerError(f"a message ended after {len(prefix)} bytes: the other side died while it wrote")
    (length,) = _LENGTH.unpack(prefix)
    if length > _MAX_HEADER_BYTES:
        raise WorkerError(f"a message's header claims {length} bytes, at most {_MAX_HEADER_BYTES} are allowed")
    try:
        header = json.loads(_read_exactly(stream, length))
        arrays = {
            name: decode_array(_read_exactly(stream, size), "a message cannot be read: its array", WorkerError)
            for name, size in header["arrays"]
        }
        return Frame(header["kind"], header["name"], header["params"], arrays)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise WorkerError(f"a message cannot be read: {error}") from error


def _encode(array: np.ndarray) -> memoryview:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getbuffer()


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise WorkerError(f"a message ended {size - len(data)} bytes early: the other side died while it wrote")
    return data
