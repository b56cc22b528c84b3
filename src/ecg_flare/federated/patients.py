"""A site's part of a round under unit patient: who is drawn, and what of them leaves the site.

ULDP-AVG (Kato et al. 2024, arXiv 2308.12210, algorithm 3): each drawn patient's update starts from the global model
and is clipped on its own, and the site sends the sum. With one local step it is ULDP-SGD.

That sum may say nothing else. So each patient's update has to be a function of the model, of public values and of that
patient's pages alone (no generator may run on from one patient to the next), one that cannot be used counts as zero
instead of ending the round, and the work is the same whoever was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Int32, Int64

from ecg_flare.errors import UpdateError
from ecg_flare.federated.clipping import clip
from ecg_flare.federated.projection import RandomProjection
from ecg_flare.federated.update import Vector, check_form
from ecg_flare.privacy.gaussian import Stream
from ecg_flare.privacy.secure_sum.encoding import FixedPoint

OVERRUN = 1e-12
"""Chance that a round draws more patients than it has slots: its time may then tell so."""

IMPLAUSIBLE = 2.0**-40
"""Chance that an honest round draws more than `max_drawn_weight` says, and is refused."""

PatientTraining = Callable[[str], Vector]
"""A patient -> the update that the global model takes from that patient's pages alone."""


def poisson_sample(patients: Sequence[str], rate: float, stream: Stream) -> tuple[str, ...]:
    """Each patient with chance `rate`, independently of all others; `stream` must be secret.

    The chance is never above `rate`, and less than 2^-64 below it.
    """
    threshold = int(Fraction(rate) * 2**64)
    words = stream.words(len(patients))
    return tuple(patient for patient, word in zip(patients, words, strict=True) if int(word) < threshold)


def slot_count(patients_per_site: int, rate: float) -> int:
    """How many patients' work a round does, whoever was drawn: the count that it passes with chance `OVERRUN`.

    It follows from public bounds, so that the time of a round does not tell how many were drawn.

    >>> slot_count(16, 0.5), slot_count(1000, 0.05)
    (16, 105)
    """
    from scipy.stats import binom

    return int(binom.isf(OVERRUN, patients_per_site, rate))


def max_drawn_weight(
    weights: Iterable[float], patients_per_site: int, rate: float, *, chance: float = IMPLAUSIBLE
) -> float:
    """What the drawn patients of sites of these weights weigh together, but for a chance of `chance`.

    Sites of up to `patients_per_site` patients draw at most K of them, the binomial's quantile over all their slots;
    the heaviest K slots then bound any draw. A patient at several sites has a slot, and a draw of its own, at each.

    >>> max_drawn_weight([1.0, 1.0, 1.0], 16, 0.5), max_drawn_weight([1.0, 0.5], 2, 1.0)
    (46.0, 3.0)
    """
    from scipy.stats import binom

    heaviest = sorted(weights, reverse=True)
    drawn = int(binom.isf(chance, len(heaviest) * patients_per_site, rate))
    whole, rest = divmod(drawn, patients_per_site)
    return math.fsum([patients_per_site * weight for weight in heaviest[:whole]]) + rest * (
        heaviest[whole] if rest else 0.0
    )


@dataclass(frozen=True)
class PatientEncoding:
    """How a patient's update becomes the integers of a round.

    dimension: length of an update.
    clipping_norm: C.
    fixed: of the vectors that are summed: updates, projected where they are, with the patient's bit behind them under
        adaptive clipping.
    bit: under adaptive clipping the coordinate that says that an update was within C; its negative says the other.
    """

    dimension: int
    clipping_norm: float
    fixed: FixedPoint
    bit: float | None = None
    projection: RandomProjection | None = None

    def encode(self, update: Vector, weight: float) -> Int32[np.ndarray, " summed"]:
        """One patient's integers: projected, clipped to C, times the site's weight, rounded toward zero.

        An update that is not finite, or no longer is once it was projected, gives zeros: an error would tell about the
        one patient who caused it.

        Raises UpdateError for a vector of another type or length.
        """
        check_form(update, size=self.dimension)
        projected = update if self.projection is None else self.projection.project(update)
        if not np.isfinite(projected).all():  # projecting keeps NaN and infinity, so that this sees the update's own
            return np.zeros(self.fixed.dimension, dtype=np.int32)
        clipped = clip(projected, self.clipping_norm)
        if self.bit is None:
            return self.fixed.encode(clipped.vector, weight)
        bit = self.bit if clipped.norm_before <= self.clipping_norm else -self.bit
        return self.fixed.encode(np.append(clipped.vector, np.float32(bit)), weight)


def sum_of_drawn(
    patients: Sequence[str],
    train: PatientTraining,
    weight: float,
    encoding: PatientEncoding,
    *,
    rate: float,
    stream: Stream,
) -> Int64[np.ndarray, " summed"]:
    """Draw patients, train on each alone, and add up their integers; the work does not tell how many were drawn.

    Raises UpdateError for a site with more patients than the public bound that the scale was derived from: a site
    finds that out by itself before its first round, as it says something about its patients.
    """
    most = encoding.fixed.vectors_per_site
    if not 1 <= len(patients) <= most:
        raise UpdateError(
            f"this site has {len(patients)} patients, the terms allow 1 to {most} "
            "(patients_per_site): agree on a larger bound, or leave patients out before the first round"
        )
    drawn = poisson_sample(patients, rate, stream)
    slots = max(len(drawn), slot_count(most, rate))
    total = np.zeros(encoding.fixed.dimension, dtype=np.int64)
    for slot in range(slots):
        patient = drawn[slot] if slot < len(drawn) else patients[slot % len(patients)]
        encoded = encoding.encode(train(patient), weight)
        total += encoded * (slot < len(drawn))
    return total
