"""Unbroken stretches: where samples, points or lines of pixels follow one another without a gap."""

import numpy as np
from jaxtyping import Bool


def unbroken(known: Bool[np.ndarray, " n"]) -> list[tuple[int, int]]:
    """Return the first index of each stretch of True, and the one after its last.

    >>> unbroken(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    return [(int(first), int(after)) for first, after in edges.reshape(-1, 2)]
