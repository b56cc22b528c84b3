"""When the heart beats: the rhythms of the synthetic generator and their beats in time."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np

_LEAD_IN_S: Final = 2.5  # beats start ahead of the recording, so that its first T wave has an owner
_SHORTEST_RR_S: Final = 0.3


class Rhythm(Enum):
    """What a synthetic patient has: a rhythm, or a finding in sinus rhythm."""

    SINUS = "sinus"
    ATRIAL_FIBRILLATION = "atrial_fibrillation"
    ATRIAL_FLUTTER = "atrial_flutter"
    VENTRICULAR_ECTOPICS = "ventricular_ectopics"
    FIRST_DEGREE_AV_BLOCK = "first_degree_av_block"
    LBBB = "lbbb"
    RBBB = "rbbb"
    ST_ELEVATION = "st_elevation"
    ST_DEPRESSION = "st_depression"
    LOW_VOLTAGE = "low_voltage"
    LV_HYPERTROPHY = "lv_hypertrophy"


@dataclass(frozen=True)
class BeatTime:
    """One beat: when its R wave peaks, seconds since the beat before, and whether it was born in the ventricle."""

    time_s: float
    rr_s: float
    ectopic: bool = False


def beat_times(
    rng: np.random.Generator, rhythm: Rhythm, heart_rate_bpm: float, duration_s: float
) -> tuple[BeatTime, ...]:
    """Draw the beats of a recording, from before its start to after its end.

    Sinus rhythm breathes by a few per cent; atrial fibrillation has independent intervals of 20 % spread; atrial
    flutter conducts every second to fourth wave; a ventricular ectopic comes early and in place of a sinus beat, so
    that the two intervals around it add up to two sinus intervals (full compensatory pause).
    """
    times = _regular_times(rng, rhythm, heart_rate_bpm, duration_s)
    ectopic = np.zeros(len(times), dtype=bool)
    if rhythm is Rhythm.VENTRICULAR_ECTOPICS:
        ectopic = _choose_ectopics(rng, times, duration_s)
        early = rng.uniform(0.52, 0.66)
        for index in np.flatnonzero(ectopic):
            times[index] = times[index - 1] + early * (times[index] - times[index - 1])
    intervals = np.diff(times)
    return tuple(
        BeatTime(float(time), float(interval), bool(is_ectopic))
        for time, interval, is_ectopic in zip(times[1:], intervals, ectopic[1:], strict=True)
    )


def flutter_period_s(heart_rate_bpm: float) -> float:
    """Return the length of a flutter wave: 200 ms (300/min) adapted so that the mean ventricular rate is as asked."""
    mean_ratio = _flutter_ratio(heart_rate_bpm)
    return 60.0 / (heart_rate_bpm * mean_ratio)


def _flutter_ratio(heart_rate_bpm: float) -> int:
    return int(np.clip(round(300.0 / heart_rate_bpm), 2, 6))


def _regular_times(
    rng: np.random.Generator, rhythm: Rhythm, heart_rate_bpm: float, duration_s: float
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    mean_rr_s = 60.0 / heart_rate_bpm
    start_s = -_LEAD_IN_S - rng.uniform(0, mean_rr_s)
    breath_hz, breath_phase = rng.uniform(0.18, 0.30), rng.uniform(0, 2 * np.pi)
    breathing = rng.uniform(0.005, 0.04)
    times = [start_s]
    while times[-1] < duration_s + 2.0:
        if rhythm is Rhythm.ATRIAL_FIBRILLATION:
            factor = float(np.exp(rng.normal(-0.02, 0.20)))
        elif rhythm is Rhythm.ATRIAL_FLUTTER:
            ratio = _flutter_ratio(heart_rate_bpm)
            step = int(rng.choice([-1, 0, 0, 0, 1])) if ratio > 2 else 0
            factor = (ratio + step) / ratio
        else:
            factor = 1 + breathing * np.sin(2 * np.pi * breath_hz * times[-1] + breath_phase) + rng.normal(0, 0.006)
        times.append(times[-1] + max(_SHORTEST_RR_S, mean_rr_s * factor))
    return np.array(times)


def _choose_ectopics(
    rng: np.random.Generator, times: np.ndarray[tuple[int], np.dtype[np.float64]], duration_s: float
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    chosen = np.zeros(len(times), dtype=bool)
    inside = np.flatnonzero((times > 0.6) & (times < duration_s - 0.3))
    for index in inside:
        chosen[index] = index > 1 and not chosen[index - 1] and rng.random() < 0.22
    if not chosen.any() and inside.size:
        chosen[rng.choice(inside)] = True
    return chosen
