"""A homography fitted to the local frequencies of two crossing families of lines.

With p = (x, y) from the picture's centre, the families u = const and v = const of a plane grid have

    u = (a . p) / (1 + g . p),   v = (b . p) / (1 + g . p),

    grad u = a / (1 + g . p) - g (a . p) / (1 + g . p)^2,

and likewise for v: six numbers, fitted robustly to the gradients measured all over the page. Where u and v are zero
does not matter to gradients, so it is the centre.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, eq=False)
class Gradients:
    """Local frequencies of one family of lines, in cycles a pixel, with where and how surely they were measured."""

    at: Float64[np.ndarray, "n 2"]
    value: Float64[np.ndarray, "n 2"]
    weight: Float64[np.ndarray, " n"]


def fit_homography(u: Gradients, v: Gradients, centre: Float64[np.ndarray, " 2"]) -> Float64[np.ndarray, "3 3"]:
    """Homography whose local frequencies are nearest to the measured ones (iteratively reweighted least squares)."""
    size = max(float(np.abs(u.at - centre).max()), float(np.abs(v.at - centre).max()), 1.0)
    start_u, start_v = np.median(u.value, axis=0), np.median(v.value, axis=0)
    unit = float(np.hypot(*start_u))

    def residuals(params: Float64[np.ndarray, "6"]) -> Float64[np.ndarray, " m"]:
        parts = []
        for family, direction in ((u, params[0:2]), (v, params[2:4])):
            p = (family.at - centre) / size
            bottom = 1.0 + p @ params[4:6]
            model = direction / bottom[:, None] - params[4:6] * (p @ direction / bottom**2)[:, None]
            parts.append((model - family.value / unit).ravel())
        return np.concatenate(parts)

    weights = np.repeat(np.concatenate([u.weight, v.weight]), 2)
    params = np.concatenate([start_u / unit, start_v / unit, np.zeros(2)])
    for _ in range(12):
        at = residuals(params)
        steps = 1e-6 * np.eye(6)
        jacobian = np.stack([(residuals(params + step) - at) / 1e-6 for step in steps], axis=1)
        spread = max(1.4826 * float(np.median(np.abs(at))), 1e-7)
        robust = weights / (1.0 + (at / (2.0 * spread)) ** 2)
        normal = jacobian.T @ (robust[:, None] * jacobian)
        change = np.linalg.solve(normal + 1e-9 * np.trace(normal) * np.eye(6), -jacobian.T @ (robust * at))
        params = params + change
        if np.abs(change).max() < 1e-9:
            break
    shift = np.array([[1.0, 0.0, -centre[0]], [0.0, 1.0, -centre[1]], [0.0, 0.0, 1.0]])
    to_grid = np.array([[*(params[0:2] * unit), 0.0], [*(params[2:4] * unit), 0.0], [*(params[4:6] / size), 1.0]])
    fitted: Float64[np.ndarray, "3 3"] = to_grid @ shift
    return fitted
