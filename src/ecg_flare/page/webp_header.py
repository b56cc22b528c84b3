"""The canvas of a WebP (RFC 9649, section 2), before any library makes room for it: libwebp does when it opens one."""

import struct
from typing import IO

from ecg_flare.errors import PageError


def canvas_size(file: IO[bytes], name: str) -> tuple[int, int]:
    """Width and height of the canvas. Raises PageError where the header is none, or promises more than the file has."""
    length = file.seek(0, 2)
    file.seek(0)
    head = file.read(30)
    size = _size(head)
    if size is None or struct.unpack_from("<I", head, 4)[0] + 8 > length + 1:
        raise PageError(f"{name} is damaged or cut short: its header is not whole")
    return size


def _size(head: bytes) -> tuple[int, int] | None:
    if len(head) < 30:
        return None
    match head[12:16]:
        case b"VP8 " if head[23:26] == b"\x9d\x01\x2a":
            width, height = struct.unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L" if head[20] == 0x2F:
            (bits,) = struct.unpack_from("<I", head, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    return None
