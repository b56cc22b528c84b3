"""Summed histograms turned back into the fingerprint that nnU-Net's planner reads.

A histogram is unfolded into as many sorted values as cases were counted, each the value of its bin. So any quantile of
them is that of the cases, to within a bin. With noise a bin may hold less than nothing, or something where nothing was:
bins below `_NOISE_LEVELS` standard deviations are taken for empty, unless that would leave less than half of the cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.errors import ConfigError
from ecg_flare.nnunet.planner import Fingerprint
from ecg_flare.task.agreement.bins import AXES, Bins
from ecg_flare.task.agreement.histograms import Histograms, split

_NOISE_LEVELS: Final = 3.0
_MAX_CASES: Final = 10**6


def fingerprint_from(
    summed: Histograms, blocks: Mapping[str, Bins], cases: float, *, noise_sd: float = 0.0
) -> Fingerprint:
    """The fingerprint of all cases together.

    Args:
        summed: the histograms of all cases, added up.
        blocks: their bins.
        cases: how many there are: where there is noise the public number of patients, which stands for them.
        noise_sd: standard deviation of the noise on each bin.

    Raises ConfigError, naming the histogram, for one in which nothing was counted.
    """
    count = round(cases)
    if not 1 <= count <= _MAX_CASES:
        raise ConfigError(f"histograms of {cases:g} cases were summed, expected at least 1 and at most {_MAX_CASES}")
    parts = {name: _denoised(part, name, count, noise_sd) for name, part in split(summed, blocks).items()}

    def columns(what: str) -> Float64[np.ndarray, "cases 3"]:
        names = [f"{what}.{axis}" for axis in range(AXES)]
        return np.stack([_unfolded(parts[name], blocks[name], count) for name in names], axis=1)

    relative = _unfolded(parts["relative_size"], blocks["relative_size"], count)
    channels = [name.partition(".")[2] for name in blocks if name.startswith("intensity.")]
    return Fingerprint(
        columns("spacing"),
        columns("shape"),
        columns("extent"),
        float(np.median(relative)),
        {channel: _intensities(parts[f"intensity.{channel}"], blocks[f"intensity.{channel}"]) for channel in channels},
    )


def _denoised(counts: Histograms, name: str, cases: int, noise_sd: float) -> Histograms:
    """Shares that are not negative, and add up to one."""
    kept = np.where(counts > _NOISE_LEVELS * noise_sd, counts.clip(0), 0)
    if 2 * kept.sum() < cases and noise_sd:
        # Of a distribution that is spread thin no bin stands out. Its running sum is unbiased; it may not fall.
        kept = np.diff(np.maximum.accumulate(np.cumsum(counts)), prepend=0.0).clip(0)
    if not kept.sum() > 0:
        raise ConfigError(f"nothing was counted in the histogram of {name}: no site gave a case, or noise hides them")
    shares: Histograms = kept / kept.sum()
    return shares


def _unfolded(shares: Histograms, bins: Bins, cases: int) -> Float64[np.ndarray, " cases"]:
    """So many sorted values as the histogram has them: the quantiles in the middle of each case's share."""
    ranks = (np.arange(cases) + 0.5) / cases
    places = np.searchsorted(np.cumsum(shares), ranks).clip(0, bins.size - 1)
    known = {int(place): bins.value(int(place)) for place in np.unique(places)}
    return np.array([known[int(place)] for place in places])


def _intensities(shares: Histograms, bins: Bins) -> dict[str, float]:
    """Mean, standard deviation and percentiles, as nnU-Net's normalization of CT asks for them.

    The least and the largest value, which its fingerprint has too, are single voxels: they are not told.
    """
    values = np.array([bins.value(place) for place in range(bins.size)])
    mean, below = float(shares @ values), np.cumsum(shares)
    percentiles = {
        name: float(values[min(int(np.searchsorted(below, level)), bins.size - 1)])
        for name, level in (("percentile_00_5", 0.005), ("median", 0.5), ("percentile_99_5", 0.995))
    }
    return {"mean": mean, "std": float(np.sqrt(shares @ (values - mean) ** 2)), **percentiles}
