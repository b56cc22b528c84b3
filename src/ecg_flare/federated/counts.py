"""Counts that sites make of their cases, as a vector that is summed like an update.

A case's counts have an L2 norm of at most b, a public bound. A site sends one vector, under the same clipping,
encoding, masks, noise and ledger as an update of the same terms, so that nothing here adds or hides anything.

unit site     The sum over the site's cases. In fixed point C is a power of two that holds `max_cases` of them, so that
              whole counts are encoded exactly. A site with more is told so, as clipping would falsify its counts.
unit patient  A patient's vector is the mean over that patient's cases, and each is clipped to C = b by itself.

Sensitivity under unit patient
------------------------------
Adjacent are two cohorts of which one has one patient more (the adjacency of the job's ledger). Let v be the mean of
that patient's vectors: ||v||_2 <= b, as a mean of vectors in a ball lies in it. The sum of the other patients' integers
is the same in both, since each depends on its own patient alone. So the sums differ by the encoded v, whose norm is at
most ``W * S``, the sensitivity that the noise of the terms is measured against. A patient of several sites
(`shared_patients`) adds one such vector at each: the sum of the weights takes the place of the largest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from ecg_flare.errors import SiteDataError
from ecg_flare.federated.patients import sum_of_drawn
from ecg_flare.federated.terms import JobTerms
from ecg_flare.privacy.gaussian import Stream


@dataclass(frozen=True, eq=False)
class CaseCounts:
    """What was counted in a case: its name, whose it is, and the counts."""

    case: str
    patient: str
    counts: Float64[np.ndarray, " d"]


def exact_bound(norm: float, max_cases: int) -> float:
    """C of a sum under unit site: the smallest power of two that `max_cases` cases of norm up to `norm` cannot pass.

    >>> exact_bound(2.0, 100)
    256.0
    """
    return 2.0 ** math.ceil(math.log2(norm * max_cases))


def counts_of_cases(
    cases: Iterable[CaseCounts], terms: JobTerms, size: int, *, min_patients: int = 1
) -> Float32[np.ndarray, " d"]:
    """A site's counts under unit site: the sum over its cases, which the filters then hide as the job asks.

    In fixed point fractions are rounded so that no running sum of the vector is off by more than a unit of it.

    Raises SiteDataError for cases of fewer patients than `min_patients`, and for more cases than the job's C holds.
    """
    patients: set[str] = set()
    total = np.zeros(size)
    names: list[str] = []
    for one in cases:
        names.append(one.case)
        patients.add(one.patient)
        total += one.counts
    if len(patients) < min_patients:
        raise SiteDataError(
            f"this site has cases of {len(patients)} patient(s), at least {min_patients} are needed: the counts of one "
            "are theirs"
        )
    fixed = terms.fixed_encoding(size)
    if fixed is None:
        return total.astype(np.float32)
    norm = float(np.linalg.norm(total))
    if norm > fixed.clipping_norm:
        raise SiteDataError(
            f"the counts of this site's {len(names)} cases have the norm {norm:.6g}, the job allows "
            f"{fixed.clipping_norm:g}: ask for a job that allows more cases a site (--max-cases)"
        )
    unit = fixed.clipping_norm / fixed.scale
    running = np.floor(np.cumsum(total) / unit + 0.5)
    return (np.diff(running, prepend=0.0) * unit).astype(np.float32)


def counts_of_patients(
    cases: Iterable[CaseCounts], terms: JobTerms, size: int, *, site: str, stream: Stream
) -> Int64[np.ndarray, " d"]:
    """A site's integers under unit patient: the mean of each drawn patient's cases, clipped, encoded and added up.

    A site without any sends zeros, as an error would tell of its patients. `stream` is the secret one of the draw.

    Raises UpdateError for more patients than the terms allow.
    """
    sums: dict[str, Float64[np.ndarray, " d"]] = {}
    counted: dict[str, int] = {}
    for one in cases:
        sums[one.patient] = sums.get(one.patient, 0.0) + one.counts
        counted[one.patient] = counted.get(one.patient, 0) + 1
    if not sums:
        return np.zeros(size, np.int64)
    return sum_of_drawn(
        sorted(sums),
        lambda patient: (sums[patient] / counted[patient]).astype(np.float32),
        terms.weights[site],
        terms.patient_encoding(size),
        rate=terms.sampling_rate,
        stream=stream,
    )
