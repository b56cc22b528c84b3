"""Pictures of black and white alone, as fax machines send them and scanners for text make them.

A pixel of such a picture says nothing of colour or darkness: a line of the grid is as black as a trace, or not there,
and a grey is a pattern of dots.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8


def has_two_tones(image: UInt8[np.ndarray, "h w 3"]) -> bool:
    """Whether no channel of a picture has more than two values."""
    return all(np.count_nonzero(cv2.calcHist([image], [channel], None, [256], [0, 256])) <= 2 for channel in range(3))
