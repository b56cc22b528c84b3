"""Telling members from others by the model that was released (Yeom et al. 2018, arXiv 1709.01604).

The attacker's advantage is TPR - FPR. Adding up ``FPR + e^eps * FNR >= 1 - delta`` and its mirror image (Kairouz, Oh
& Viswanath 2015, arXiv 1311.0776, theorem 2.1) bounds it:

    advantage <= (e^eps - 1 + 2 * delta) / (e^eps + 1)

(Humphries et al. 2023, "Investigating Membership Inference Attacks under Data Dependencies", arXiv 2010.12112, where
the same bound is shown for members drawn independently, as here.)
"""

from __future__ import annotations

import math
from time import perf_counter

import numpy as np
from jaxtyping import Float32

from ecg_flare.errors import ConfigError
from ecg_flare.privacy.audit.guessing import Errors, Scores, held_out_worth
from ecg_flare.privacy.audit.path import (
    CONFIDENCE,
    OVERLONG,
    AuditResult,
    Model,
    RoundPath,
    Rows,
    RowsOf,
    claimed_epsilon,
)
from ecg_flare.privacy.gaussian import Stream

Features = Float32[np.ndarray, "patients d"]
Labels = Float32[np.ndarray, " patients"]

_DELTAS = (1e-5, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def membership_inference(
    path: RoundPath,
    *,
    candidates: int,
    rounds: int,
    rng: np.random.Generator,
    stream: Stream | None = None,
) -> AuditResult:
    """Advantage of an attacker on a logistic regression trained by `rounds` rounds, against epsilon's bound.

    Half of the candidates are members: patients of one record, random features of unit length and a random label, so
    that whatever the model knows of them it learnt by heart. The attacker sees the last model and calls those members
    that it fits well. The bound is the smallest over a list of deltas, for each of which the claim gives an epsilon.
    Unit patient only.

    Raises ConfigError under unit site.
    """
    started = perf_counter()
    outside, inside = membership_scores(path, candidates=candidates, rounds=rounds, rng=rng, stream=stream)
    bounds = {delta: largest_advantage(claimed_epsilon(path, delta, rounds), delta) for delta in _DELTAS}
    delta = min(bounds, key=bounds.__getitem__)
    return AuditResult(
        "membership inference",
        held_out_worth(outside, inside, _advantage, CONFIDENCE),
        bounds[delta],
        perf_counter() - started,
        f"{candidates:,} candidates, rounds: {rounds}; advantage, a lower limit at {CONFIDENCE:.1%} confidence, its "
        f"bound at delta {delta:g}; AUC {area_under_curve(outside, inside):.3f}, advantage of the best threshold in "
        f"hindsight {best_advantage(outside, inside):.3f}",
    )


def membership_scores(
    path: RoundPath, *, candidates: int, rounds: int, rng: np.random.Generator, stream: Stream | None = None
) -> tuple[Scores, Scores]:
    """How well the last model fits those that it was not trained on, and its members: ``y * <x, w>``.

    Raises ConfigError under unit site.
    """
    if path.unit != "patient":
        raise ConfigError(f"unit is {path.unit!r}, but the toy model is trained on patients: audit unit patient")
    features, labels = _records(rng, candidates, path.fixed.dimension)
    member = rng.permutation(candidates) < candidates // 2
    model = _train(path, features[member], labels[member], rounds, stream)
    margins = (labels * (features @ model)).astype(np.float64)
    return margins[~member], margins[member]


def largest_advantage(epsilon: float, delta: float) -> float:
    """The advantage that (epsilon, delta)-differential privacy leaves to any attacker.

    >>> largest_advantage(0.0, 0.0)
    0.0
    """
    return math.tanh(epsilon / 2) + 2 * delta / (1 + math.exp(min(epsilon, 700)))


def area_under_curve(outside: Scores, inside: Scores) -> float:
    """Chance that a member scores above another, ties counted half."""
    below = np.searchsorted(np.sort(outside), inside, side="left") + np.searchsorted(
        np.sort(outside), inside, side="right"
    )
    return float(below.mean()) / (2 * outside.size)


def best_advantage(outside: Scores, inside: Scores) -> float:
    """Largest TPR - FPR over all thresholds, on these very scores."""
    thresholds = np.concatenate([outside, inside])
    called = [np.searchsorted(np.sort(scores), thresholds, side="right") / scores.size for scores in (outside, inside)]
    return max(0.0, float((called[0] - called[1]).max()))


def _advantage(errors: Errors) -> float:
    return max(0.0, 1 - errors.false_positive - errors.false_negative)


def _records(rng: np.random.Generator, patients: int, dimension: int) -> tuple[Features, Labels]:
    features = rng.standard_normal((patients, dimension)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features, rng.choice([-1, 1], patients).astype(np.float32)


def _train(path: RoundPath, features: Features, labels: Labels, rounds: int, stream: Stream | None) -> Model:
    fixed, sites = path.fixed, path.sites
    shares = {site: slice(start, None, len(sites)) for start, site in enumerate(sites)}
    rows = {site: _steps(features[share], labels[share], fixed.clipping_norm) for site, share in shares.items()}
    model: Model = np.zeros(fixed.dimension, np.float32)
    for _ in range(rounds):
        model = path.release(model, rows, stream=stream).model
    return model


def _steps(features: Features, labels: Labels, clipping_norm: float) -> RowsOf:
    """Each patient's step of gradient descent on the logistic loss, long enough to be clipped while it errs."""

    def rows(model: Model) -> Rows:
        errors = labels / (1 + np.exp(labels * (features @ model)))
        steps: Rows = (OVERLONG * clipping_norm * errors[:, None] * features).astype(np.float32)
        return steps

    return rows
