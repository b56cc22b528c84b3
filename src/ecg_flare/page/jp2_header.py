"""The size marker of a JPEG 2000 codestream (ISO/IEC 15444-1, A.5.1), before any library builds its tiles.

What the boxes of the file say (I.5.3.1) need not be what the codestream has: libraries see the one and decode the
other.
"""

import struct
from typing import IO, Final

from ecg_flare.errors import PageError

MAX_TILES: Final = 4096
"""Of one picture: a library keeps kilobytes for each. A4 at 1200 dpi in tiles of 256 x 256 has 2,200."""

MAX_COMPONENTS: Final = 4
_MAX_BOXES: Final = 1000
_START: Final = b"\xff\x4f\xff\x51"


def codestream_size(file: IO[bytes], name: str) -> tuple[int, int]:
    """Width and height of the picture in the codestream.

    Raises PageError where there is none, where it has more than MAX_TILES tiles or MAX_COMPONENTS components, or where
    a component is coarser than a quarter of the picture.
    """
    _find_codestream(file, name)
    marker = file.read(42)
    if len(marker) < 42 or marker[:4] != _START:
        raise _damaged(name, "its codestream does not begin with its size")
    right, bottom, left, top, wide, high, tile_left, tile_top, components = struct.unpack_from(">8IH", marker, 8)
    width, height = right - left, bottom - top
    if min(width, height, wide, high) <= 0 or tile_left > left or tile_top > top:
        raise _damaged(name, f"its codestream has {width} x {height} pixels in tiles of {wide} x {high}")
    tiles = -(-(right - tile_left) // wide) * -(-(bottom - tile_top) // high)
    if tiles > MAX_TILES:
        raise PageError(f"{name} has {tiles} tiles, more than {MAX_TILES}: save it as PNG")
    steps = file.read(3 * components)
    if not 1 <= components <= MAX_COMPONENTS or len(steps) < 3 * components:
        raise PageError(f"{name} has {components} components, expected 1 to {MAX_COMPONENTS}: save it as PNG")
    if any(step not in (1, 2) for step in steps[1::3] + steps[2::3]):
        raise _damaged(name, "a component is coarser than every other pixel")
    return width, height


def _find_codestream(file: IO[bytes], name: str) -> None:
    file.seek(0)
    if file.read(4) == _START:
        file.seek(0)
        return
    file.seek(0)
    for _ in range(_MAX_BOXES):
        head = file.read(8)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        if kind == b"jp2c":
            file.seek(8 if length == 1 else 0, 1)
            return
        if length == 1:
            length = int.from_bytes(file.read(8), "big") - 8
        if not 8 <= length < 1 << 40:
            break
        file.seek(length - 8, 1)
    raise _damaged(name, "it has no codestream")


def _damaged(name: str, what: str) -> PageError:
    return PageError(f"{name} is damaged or cut short: {what}")
