"""Colour of more than 8 bits a channel, of which Pillow keeps the upper eight.

That is right where the channels use all of their 16 bits. Of 12 bits in 16 nothing is left but black, so that such a
page is decoded again with all of its bits.
"""

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from jaxtyping import UInt16
from PIL import Image

from ecg_flare.errors import PageError
from ecg_flare.page.image_files import MAX_DECODED_BYTES

_COLOURS: Final = ("RGB", "RGBA", "LA")
_HALF: Final = 128
_BYTES: Final = 20
"""Bytes a pixel while OpenCV decodes it, beside the picture that Pillow has decoded."""


def is_deep_colour(picture: Image.Image) -> bool:
    """Whether a picture that is not decoded yet has colour, or grey with transparency, of 16 bits a channel."""
    tiles: list[Any] = getattr(picture, "tile", [])
    raw = "" if not tiles else tiles[0][3]
    return picture.mode in _COLOURS and ";16" in str(raw if isinstance(raw, str) else raw[0] if raw else "")


def decode_deep(path: Path, number: int, decoded: Image.Image) -> UInt16[np.ndarray, "h w c"] | None:
    """All bits of a page whose upper bits are as good as empty, RGB or RGBA, as stored; None where the upper bits do.

    Raises PageError where it is damaged, or would take too much memory.
    """
    channels = decoded.getbands().index("A") if "A" in decoded.getbands() else len(decoded.getbands())
    if max(int(np.asarray(decoded.getchannel(index)).max()) for index in range(channels)) >= _HALF:
        return None
    if decoded.width * decoded.height * _BYTES > MAX_DECODED_BYTES:
        raise PageError(
            f"{path} has {decoded.width} x {decoded.height} pixels of 16 bits a channel: save it with 8 bits a channel"
        )
    data = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        _, pages = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED, range=(number - 1, number))
    except cv2.error as error:
        raise PageError(f"{path} is damaged or cut short: {error.err}") from error
    if not pages or pages[0].dtype != np.uint16:
        raise PageError(f"{path} is damaged, or of a kind of 16 bits that is not read: save it with 8 bits a channel")
    code = cv2.COLOR_BGRA2RGBA if pages[0].ndim == 3 and pages[0].shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(pages[0], code), np.uint16)
