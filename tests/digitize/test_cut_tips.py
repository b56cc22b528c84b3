"""Peaks cut off by hand."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.digitize.leads.cut_tips import cut_tips
from ecg_flare.ecg.record import Recording

TIMES = np.arange(2000) / 500.0


def recording(lead: np.ndarray) -> Recording:
    signal = np.zeros((12, len(lead)), np.float32)
    signal[8] = lead
    return Recording(signal, 500.0)


def beats(width_s: float = 0.02, height_mv: float = 2.0) -> np.ndarray:
    lead = sum(height_mv * np.exp(-0.5 * ((TIMES - at) / width_s) ** 2) for at in (1.0, 2.0, 3.0))
    return np.asarray(lead)


def test_a_peak_that_is_cut_at_one_height_is_named_with_it() -> None:
    lead = beats()
    lead[900:1100] = np.minimum(lead[900:1100], 0.9)
    (found,) = cut_tips(recording(lead))
    assert (found.lead, found.height_mv) == ("V3", pytest.approx(0.9, abs=0.02))
    assert found.time_s == pytest.approx(2.0, abs=0.004)


def test_a_cut_below_the_line_counts_too() -> None:
    assert [cut.height_mv for cut in cut_tips(recording(-np.minimum(beats(), 0.9)))] == pytest.approx(
        [-0.9] * 3, abs=0.02
    )


def test_round_tips_flat_waves_and_missing_samples_are_no_cut() -> None:
    assert cut_tips(recording(beats())) == ()
    assert cut_tips(recording(np.minimum(beats(width_s=0.15), 0.9))) == ()  # a T wave: 0.9 mV, but no steep side
    gap = replace(recording(beats()))
    gap.signal_mv[8, 990:1010] = np.nan
    assert cut_tips(gap) == ()
