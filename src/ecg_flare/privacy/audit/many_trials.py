"""One canary, present or absent, guessed in many trials.

Under (eps, delta)-differential privacy every guesser has ``TPR <= e^eps * FPR + delta`` (Kairouz, Oh & Viswanath
2015, arXiv 1311.0776, theorem 2.1), so that error rates seen in trials bound epsilon from below:
``eps_hat = ln((1 - delta - FNR) / FPR)`` with upper confidence limits for both.
"""

from __future__ import annotations

import math
from time import perf_counter

import numpy as np

from ecg_flare.privacy.audit.guessing import Errors, held_out_worth
from ecg_flare.privacy.audit.path import (
    CONFIDENCE,
    OVERLONG,
    AuditResult,
    RoundPath,
    Rows,
    claimed_epsilon,
    taking_part,
    unit_vectors,
)
from ecg_flare.privacy.gaussian import Stream

AUDIT_DELTA = 0.05
"""Where on the claimed curve of (eps, delta) a few thousand trials can see something: far out, events are too rare."""


def many_trial_canary(
    path: RoundPath,
    *,
    trials: int,
    rng: np.random.Generator,
    delta: float = AUDIT_DELTA,
    rounds: int = 1,
    stream: Stream | None = None,
) -> AuditResult:
    """Lower limit of epsilon at `delta` that guessing shows, against the claimed one.

    Each trial releases `rounds` rounds with and as many without the canary, an overlong vector of one unit of the
    first site; the other sites send zeros, the worst case for hiding.
    """
    started = perf_counter()
    canary = unit_vectors(rng, 1, path.fixed.dimension, length=OVERLONG * path.fixed.clipping_norm)

    def scores(held: Rows) -> np.ndarray:
        return np.array([_score(path, held, canary, rounds, stream) for _ in range(trials)])

    absent, present = scores(canary[:0]), scores(canary)

    def epsilon(errors: Errors) -> float:
        caught = 1 - delta - errors.false_negative
        return max(0.0, math.log(caught / errors.false_positive)) if caught > 0 else 0.0

    return AuditResult(
        "many-trial canary",
        held_out_worth(absent, present, epsilon, CONFIDENCE),
        claimed_epsilon(path, delta, rounds),
        perf_counter() - started,
        f"{trials:,} trials with and {trials:,} without the canary, a quarter of them to choose the threshold; "
        f"epsilon at delta {delta:g}, a lower limit at {CONFIDENCE:.1%} confidence (Clopper-Pearson)",
    )


def _score(path: RoundPath, held: Rows, canary: Rows, rounds: int, stream: Stream | None) -> float:
    """Inner product of the canary with all that was released."""
    first, *others = path.sites
    model = np.zeros(canary.shape[1], np.float32)
    rows = taking_part(path, {first: held} | {site: np.zeros_like(canary) for site in others})
    sums = (path.release(model, rows, stream=stream).summed for _ in range(rounds))
    return float(sum(path.fixed.in_order(summed) @ canary[0] for summed in sums))
