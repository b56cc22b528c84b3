"""A smooth surface through phases that are known up to whole turns: unwrapped and fitted by weighted least squares.

The differences of neighbouring phases, brought to half a turn, are the gradient of the surface wherever the grid is
seen; a thin plate holds it together where it is not (Ghiglia and Romero 1994, with robust weights).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import scipy.sparse as sparse
from jaxtyping import Float64
from scipy.fft import dctn, idctn
from scipy.sparse.linalg import LinearOperator, cg

_ROUNDS: Final = 3
_STEP_SPREAD: Final = 0.5  # radians from node to node that are believed
_PHASE_SPREAD: Final = 0.8  # radians off the surface that are believed
_HELD: Final = 1e-6
_TOLERANCE: Final = 1e-4
_ITERATIONS: Final = 200

_Plane = Float64[np.ndarray, "rows columns"]


def unwrapped(phase: _Plane, weight: _Plane, stiffness: float) -> _Plane:
    """Return the smooth surface, in radians, whose whole turns are those that `phase` lacks.

    Args:
        phase: radians, -pi to pi, at nodes of a grid.
        weight: how much each node counts; 0 where nothing is seen.
        stiffness: weight of the plate's bending beside that of a node.
    """
    shape = phase.shape
    along, down, bending = _operators(shape)
    steps = np.concatenate([wrap(np.diff(phase, axis=1)).ravel(), wrap(np.diff(phase, axis=0)).ravel()])
    known = np.concatenate(
        [np.minimum(weight[:, 1:], weight[:, :-1]).ravel(), np.minimum(weight[1:], weight[:-1]).ravel()]
    )
    gradient = sparse.vstack([along, down]).tocsr()
    believed = np.ones_like(known)
    surface = np.zeros(phase.size)
    for _ in range(_ROUNDS):
        weighted = gradient.T @ sparse.diags(known * believed)
        matrix = weighted @ gradient + stiffness * bending + _HELD * sparse.identity(phase.size)
        scale = max(float((known * believed).mean()), _HELD)
        surface = _solve(matrix, weighted @ steps, surface, _inverse(shape, (0.0, scale), stiffness))
        believed = 1.0 / (1.0 + ((gradient @ surface - steps) / _STEP_SPREAD) ** 2)
    rough = surface.reshape(shape)
    constant = np.angle((weight * np.exp(1j * (phase - rough))).sum())
    return smoothed(rough + constant, phase, weight, stiffness)


def smoothed(start: _Plane, phase: _Plane, weight: _Plane, stiffness: float) -> _Plane:
    """Return the smooth surface nearest to the phases whose whole turns are those of `start`."""
    _, _, bending = _operators(phase.shape)
    surface, believed = start, np.ones_like(weight)
    for _ in range(_ROUNDS):
        whole = surface + wrap(phase - surface)
        weights = (weight * believed).ravel()
        matrix = sparse.diags(weights) + stiffness * bending + _HELD * sparse.identity(phase.size)
        right = weights * whole.ravel() + _HELD * start.ravel()
        scale = max(float(weights.mean()), _HELD)
        inverse = _inverse(phase.shape, (scale, 0.0), stiffness)
        surface = _solve(matrix, right, surface.ravel(), inverse).reshape(phase.shape)
        believed = 1.0 / (1.0 + (wrap(phase - surface) / _PHASE_SPREAD) ** 2)
    return surface


def wrap(angle: _Plane) -> _Plane:
    """Bring angles to -pi to pi."""
    return (angle + np.pi) % (2.0 * np.pi) - np.pi


def _solve(matrix, right, start, preconditioner):
    found, _ = cg(matrix, right, x0=start, rtol=_TOLERANCE, maxiter=_ITERATIONS, M=preconditioner)
    return found


def _inverse(shape: tuple[int, int], low_order: tuple[float, float], stiffness: float) -> LinearOperator:
    """The inverse for weights that are the same everywhere, which a cosine transform makes diagonal."""
    rows, columns = (2.0 - 2.0 * np.cos(np.pi * np.arange(count) / count) for count in shape)
    laplace = rows[:, None] + columns[None, :]
    spectrum = low_order[0] + low_order[1] * laplace + stiffness * laplace**2 + _HELD
    size = shape[0] * shape[1]

    def apply(values):
        return idctn(dctn(values.reshape(shape), norm="ortho") / spectrum, norm="ortho").ravel()

    return LinearOperator((size, size), matvec=apply)


@lru_cache(maxsize=4)
def _operators(shape: tuple[int, int]) -> tuple[sparse.csr_matrix, sparse.csr_matrix, sparse.csr_matrix]:
    """Differences along rows and down columns, and the bending energy of a thin plate."""
    rows, columns = shape
    along = sparse.kron(sparse.identity(rows), _difference(columns)).tocsr()
    down = sparse.kron(_difference(rows), sparse.identity(columns)).tocsr()
    bends = sparse.vstack(
        [
            sparse.kron(sparse.identity(rows), _curvature(columns)),
            sparse.kron(_curvature(rows), sparse.identity(columns)),
            np.sqrt(2.0) * sparse.kron(_difference(rows), _difference(columns)),
        ]
    ).tocsr()
    return along, down, (bends.T @ bends).tocsr()


def _difference(count: int) -> sparse.dia_matrix:
    return sparse.diags([-1.0, 1.0], [0, 1], shape=(count - 1, count))


def _curvature(count: int) -> sparse.dia_matrix:
    return sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(count - 2, count))
