"""When the beats come."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_flare.ecg.rhythm import Rhythm, beat_times, flutter_period_s


def intervals(rhythm: Rhythm, seed: int = 0, bpm: float = 75.0, duration_s: float = 300.0) -> np.ndarray:
    return np.array([beat.rr_s for beat in beat_times(np.random.default_rng(seed), rhythm, bpm, duration_s)])


@settings(max_examples=60, deadline=None)
@given(
    rhythm=st.sampled_from(Rhythm),
    bpm=st.floats(20, 250),
    duration_s=st.floats(0.1, 30),
    seed=st.integers(0, 1000),
)
def test_beats_are_in_order_and_cover_the_recording(rhythm: Rhythm, bpm: float, duration_s: float, seed: int) -> None:
    beats = beat_times(np.random.default_rng(seed), rhythm, bpm, duration_s)
    times = np.array([beat.time_s for beat in beats])
    np.testing.assert_allclose(np.diff(times), [beat.rr_s for beat in beats[1:]], atol=1e-12)
    assert (np.diff(times) > 0.1).all()
    assert times[-1] > duration_s
    assert times[0] < 1.2 * 60 / bpm


@pytest.mark.parametrize("rhythm", [Rhythm.SINUS, Rhythm.LBBB, Rhythm.ATRIAL_FIBRILLATION, Rhythm.ATRIAL_FLUTTER])
def test_mean_rate_is_as_asked(rhythm: Rhythm) -> None:
    assert 60 / intervals(rhythm, duration_s=1000).mean() == pytest.approx(75, rel=0.05)


def test_fibrillation_is_irregular_and_sinus_is_not() -> None:
    fibrillation, sinus = intervals(Rhythm.ATRIAL_FIBRILLATION), intervals(Rhythm.SINUS)
    assert 0.15 < fibrillation.std() / fibrillation.mean() < 0.25
    assert sinus.std() / sinus.mean() < 0.04
    # Irregularly irregular: one interval says nothing of the next.
    assert abs(np.corrcoef(fibrillation[:-1], fibrillation[1:])[0, 1]) < 0.12


def test_flutter_conducts_whole_waves() -> None:
    period_s = flutter_period_s(75.0)
    waves = intervals(Rhythm.ATRIAL_FLUTTER) / period_s
    np.testing.assert_allclose(waves, np.round(waves), atol=1e-9)
    assert set(np.round(waves)) == {3, 4, 5}
    assert period_s == pytest.approx(0.2)


@pytest.mark.parametrize("seed", range(8))
def test_ectopics_come_early_with_a_full_compensatory_pause(seed: int) -> None:
    beats = beat_times(np.random.default_rng(seed), Rhythm.VENTRICULAR_ECTOPICS, 70.0, 10.0)
    sinus_rr_s = np.median([beat.rr_s for beat in beats])
    ectopic = [index for index, beat in enumerate(beats) if beat.ectopic]
    assert ectopic
    for index in ectopic:
        assert not beats[index + 1].ectopic
        assert beats[index].rr_s < 0.75 * sinus_rr_s
        assert beats[index].rr_s + beats[index + 1].rr_s == pytest.approx(2 * sinus_rr_s, rel=0.12)


def test_only_one_rhythm_has_ectopics() -> None:
    for rhythm in set(Rhythm) - {Rhythm.VENTRICULAR_ECTOPICS}:
        assert not any(beat.ectopic for beat in beat_times(np.random.default_rng(0), rhythm, 80.0, 10.0))
