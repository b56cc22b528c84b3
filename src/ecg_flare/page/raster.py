"""The label mask of a page, drawn from its truth, and the resolution at which the network sees pages.

The trace of a mask is TRACE_WIDTH_PX wide at NORMALIZED_PX_PER_MM (0.75 mm), whatever the pen was: the Dice of thin
lines depends on the width, so it is fixed.
"""

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from ecg_flare.page.stroke import distance_to_strokes
from ecg_flare.page.truth import PageTruth

NORMALIZED_PX_PER_MM: Final = 4.0
"""Resolution at which the segmentation network sees pages: a letter page is 1118 x 864."""

TRACE_WIDTH_PX: Final = 3
"""Width of a trace or pulse in the label mask at NORMALIZED_PX_PER_MM."""

_BOX_SHIFT: Final = 4


class Label(IntEnum):
    """Classes of the mask. Where they overlap, traces lie over pulses and pulses over print."""

    BACKGROUND = 0
    TRACE = 1
    PULSE = 2
    PRINT = 3


IGNORED: Final = max(Label) + 1
"""Marks pixels of a mask of which nobody says what they are: nothing is learnt from them. No class of a network."""


def rasterize(truth: PageTruth) -> UInt8[np.ndarray, "h w"]:
    """Draw the label mask of a page at the resolution of its truth.

    A pixel belongs to a trace if its centre lies within half the trace width, TRACE_WIDTH_PX / NORMALIZED_PX_PER_MM
    times the mean px_per_mm, of the polyline; never less than one pixel wide. Outside the paper all is background.
    """
    shape = (truth.height_px, truth.width_px)
    px_per_mm = math.sqrt(truth.px_per_mm_x * truth.px_per_mm_y)
    half_px = max(TRACE_WIDTH_PX * px_per_mm / NORMALIZED_PX_PER_MM, 1.0) / 2
    mask = np.zeros(shape, dtype=np.uint8)
    for box in truth.print_boxes:
        _fill(mask, box, Label.PRINT)
    _stroke(mask, truth.pulses, half_px, Label.PULSE)
    _stroke(mask, [trace.polyline for trace in truth.traces], half_px, Label.TRACE)
    seen = np.zeros(shape, dtype=np.uint8)
    _fill(seen, truth.paper, 1)
    return mask * seen


def _fill(mask: UInt8[np.ndarray, "h w"], polygon: Float64[np.ndarray, "corners 2"], label: int) -> None:
    corners = np.rint(polygon * 2**_BOX_SHIFT).astype(np.int32)
    cv2.fillPoly(mask, [corners], int(label), cv2.LINE_8, _BOX_SHIFT)


def _stroke(
    mask: UInt8[np.ndarray, "h w"], polylines: Sequence[Float64[np.ndarray, "_ 2"]], half_px: float, label: Label
) -> None:
    # Strip by strip: the traces of a row touch a part of the page only.
    for polyline in polylines:
        top = max(0, math.floor(polyline[:, 1].min() - half_px))
        bottom = min(mask.shape[0], math.ceil(polyline[:, 1].max() + half_px) + 1)
        left = max(0, math.floor(polyline[:, 0].min() - half_px))
        right = min(mask.shape[1], math.ceil(polyline[:, 0].max() + half_px) + 1)
        if bottom <= top or right <= left:
            continue
        region = mask[top:bottom, left:right]
        distance = distance_to_strokes([polyline - [left, top]], region.shape, half_px)
        region[distance <= half_px] = label
