"""Brute force: take each unit out, and measure by how much the released integers change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from time import perf_counter

import numpy as np
from jaxtyping import Float64, Int64, Real

from ecg_flare.privacy.audit.path import AuditResult, Released, RoundPath, Rows, taking_part
from ecg_flare.privacy.gaussian import ChaChaStream
from ecg_flare.privacy.secure_sum.chunks import squared_norm

LENGTHS = (0.0, 1e-6, 0.5, 1.0, 1.0000001, 2.0, 10.0, 1e6)
"""Lengths of the updates that are tried, in clipping norms."""


def brute_force_sensitivity(
    path: RoundPath, rows: Mapping[str, Rows], units: Mapping[str, Sequence[str]], *, rng: np.random.Generator
) -> AuditResult:
    """Largest L2 change of the released sum when one unit's rows are taken out, against the stated sensitivity.

    Both rounds draw the same noise, which cancels exactly. The mean, times the public denominator, is held to the
    same bound: a denominator that follows the answers would show there.

    rows: site -> its updates; units: site -> to whom each row belongs. A unit may have rows at several sites, or
    several at one: the path has to bound them together.
    """
    started = perf_counter()
    key = rng.bytes(32)
    names = sorted({unit for held in units.values() for unit in held})
    whole = _integers(path, _release(path, rows, key))
    worst = 0.0
    for name in names:
        kept = {site: held[[unit != name for unit in units[site]]] for site, held in rows.items()}
        less = _integers(path, _release(path, kept, key))
        worst = max(worst, *(_distance(one, other) for one, other in zip(whole, less, strict=True)))
    return AuditResult(
        "sensitivity",
        worst,
        path.fixed.sensitivity,
        perf_counter() - started,
        f"each of {len(names)} units taken out once; integer units, {worst / path.fixed.sensitivity:.6f} of the "
        "stated sensitivity",
    )


def trying_updates(rng: np.random.Generator, dimension: int, *, clipping_norm: float) -> Rows:
    """Updates at the edges of clipping and rounding: every length, as a random direction, a spike and all alike."""
    directions = np.vstack([rng.standard_normal(dimension), np.eye(1, dimension)[0], np.ones(dimension)])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rows: Rows = np.vstack([length * clipping_norm * directions for length in LENGTHS]).astype(np.float32)
    return rows


def _release(path: RoundPath, rows: Mapping[str, Rows], key: bytes) -> Released:
    model = np.zeros(path.fixed.dimension, np.float32)
    return path.release(model, taking_part(path, rows), stream=ChaChaStream(key))


def _integers(path: RoundPath, released: Released) -> tuple[Int64[np.ndarray, " d"], Float64[np.ndarray, " d"]]:
    """The sum as released, and as whoever sees the mean and the public denominator finds it.

    That one has whole units, but for narrow words, whose mean is turned back.
    """
    found = released.mean_update * (path.denominator * path.fixed.scale / path.fixed.clipping_norm)
    return released.summed, found if path.fixed.limit else np.rint(found)


def _distance(one: Real[np.ndarray, " d"], other: Real[np.ndarray, " d"]) -> float:
    return math.sqrt(squared_norm((one - other).astype(np.float64)))
