"""Hearts that beat at known distances on a raster of paper."""

import numpy as np
from jaxtyping import Float64

STEP_MM = 0.1


def beating(rate: float, speed_mm_per_s: float, qrs_s: float = 0.09) -> Float64[np.ndarray, "rows n"]:
    """Two rows, 240 mm long, of triangular QRS complexes at `rate` a minute, which fall faster than they rise."""
    seconds = np.arange(0, 240, STEP_MM) / speed_mm_per_s
    since = (seconds + 0.3) % (60 / rate) - 0.3
    beat = 10 * np.interp(since, [-0.6 * qrs_s, 0, 0.4 * qrs_s], [0, 1, 0])
    return np.stack([beat, -0.5 * beat])
