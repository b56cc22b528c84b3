"""The shape of one heartbeat: a dipole in the chest, as a sum of Gaussian waves.

Frank's axes: x points to the left arm, y to the feet, z to the back. Each wave is a vector in mV that rises and falls
as a Gaussian of time around the R wave. With the angle theta of the cardiac cycle in place of time this is the dipole
model of Sameni et al. 2007 (eq. 4), whose one-lead case is McSharry et al. 2003; here the cycle is unrolled beat by
beat, so that irregular rhythms and beats of different origin need nothing special.

The vectors are chosen so that the leads look as textbooks describe them (Surawicz et al. 2009 for the conduction
blocks, Thygesen et al. 2018 for ST elevation, Sokolow and Lyon 1949 for hypertrophy).

- McSharry et al. 2003, "A dynamical model for generating synthetic electrocardiogram signals", IEEE TBME 50(3).
- Sameni et al. 2007, "Multichannel ECG and noise modeling", EURASIP J. Adv. Signal Process. 2007:043407.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

import numpy as np
from jaxtyping import Float64

DipoleVector = tuple[float, float, float]


class Part(Enum):
    """Which part of the beat a wave belongs to; ST and T stretch with the time since the last beat, P and QRS don't."""

    P = "P"
    QRS = "QRS"
    ST = "ST"
    T = "T"


@dataclass(frozen=True)
class Wave:
    """One Gaussian: its part, centre and standard deviation in seconds after R (at 60 beats/min), and dipole in mV."""

    part: Part
    centre_s: float
    width_s: float
    dipole_mv: DipoleVector


@dataclass(frozen=True)
class Beat:
    """The waves of one beat, in order of time."""

    waves: tuple[Wave, ...]

    def transformed(self, change: Callable[[Wave], Wave]) -> "Beat":
        """Return the beat with every wave changed."""
        return Beat(tuple(change(wave) for wave in self.waves))

    def without(self, part: Part) -> "Beat":
        """Return the beat without one of its parts, as atrial fibrillation has no P."""
        return Beat(tuple(wave for wave in self.waves if wave.part is not part))

    def scaled(self, factor: float, parts: Iterable[Part] = tuple(Part)) -> "Beat":
        """Return the beat with the dipoles of some parts multiplied by `factor`."""
        chosen = frozenset(parts)
        return self.transformed(
            lambda wave: _with_dipole(wave, factor * _dipole(wave)) if wave.part in chosen else wave
        )

    def rotated(self, frontal_deg: float = 0.0, horizontal_deg: float = 0.0) -> "Beat":
        """Return the heart turned in the chest: from the left arm to the feet, then from the left arm to the back."""
        turn = _rotation(horizontal_deg, 0, 2) @ _rotation(frontal_deg, 0, 1)
        return self.transformed(lambda wave: _with_dipole(wave, turn @ _dipole(wave)))

    def delayed_conduction(self, delay_s: float) -> "Beat":
        """Return the beat with P earlier by `delay_s`: a longer PR interval."""
        return self.transformed(
            lambda wave: replace(wave, centre_s=wave.centre_s - delay_s) if wave.part is Part.P else wave
        )

    def qrs_area(self) -> Float64[np.ndarray, " xyz"]:
        """Return the time integral of the QRS dipole in mV s, without the late forces of a right bundle branch block.

        Late means centred 45 ms after R or more: the axis of a blocked heart is read from its first forces.
        """
        early = [wave for wave in self.waves if wave.part is Part.QRS and wave.centre_s < _LATE_FORCES_S]
        areas = [_dipole(wave) * wave.width_s for wave in early]
        total: Float64[np.ndarray, " xyz"] = np.sqrt(2 * np.pi) * np.sum(areas, axis=0)
        return total


class Territory(Enum):
    """The wall of the heart that an infarction injures, and the direction of its ST vector in mV."""

    ANTERIOR = (0.07, 0.00, -0.20)
    INFERIOR = (-0.04, 0.21, 0.04)
    LATERAL = (0.20, -0.07, 0.05)


_LATE_FORCES_S: Final = 0.045

_P: Final = (
    Wave(Part.P, -0.166, 0.016, (0.035, 0.080, -0.045)),
    Wave(Part.P, -0.136, 0.017, (0.055, 0.065, 0.045)),
)
_SEPTAL: Final = Wave(Part.QRS, -0.029, 0.0080, (-0.12, -0.02, -0.31))
_MAIN: Final = Wave(Part.QRS, -0.003, 0.0110, (1.02, 0.80, 0.26))
_BASAL: Final = Wave(Part.QRS, 0.015, 0.0105, (-0.02, -0.10, 0.62))


def _t_wave(dipole_mv: DipoleVector, centre_s: float = 0.270, width_s: float = 0.034) -> tuple[Wave, ...]:
    # T rises more slowly than it falls: a broad shoulder ahead of the peak.
    shoulder = (0.45 * dipole_mv[0], 0.45 * dipole_mv[1], 0.45 * dipole_mv[2])
    return (
        Wave(Part.T, centre_s - 1.7 * width_s, 1.35 * width_s, shoulder),
        Wave(Part.T, centre_s, width_s, (0.92 * dipole_mv[0], 0.92 * dipole_mv[1], 0.92 * dipole_mv[2])),
    )


def _st_segment(dipole_mv: DipoleVector, first_s: float = 0.050, last_s: float = 0.200) -> tuple[Wave, ...]:
    # Gaussians 1.2 standard deviations apart add up to a plateau, of 2.09 times their height.
    width_s = 0.027
    centres = np.arange(first_s, last_s, 1.2 * width_s)
    height = (dipole_mv[0] / 2.09, dipole_mv[1] / 2.09, dipole_mv[2] / 2.09)
    return tuple(Wave(Part.ST, float(centre), width_s, height) for centre in centres)


