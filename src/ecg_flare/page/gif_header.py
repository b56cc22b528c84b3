"""The first frame of a GIF (GIF89a specification, sections 18 to 23), before any library makes room for it.

Pillow fills a picture of the frame's size while it opens a file whose frame is to be disposed of.
"""

import struct
from typing import IO, Final

from ecg_flare.errors import PageError

MAX_BLOCKS: Final = 100_000
"""Blocks before the first frame: extensions, and what comments are cut into."""


def frame_size(file: IO[bytes], name: str) -> tuple[int, int]:
    """Width and height that hold both the screen and the first frame. Raises PageError where there is no frame."""
    file.seek(0)
    head = file.read(13)
    if len(head) < 13:
        raise PageError(f"{name} is damaged or cut short: its screen is not described")
    width, height, flags = struct.unpack_from("<HHB", head, 6)
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, 1)
    for _ in range(MAX_BLOCKS):
        match file.read(1):
            case b",":
                frame = file.read(9)
                if len(frame) < 9:
                    break
                left, top, wide, high = struct.unpack_from("<HHHH", frame)
                return max(width, left + wide), max(height, top + high)
            case b"!":
                file.read(1)
                _skip_blocks(file)
            case b"" | b";":
                break
    raise PageError(f"{name} is damaged or cut short: it has no frame")


def _skip_blocks(file: IO[bytes]) -> None:
    for _ in range(MAX_BLOCKS):
        size = file.read(1)
        if not size or size == b"\0":
            return
        file.seek(size[0], 1)
