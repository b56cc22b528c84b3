"""Parts of a picture at the size that a browser shows them: pages of a hundred million pixels are never sent whole."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8

from ecg_flare.errors import ConfigError, StorageError

TILE_PX: Final = 512
MAX_LEVEL: Final = 6
_QUALITY: Final = 90


def tile(image: UInt8[np.ndarray, "h w 3"], level: int, column: int, row: int) -> bytes:
    """Return a part of an RGB image as JPEG: TILE_PX pixels square, or less at the edges, shrunk by 2**level.

    Raises ConfigError where there is no such part.
    """
    step = TILE_PX << level if 0 <= level <= MAX_LEVEL else 0
    part = (
        image[row * step : (row + 1) * step, column * step : (column + 1) * step]
        if min(row, column) >= 0
        else image[:0]
    )
    if not part.size:
        raise ConfigError(f"the picture has no tile {column}, {row} at level {level}")
    if level:
        size = (max(1, part.shape[1] >> level), max(1, part.shape[0] >> level))
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(part, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise StorageError(f"a tile of {part.shape[1]} x {part.shape[0]} pixels could not be encoded as JPEG")
    return bytes(data)