def normal_beat() -> Beat:
    """A healthy beat: septal, free-wall and basal activation in 90 ms, and T in the direction of the QRS."""
    return Beat((*_P, _SEPTAL, _MAIN, _BASAL, *_t_wave((0.27, 0.20, -0.13))))


def left_bundle_branch_block() -> Beat:
    """QRS of about 150 ms to the left and back: QS or rS in V1, a broad notched R without q in I, V5 and V6."""
    qrs = (
        Wave(Part.QRS, -0.046, 0.0120, (0.26, 0.10, -0.10)),
        Wave(Part.QRS, -0.012, 0.0160, (0.74, 0.34, 0.52)),
        Wave(Part.QRS, 0.029, 0.0180, (0.92, 0.22, 0.74)),
    )
    repolarization = (*_st_segment((-0.07, -0.01, -0.10), 0.10, 0.21), *_t_wave((-0.30, -0.08, -0.34), 0.315, 0.042))
    return Beat((*_P, *qrs, *repolarization))


def right_bundle_branch_block() -> Beat:
    """A normal start, then a slow end to the right and front: rsR' in V1, a broad S in I and V6, T inverted in V1."""
    qrs = (
        replace(_SEPTAL, dipole_mv=(-0.14, -0.02, -0.25)),
        replace(_MAIN, dipole_mv=(0.98, 0.74, 0.16)),
        Wave(Part.QRS, 0.019, 0.0090, (0.05, -0.05, 0.32)),
        Wave(Part.QRS, 0.056, 0.0180, (-0.58, 0.02, -0.47)),
    )
    return Beat((*_P, *qrs, *_t_wave((0.31, 0.18, 0.09), 0.295, 0.038)))


def ventricular_ectopic(direction_mv: DipoleVector) -> Beat:
    """A beat born in the ventricle: no P, about 150 ms wide, ST and T opposite to the QRS.

    `direction_mv` is the dipole at the height of the QRS.
    """
    x, y, z = direction_mv
    qrs = (
        Wave(Part.QRS, -0.028, 0.0190, (0.72 * x, 0.72 * y, 0.45 * z)),
        Wave(Part.QRS, 0.022, 0.0240, (0.78 * x, 0.70 * y, 0.95 * z)),
    )
    st = _st_segment((-0.10 * x, -0.10 * y, -0.10 * z), 0.11, 0.22)
    return Beat((*qrs, *st, *_t_wave((-0.36 * x, -0.36 * y, -0.36 * z), 0.320, 0.050)))


def st_elevation(territory: Territory, factor: float) -> Beat:
    """A normal beat with the ST segment and T drawn towards the injured wall; opposite leads are depressed.

    `factor` 1 lifts the leads that look at the wall by about 0.25 mV.
    """
    x, y, z = (factor * component for component in territory.value)
    t = _t_wave((0.20 + 1.1 * x, 0.14 + 1.1 * y, -0.09 + 1.1 * z), 0.265, 0.040)
    return Beat((*_P, _SEPTAL, _MAIN, _BASAL, *_st_segment((x, y, z)), *t))


def st_depression(factor: float) -> Beat:
    """A normal beat with ST depressed in V3 to V6, I and II, raised in aVR, as in subendocardial ischaemia.

    `factor` 1 lowers V4 and V5 by about 0.15 mV.
    """
    st = _st_segment((-0.13 * factor, -0.07 * factor, 0.06 * factor))
    return Beat((*_P, _SEPTAL, _MAIN, _BASAL, *st, *_t_wave((0.10, 0.08, -0.09))))


def left_ventricular_hypertrophy() -> Beat:
    """A tall QRS (S in V1 plus R in V5 over 3.5 mV, Sokolow-Lyon) with the strain pattern in the left leads."""
    qrs = (
        _SEPTAL,
        Wave(Part.QRS, -0.002, 0.0120, (1.85, 0.85, 0.70)),
        Wave(Part.QRS, 0.024, 0.0105, (0.15, -0.20, 1.00)),
    )
    return Beat((*_P, *qrs, *_st_segment((-0.10, -0.03, -0.07)), *_t_wave((-0.24, -0.06, -0.20))))


def individual(beat: Beat, rng: np.random.Generator) -> Beat:
    """Return one person's version of a beat: every wave a little other in time, width, height and direction."""
    stretch = float(np.exp(rng.normal(0, 0.05)))

    def vary(wave: Wave) -> Wave:
        dipole = _dipole(wave)
        size = float(np.linalg.norm(dipole))
        own = dipole * np.exp(rng.normal(0, 0.08)) + rng.normal(0, 0.06 * size, 3)
        shifted = replace(wave, centre_s=wave.centre_s * stretch, width_s=wave.width_s * np.exp(rng.normal(0, 0.05)))
        return _with_dipole(shifted, own)

    return beat.transformed(vary)


def _dipole(wave: Wave) -> Float64[np.ndarray, " xyz"]:
    return np.array(wave.dipole_mv)


def _with_dipole(wave: Wave, dipole_mv: Float64[np.ndarray, " xyz"]) -> Wave:
    x, y, z = dipole_mv.tolist()
    return replace(wave, dipole_mv=(x, y, z))


def _rotation(angle_deg: float, from_axis: int, to_axis: int) -> Float64[np.ndarray, "3 3"]:
    cosine, sine = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    matrix = np.eye(3)
    matrix[from_axis, from_axis] = matrix[to_axis, to_axis] = cosine
    matrix[to_axis, from_axis], matrix[from_axis, to_axis] = sine, -sine
    return matrix
