"""The chunks of a PNG (ISO/IEC 15948) looked over before any library makes room for what they claim.

OpenCV reserves a chunk's whole length before it reads it: a file of three kilobytes took two gigabytes.
"""

import struct
from typing import IO, Final

from ecg_flare.errors import PageError

MAX_CHUNKS: Final = 500_000
"""Of one file: pixels usually come in chunks of eight kilobytes."""

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_CHECKSUM_BYTES: Final = 4


def check_chunks(file: IO[bytes], name: str) -> None:
    """Refuse a PNG with a chunk that reaches beyond the file's end; a file that is no PNG passes. Raises PageError."""
    size = file.seek(0, 2)
    file.seek(0)
    if file.read(len(_SIGNATURE)) != _SIGNATURE:
        return
    for _ in range(MAX_CHUNKS):
        head = file.read(8)
        length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        if not kind or file.tell() + length + _CHECKSUM_BYTES > size:
            raise PageError(f"{name} is damaged or cut short: its chunk {kind!r} of {length} bytes is not whole")
        if kind == b"IEND":
            return
        file.seek(length + _CHECKSUM_BYTES, 1)
    raise PageError(f"{name} has more than {MAX_CHUNKS} chunks: save it again")
