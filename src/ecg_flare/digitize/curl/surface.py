"""A smooth surface through phases that are known up to whole turns: unwrapped and fitted by weighted least squares.

The differences of neighbouring phases, brought to half a turn, are the gradient of the surface wherever the grid is
seen; a thin plate holds it together where it is not (Ghiglia and Romero 1994, with robust weights). The equations are
solved by conjugate gradients: with the same weight everywhere, a cosine transform makes them diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Float64

_ROUNDS: Final = 3
_STEP_SPREAD: Final = 0.5  # radians from node to node that are believed
_PHASE_SPREAD: Final = 0.8  # radians off the surface that are believed
_HELD: Final = 1e-6
_TOLERANCE: Final = 3e-4
_ITERATIONS: Final = 50  # what is left then is where no grid is seen

_Plane = Float64[np.ndarray, "rows columns"]


def unwrapped(phase: _Plane, weight: _Plane, stiffness: float) -> _Plane:
    """Return the smooth surface, in radians, whose whole turns are those that `phase` lacks.

    Args:
        phase: radians, -pi to pi, at nodes of a grid, at least 3 x 3.
        weight: how much each node counts; 0 where nothing is seen.
        stiffness: weight of the plate's bending beside that of a node.
    """
    steps = _Steps(wrap(np.diff(phase, axis=1)), wrap(np.diff(phase, axis=0)))
    known = _Steps(np.minimum(weight[:, 1:], weight[:, :-1]), np.minimum(weight[1:], weight[:-1]))
    trusted, surface = known, np.zeros_like(phase)
    for _ in range(_ROUNDS):
        system = _System(np.zeros_like(phase), trusted, stiffness)
        surface = system.solved((trusted * steps).divergence(), surface)
        trusted = known * (_Steps.of(surface) - steps).credence(_STEP_SPREAD)
    constant = np.angle((weight * np.exp(1j * (phase - surface))).sum())
    return smoothed(surface + constant, phase, weight, stiffness)


def smoothed(start: _Plane, phase: _Plane, weight: _Plane, stiffness: float) -> _Plane:
    """Return the smooth surface nearest to the phases whose whole turns are those of `start`."""
    surface, trusted = start, weight
    for _ in range(_ROUNDS):
        whole = surface + wrap(phase - surface)
        system = _System(trusted, None, stiffness)
        surface = system.solved(trusted * whole + _HELD * start, surface)
        trusted = weight / (1.0 + (wrap(phase - surface) / _PHASE_SPREAD) ** 2)
    return surface


def wrap(angle: _Plane) -> _Plane:
    """Bring angles to -pi to pi."""
    wrapped: _Plane = (angle + np.pi) % (2.0 * np.pi) - np.pi
    return wrapped


@dataclass(frozen=True, eq=False)
class _Steps:
    """Differences between neighbouring nodes, to the right and down, or weights of those."""

    right: Float64[np.ndarray, "rows columns_1"]
    down: Float64[np.ndarray, "rows_1 columns"]

    @classmethod
    def of(cls, surface: _Plane) -> _Steps:
        return cls(np.diff(surface, axis=1), np.diff(surface, axis=0))

    def __mul__(self, other: _Steps) -> _Steps:
        return _Steps(self.right * other.right, self.down * other.down)

    def __sub__(self, other: _Steps) -> _Steps:
        return _Steps(self.right - other.right, self.down - other.down)

    def credence(self, spread: float) -> _Steps:
        """How far steps that are off by this are believed: a Cauchy weight."""
        return _Steps(1.0 / (1.0 + (self.right / spread) ** 2), 1.0 / (1.0 + (self.down / spread) ** 2))

    def divergence(self) -> _Plane:
        """The transpose of `of`."""
        return -np.diff(self.right, axis=1, prepend=0.0, append=0.0) - np.diff(
            self.down, axis=0, prepend=0.0, append=0.0
        )

    def mean(self) -> float:
        return float((self.right.sum() + self.down.sum()) / (self.right.size + self.down.size))


@dataclass(frozen=True, eq=False)
class _System:
    """The normal equations of a plate that is held by weighted nodes and weighted steps."""

    nodes: _Plane
    steps: _Steps | None
    stiffness: float

    def applied(self, surface: _Plane) -> _Plane:
        forces: _Plane = self.nodes * surface + _HELD * surface + self.stiffness * _bending(surface)
        if self.steps is not None:
            forces += (self.steps * _Steps.of(surface)).divergence()
        return forces

    def solved(self, forces: _Plane, start: _Plane) -> _Plane:
        """Return the surface that the forces hold, from one that is near to it."""
        from scipy.fft import dctn, idctn
        from scipy.sparse.linalg import LinearOperator, cg

        shape = forces.shape
        laplace = _laplace_spectrum(shape)
        held = float(self.nodes.mean()) + (0.0 if self.steps is None else self.steps.mean() * laplace)
        spectrum = held + self.stiffness * laplace**2 + _HELD

        def equations(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
            return self.applied(values.reshape(shape)).ravel()

        def inverse(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
            diagonal: Float64[np.ndarray, " n"] = idctn(dctn(values.reshape(shape)) / spectrum).ravel()
            return diagonal

        square = (forces.size, forces.size)
        found, _ = cg(
            LinearOperator(square, matvec=equations, dtype=np.float64),
            forces.ravel(),
            x0=start.ravel(),
            rtol=_TOLERANCE,
            maxiter=_ITERATIONS,
            M=LinearOperator(square, matvec=inverse, dtype=np.float64),
        )
        surface: _Plane = found.reshape(shape)
        return surface


def _bending(surface: _Plane) -> _Plane:
    """The gradient of a thin plate's bending energy, its edges free."""
    along, down = np.diff(surface, n=2, axis=1), np.diff(surface, n=2, axis=0)
    twist = np.diff(np.diff(surface, axis=1), axis=0)
    forces = np.zeros_like(surface)
    forces[:, :-2] += along
    forces[:, 1:-1] -= 2.0 * along
    forces[:, 2:] += along
    forces[:-2] += down
    forces[1:-1] -= 2.0 * down
    forces[2:] += down
    forces[:-1, :-1] += 2.0 * twist
    forces[:-1, 1:] -= 2.0 * twist
    forces[1:, :-1] -= 2.0 * twist
    forces[1:, 1:] += 2.0 * twist
    return forces


@lru_cache(maxsize=4)
def _laplace_spectrum(shape: tuple[int, int]) -> _Plane:
    rows, columns = (2.0 - 2.0 * np.cos(np.pi * np.arange(count) / count) for count in shape)
    spectrum: _Plane = rows[:, None] + columns[None, :]
    return spectrum
