"""Guesses counted: what an attacker's scores say about presence, with the luck taken out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

Scores = Float64[np.ndarray, " trials"]

_CANDIDATES = 64


@dataclass(frozen=True)
class Errors:
    """Upper confidence limits of an attacker's error rates: absent called present, and present called absent."""

    false_positive: float
    false_negative: float


def held_out_worth(absent: Scores, present: Scores, worth: Callable[[Errors], float], confidence: float) -> float:
    """Worth of guessing "present" above a threshold, a lower limit at `confidence`.

    The threshold is the best one on every fourth trial, the worth is that on the others: a threshold chosen on the
    trials that it is judged by would flatter the attacker.
    """
    choosing = np.arange(absent.size) % 4 == 0, np.arange(present.size) % 4 == 0
    seen = absent[choosing[0]], present[choosing[1]]
    candidates = np.quantile(np.concatenate(seen), np.linspace(0, 1, _CANDIDATES))
    best = max(candidates, key=lambda threshold: worth(count_errors(*seen, threshold, confidence)))
    return worth(count_errors(absent[~choosing[0]], present[~choosing[1]], float(best), confidence))


def count_errors(absent: Scores, present: Scores, threshold: float, confidence: float) -> Errors:
    """Both error rates of guessing "present" above the threshold; together they hold with `confidence`."""
    each = (1 + confidence) / 2
    return Errors(
        clopper_pearson_upper(int(np.count_nonzero(absent > threshold)), absent.size, each),
        clopper_pearson_upper(int(np.count_nonzero(present <= threshold)), present.size, each),
    )


def clopper_pearson_upper(successes: int, trials: int, confidence: float) -> float:
    """Upper limit of a binomial proportion (Clopper & Pearson 1934): the p at which so few successes are that rare."""
    if successes == trials:
        return 1.0
    from scipy.stats import beta

    return float(beta.ppf(confidence, successes + 1, trials - successes))
