"""The Rényi divergence of one Gaussian release over a Poisson sample of the units.

Mironov, Talwar & Zhang 2019 (arXiv 1908.10530, section 3): at order alpha, for noise of standard deviation sigma on a
sum that one unit, drawn with chance q, moves by at most 1,

    D = log(A) / (alpha - 1),    A = E[((1 - q) + q * e^((2x - 1) / (2 sigma^2)))^alpha],    x ~ N(0, sigma^2)

A is computed by its definition, with the trapezoid rule. The integrand f is analytic where the base is not 0, which is
for imaginary parts of x below pi * sigma^2, and there |f(x + id)| <= f(x) * e^(d^2 / (2 sigma^2)). So the rule with
step h is off by at most 2 e^(d^2 / (2 sigma^2) - 2 pi d / h) in proportion to A, for each such d (Trefethen & Weideman
2014, theorem 5.1): with h = min(sigma, sigma^2) / 3 that is below 1e-23. What is left out beyond ten standard
deviations below 0 and above alpha is below 1e-22 of A. All terms are positive, so nothing cancels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

_STEPS_PER_SIGMA = 3
_REACH_SIGMAS = 10
_MAX_NODES = 1 << 15


def gaussian_divergence(
    noise_multiplier: float, sampling_rate: float, orders: Sequence[float]
) -> Float64[np.ndarray, " orders"]:
    """D at each order; ``alpha / (2 sigma^2)`` in closed form where every unit takes part.

    >>> gaussian_divergence(2.0, 1.0, [4.0]).tolist()
    [0.5]
    """
    if sampling_rate == 0:
        return np.zeros(len(orders))
    if sampling_rate == 1:
        return np.array(orders) / (2 * noise_multiplier**2)
    return np.array([max(0.0, _log_a(noise_multiplier, sampling_rate, order) / (order - 1)) for order in orders])


def _log_a(sigma: float, q: float, order: float) -> float:
    step = min(sigma, sigma**2) / _STEPS_PER_SIGMA
    reach = _REACH_SIGMAS * sigma
    if (order + 2 * reach) / step > _MAX_NODES:
        # Little noise for so high an order: A <= (1 - q) + q * E[ratio^alpha], since powers are convex.
        return float(np.logaddexp(math.log1p(-q), math.log(q) + order * (order - 1) / (2 * sigma**2)))
    x = np.arange(-reach, order + reach + step, step)
    base = np.logaddexp(math.log1p(-q), math.log(q) + (2 * x - 1) / (2 * sigma**2))
    terms = order * base - x**2 / (2 * sigma**2)
    largest = terms.max()
    density = step / (sigma * math.sqrt(2 * math.pi))
    return float(largest + math.log(np.exp(terms - largest).sum() * density))
