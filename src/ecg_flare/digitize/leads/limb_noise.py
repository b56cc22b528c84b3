"""How much noise the limb leads carry, by what of them no heart can have made: over all, and from time to time.

If each of k leads is read with noise of s mV that knows nothing of the others', k - 2 parts of s^2 stand outside the
plane of the hearts, so that s is known without the truth. For I + III - II alone, as for aVR + aVL + aVF, the sum has
sqrt(3) s: its share r of the leads' RMS stands for an SNR of 10 log10(3) - 20 log10(r) dB. r = 0.31 is 15 dB, r = 0.55
is 10 dB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ecg_flare.digitize.leads.limb_groups import LimbGroup, limb_groups
from ecg_flare.ecg.record import Recording

WINDOW_S: Final = 0.5
"""Of time that is looked at alone: a QRS complex, and little else."""

CONCENTRATED_DB: Final = 12.0
"""By which the noise of a window stands out of that of the median window."""

WINDOW_DB: Final = 12.0
"""A window is at fault only if its noise leaves the leads' RMS less than this,"""

WINDOW_MV: Final = 0.1
"""and if it is more than this: a millimetre of paper at 10 mm/mV."""


@dataclass(frozen=True)
class LimbNoise:
    """The noise of limb leads that were read together, in mV of one lead.

    `noise_mv` is over all of `n_samples`, `rms_mv` the RMS of the leads themselves. `worst_mv` is the noise of the
    window of WINDOW_S that begins at `worst_s`, `typical_mv` that of the median window.
    """

    leads: tuple[str, ...]
    n_samples: int
    noise_mv: float
    rms_mv: float
    worst_s: float
    worst_mv: float
    typical_mv: float

    @property
    def is_concentrated(self) -> bool:
        """Whether the leads contradict each other at one time, and hardly at others."""
        stands_out = self.worst_mv > self.typical_mv * 10 ** (CONCENTRATED_DB / 20)
        return stands_out and self.worst_mv > max(WINDOW_MV, self.rms_mv * 10 ** (-WINDOW_DB / 20))


def limb_noise(recording: Recording) -> tuple[LimbNoise, ...]:
    """Return the noise of each group of three or more limb leads that were read at the same time."""
    return tuple(_noise_of(group, recording.fs_hz) for group in limb_groups(recording))


def _noise_of(group: LimbGroup, fs_hz: float) -> LimbNoise:
    outside = group.outside @ group.values_mv
    outside -= np.median(outside, axis=1, keepdims=True)
    power = (outside**2).mean(axis=0)
    width = max(1, round(WINDOW_S * fs_hz))
    begins = range(0, max(1, len(power) - width // 2), width)
    windows = np.array([power[begin : begin + width].mean() for begin in begins])
    worst = int(windows.argmax())
    return LimbNoise(
        leads=group.leads,
        n_samples=len(group.samples),
        noise_mv=float(np.sqrt(power.mean())),
        rms_mv=float(np.sqrt((group.values_mv**2).mean())),
        worst_s=float(group.samples[begins[worst]] / fs_hz),
        worst_mv=float(np.sqrt(windows[worst])),
        typical_mv=float(np.sqrt(np.median(windows))),
    )
