"""A case as histograms over public bins, one after the other in a vector that can be summed over cases and sites.

Each histogram of a case adds up to one (that of intensities to nothing where the case has no foreground). So its L2
norm is at most one, and that of the vector of B histograms at most sqrt(B): ||h||_2 <= ||h||_1 = 1. A mean over cases
of one patient is no longer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float64

from ecg_flare.nnunet.fingerprint import CaseFingerprint
from ecg_flare.task.agreement.bins import AXES, Bins

Histograms = Float64[np.ndarray, " bins"]
"""All histograms, one after the other."""


def histograms_norm(count: int) -> float:
    """The largest L2 norm of so many histograms of a case, or of a patient: the root of their number."""
    return math.sqrt(count)


def histograms_of(case: CaseFingerprint, blocks: Mapping[str, Bins]) -> Histograms:
    """The histograms of one case, each of which adds up to one, or to nothing where there is nothing to count."""
    parts = []
    for name, bins in blocks.items():
        values = _values(case, name)
        counts = np.bincount(bins.place(values), minlength=bins.size) if values.size else np.zeros(bins.size)
        parts.append(counts / max(values.size, 1))
    return np.concatenate(parts)


def split(vector: Histograms, blocks: Mapping[str, Bins]) -> dict[str, Histograms]:
    """Name -> histogram, of the vector of all."""
    ends = np.cumsum([bins.size for bins in blocks.values()])[:-1]
    return dict(zip(blocks, np.split(vector, ends), strict=True))


def outside(case: CaseFingerprint, blocks: Mapping[str, Bins]) -> Iterator[str]:
    """A sentence for each histogram in which values of the case lie beyond the bins, and are counted at their end."""
    for name, bins in blocks.items():
        values = _values(case, name)
        ends = (float(values.min()), float(values.max())) if values.size else ()
        if beyond := [value for value in ends if not bins.holds(value)]:
            least, largest = bins.value(0), bins.value(bins.size - 1)
            yield f"{name} {beyond[0]:g} lies beyond the public bins, and counts as {least:g} or {largest:g}"


def _values(case: CaseFingerprint, name: str) -> Float64[np.ndarray, " n"]:
    what, _, index = name.partition(".")
    if what == "intensity":
        return case.foreground[int(index)].astype(np.float64)
    if what == "relative_size":
        return np.array([case.relative_size])
    axis = int(index)
    assert axis < AXES
    of_axis = {"spacing": case.spacing[axis], "shape": case.shape[axis]}
    return np.array([of_axis.get(what, case.spacing[axis] * case.shape[axis])], np.float64)
