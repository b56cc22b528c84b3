"""Label masks in files, drawn by somebody: whatever the picture's mode, its values are those of `raster.Label`, or
IGNORED where nobody says what is there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ecg_flare.errors import PageError
from ecg_flare.page.image_files import load_image, open_image, turned, upright
from ecg_flare.page.raster import IGNORED, Label

_STRIP_PIXELS: Final = 1 << 21
_WITHOUT_LIMIT: Final = 1 << 31
_BLACK_AND_WHITE: Final = 255
# A thin line covers less than half of each pixel that it crosses once a page is shrunk.
_COVERED: Final = 0.4


@dataclass(frozen=True, eq=False)
class LabelMask:
    """Labels of a page, and the orientation (EXIF, 1 to 8) by which the file says that its mask is to be turned."""

    labels: UInt8[np.ndarray, "h w"]
    orientation: int = 1


def read_mask(path: Path) -> LabelMask:
    """The labels in a picture: grey values, the numbers of a palette's colours, or of 1 bit 0 and 1.

    Raises PageError where it cannot be read, has colours that are no palette's, or a value that is no label.
    """
    with open_image(path, path) as picture:
        orientation = load_image(picture, path, longest_px=_WITHOUT_LIMIT)
    picture = upright(picture, path)
    width, height = picture.size
    labels = np.empty((height, width), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        strip = _values(picture.crop((0, top, width, min(top + rows, height))), path)
        _check_labels(strip, path)
        labels[top : top + rows] = strip
    return LabelMask(labels, orientation)


def turn_mask(labels: UInt8[np.ndarray, "h w"], orientation: int) -> UInt8[np.ndarray, "h2 w2"]:
    """The mask as an EXIF orientation (1 to 8) says that its page is to be shown."""
    return np.asarray(turned(Image.fromarray(labels), orientation), np.uint8)


def resize_mask(labels: UInt8[np.ndarray, "h w"], size: tuple[int, int]) -> UInt8[np.ndarray, "h2 w2"]:
    """The mask at `size` (width, height); a class is where it covers enough of a pixel, traces over pulses."""
    resized = np.zeros((size[1], size[0]), np.uint8)
    for label in (Label.PRINT, IGNORED, Label.PULSE, Label.TRACE):
        share = cv2.resize(cv2.compare(labels, int(label), cv2.CMP_EQ), size, interpolation=cv2.INTER_AREA)
        resized[share >= _COVERED * 255] = label
    return resized


def _values(strip: Image.Image, path: Path) -> np.ndarray:
    if strip.mode == "1":
        return np.asarray(strip).astype(np.uint8)
    if strip.mode in ("RGB", "RGBA", "LA", "PA"):
        channels = [np.asarray(strip.getchannel(band)) for band in strip.getbands() if band != "A"]
        if any((channel != channels[0]).any() for channel in channels[1:]):
            raise PageError(f"mask {path} has colours: save it as grey values 0 to {max(Label)}, or as a palette")
        return channels[0]
    return np.asarray(strip)


def _check_labels(values: np.ndarray, path: Path) -> None:
    strange = values[(values < min(Label)) | (values > IGNORED)]
    if strange.size == 0:
        return
    found = np.unique(values)
    if found.size <= 2 and found[-1] == _BLACK_AND_WHITE:
        raise PageError(f"mask {path} is black and white (0 and 255); the labels are {min(Label)} to {max(Label)}")
    raise PageError(
        f"mask {path} has the value {strange.max()}; the labels are {min(Label)} to {max(Label)}, and {IGNORED} what "
        "nobody knows"
    )
