"""Scores of recovered recordings, against closed forms and a sample-by-sample oracle."""

import time
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.metrics import (
    align,
    coverage,
    evaluate_recording,
    pcc,
    rmse_mv,
    snr_db_kaggle2025,
    snr_db_physionet2024,
)
from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.ecg.synthetic import Rhythm, synthesize
from ecg_flare.errors import RecordError

FS_HZ = 500.0


def ecg(seed: int = 0) -> Recording:
    return synthesize(np.random.default_rng(seed), rhythm=Rhythm.SINUS, fs_hz=FS_HZ)


def orthogonal_noise(truth: np.ndarray, seed: int = 1) -> np.ndarray:
    """Noise without mean and without correlation with the truth, so that no move can lower its power."""
    noise = np.random.default_rng(seed).normal(size=truth.shape)
    for row, signal in zip(noise, truth, strict=True):
        basis, _ = np.linalg.qr(np.stack([np.ones_like(signal), signal], axis=1))
        row -= basis @ (basis.T @ row)
    return noise


def shifted(signal: np.ndarray, lag: int) -> np.ndarray:
    moved = np.full_like(signal, np.nan)
    if lag >= 0:
        moved[:, lag:] = signal[:, : signal.shape[1] - lag]
    else:
        moved[:, :lag] = signal[:, -lag:]
    return moved


class TestKnownNoise:
    @pytest.mark.parametrize("decibels", [-3.0, 0.0, 10.0, 24.0, 40.0])
    def test_known_power_gives_known_decibels(self, decibels: float) -> None:
        truth = ecg().signal_mv.astype(np.float64)
        noise = orthogonal_noise(truth)
        noise *= np.sqrt((truth**2).sum(axis=1) / (noise**2).sum(axis=1) / 10 ** (decibels / 10))[:, None]
        assert snr_db_kaggle2025(truth + noise, truth, FS_HZ) == pytest.approx(decibels, abs=1e-9)
        np.testing.assert_allclose(snr_db_physionet2024(truth + noise, truth, FS_HZ), decibels, atol=1e-9)

    def test_kaggle_pools_power_not_decibels(self) -> None:
        truth = ecg().signal_mv[:2].astype(np.float64)
        noise = orthogonal_noise(truth)
        noise *= (np.array([0.1, 0.01]) / np.sqrt((noise**2).sum(axis=1)))[:, None]
        expected = 10 * np.log10((truth**2).sum() / (0.1**2 + 0.01**2))
        assert snr_db_kaggle2025(truth + noise, truth, FS_HZ) == pytest.approx(expected, abs=1e-9)

    def test_perfect_is_infinite(self) -> None:
        truth = ecg().signal_mv
        assert snr_db_kaggle2025(truth, truth, FS_HZ) == np.inf
        assert (snr_db_physionet2024(truth, truth, FS_HZ) == np.inf).all()

    def test_a_truth_without_power_is_undefined(self) -> None:
        flat = np.zeros((1, 100))
        assert np.isnan(snr_db_kaggle2025(flat + 1e-3, flat, FS_HZ))
        assert np.isnan(snr_db_physionet2024(flat + 1e-3, flat, FS_HZ)).all()

    def test_a_constant_offset_of_the_truth_counts_as_signal(self) -> None:
        # Both definitions take the truth's power as it is, not about its mean.
        truth = ecg().signal_mv[:1].astype(np.float64) + 1.0
        noise = 0.01 * orthogonal_noise(truth)
        expected = 10 * np.log10((truth**2).sum() / (noise**2).sum())
        assert snr_db_kaggle2025(truth + noise, truth, FS_HZ) == pytest.approx(expected, abs=1e-9)


class TestAlignment:
    @settings(max_examples=40, deadline=None)
    @given(lag=st.integers(-100, 100), offset=st.floats(-3, 3), seed=st.integers(0, 20))
    def test_kaggle_recovers_shift_and_offset_exactly(self, lag: int, offset: float, seed: int) -> None:
        truth = ecg(seed).signal_mv.astype(np.float64)
        truth[:, :200] = truth[:, -200:] = 0.0  # nothing is lost by the shift
        pred = np.nan_to_num(shifted(truth, lag)) + offset
        moved = align(pred, truth, FS_HZ, 0.2)
        np.testing.assert_array_equal(moved.shift_s, -lag / FS_HZ)
        np.testing.assert_allclose(moved.offset_mv, -offset, atol=1e-12)

    def test_physionet_reaches_further_in_time_and_less_far_in_voltage(self) -> None:
        truth = ecg().signal_mv.astype(np.float64)
        truth[:, :300] = truth[:, -300:] = 0.0
        late = np.nan_to_num(shifted(truth, 240))
        assert (snr_db_physionet2024(late, truth, FS_HZ) > 100).all()
        assert snr_db_kaggle2025(late, truth, FS_HZ) < 3
        high = truth + 1.25
        left_over = 10 * np.log10((truth**2).sum(axis=1) / (truth.shape[1] * 0.25**2))
        np.testing.assert_allclose(snr_db_physionet2024(high, truth, FS_HZ), left_over, atol=1e-9)
        assert snr_db_kaggle2025(high, truth, FS_HZ) > 100

    def test_kaggle_charges_what_the_shift_pushes_out(self) -> None:
        truth = ecg().signal_mv[:1].astype(np.float64)
        truth -= truth[:, 40:].mean()
        pred = np.zeros_like(truth)
        pred[:, :-40] = truth[:, 40:]  # early by 40 samples: the first 40 of the truth are lost
        expected = 10 * np.log10((truth**2).sum() / (truth[:, :40] ** 2).sum())
        assert snr_db_kaggle2025(pred, truth, FS_HZ) == pytest.approx(expected, abs=1e-6)

    def test_the_smallest_of_equal_shifts_is_taken(self) -> None:
        truth = np.tile([0.0, 1.0, 0.0, -1.0], 20)[None]
        truth[:, :8] = truth[:, -8:] = 0.0
        assert align(truth, truth, 100.0, 0.2).shift_s.tolist() == [0.0]

    def test_agrees_with_a_search_over_all_shifts(self) -> None:
        rng = np.random.default_rng(5)
        truth, pred = rng.normal(size=(2, 6, 60)).cumsum(axis=2)
        moved = align(pred, truth, 10.0, 0.9)
        for row in range(6):
            x, y = truth[row] - truth[row].mean(), pred[row] - pred[row].mean()
            products = {lag: sum(x[t] * y[t - lag] for t in range(60) if 0 <= t - lag < 60) for lag in range(-9, 10)}
            assert moved.shift_s[row] == pytest.approx(max(products, key=lambda lag: products[lag]) / 10.0)

    @pytest.mark.parametrize("max_shift_s", [0.0, 0.2, 50.0])
    def test_any_reach_works_on_a_short_signal(self, max_shift_s: float) -> None:
        truth = np.array([[0.0, 0.0, 1.0, 2.0, 1.0, 0.0, 0.0]])
        assert align(truth, truth, 1.0, max_shift_s).shift_s.tolist() == [0.0]


class TestMissingSamples:
    def printed(self) -> tuple[np.ndarray, np.ndarray]:
        """A 3x4 page: each lead has its 2.5 s of 10 s; the prediction has noise of a hundredth of the power."""
        truth = ecg().signal_mv.astype(np.float64)
        for row in range(12):
            first = row // 3 * 1250
            truth[row, :first] = truth[row, first + 1250 :] = np.nan
        segments = truth[np.isfinite(truth)].reshape(12, 1250)
        noise = orthogonal_noise(segments)
        noise *= 0.1 * np.sqrt((segments**2).sum(axis=1) / (noise**2).sum(axis=1))[:, None]
        pred = truth.copy()
        pred[np.isfinite(truth)] += noise.ravel()
        return pred, truth

    def test_what_was_not_printed_is_ignored(self) -> None:
        pred, truth = self.printed()
        assert snr_db_kaggle2025(pred, truth, FS_HZ) == pytest.approx(20, abs=1e-9)
        invented = np.where(np.isnan(truth), 99.0, pred)
        assert snr_db_kaggle2025(invented, truth, FS_HZ) == pytest.approx(20, abs=1e-9)
        np.testing.assert_allclose(snr_db_physionet2024(invented, truth, FS_HZ), 20, atol=1e-9)
        assert coverage(invented, truth) == 1.0

    def test_kaggle_counts_a_missing_lead_as_error_of_its_whole_power(self) -> None:
        pred, truth = self.printed()
        pred[7] = np.nan
        power = np.nansum(truth**2, axis=1)
        noise_power = 0.01 * (power.sum() - power[7]) + power[7]
        expected = 10 * np.log10(power.sum() / noise_power)
        assert snr_db_kaggle2025(pred, truth, FS_HZ) == pytest.approx(expected, abs=1e-9)

    def test_physionet_multiplies_by_the_covered_fraction(self) -> None:
        truth = ecg().signal_mv[:1].astype(np.float64)
        half = truth.copy()
        half[:, 2500:] = np.nan
        noise = orthogonal_noise(truth[:, :2500])
        noise *= 0.1 * np.sqrt((truth[:, :2500] ** 2).sum() / (noise**2).sum())
        half[:, :2500] += noise
        moved = align(half, truth, FS_HZ, 0.5)
        assert moved.shift_s.tolist() == [0.0]
        assert snr_db_physionet2024(half, truth, FS_HZ) == pytest.approx([10.0], abs=1e-6)  # 20 dB x 1/2

    def test_missing_samples_never_raise_a_negative_ratio(self) -> None:
        truth = ecg().signal_mv[:1].astype(np.float64)
        noise = 3 * np.sqrt((truth**2).mean()) * np.sign(np.random.default_rng(0).normal(size=truth.shape))
        whole = snr_db_physionet2024(truth + noise, truth, FS_HZ)[0]
        partial = np.where(np.arange(truth.shape[1]) % 10 == 0, truth + noise, np.nan)
        assert whole < -5
        assert snr_db_physionet2024(partial, truth, FS_HZ)[0] < -5

    def test_nothing_recovered_scores_zero_decibels(self) -> None:
        truth = ecg().signal_mv
        nothing = np.full_like(truth, np.nan)
        assert snr_db_kaggle2025(nothing, truth, FS_HZ) == 0.0
        assert snr_db_physionet2024(nothing, truth, FS_HZ).tolist() == [0.0] * 12
        assert coverage(nothing, truth) == 0.0
        assert np.isnan(pcc(nothing, truth))
        assert np.isnan(rmse_mv(nothing, truth))

    def test_a_lead_without_truth_is_undefined(self) -> None:
        truth = ecg().signal_mv.copy()
        truth[4] = np.nan
        scores = snr_db_physionet2024(truth, truth, FS_HZ)
        assert np.isnan(scores).tolist() == [row == 4 for row in range(12)]
        assert np.isnan(coverage(truth[4], truth[4]))


class TestCorrelationAndError:
    def test_against_numpy(self) -> None:
        x, y = np.random.default_rng(2).normal(size=(2, 300))
        assert pcc(y, x) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-12)
        assert rmse_mv(y, x) == pytest.approx(np.sqrt(((x - y) ** 2).mean()), abs=1e-12)

    @given(
        st.lists(st.floats(-5, 5).map(lambda value: round(value, 3)), min_size=2, max_size=30, unique=True),
        st.floats(0.1, 9),
        st.floats(-9, 9),
    )
    def test_correlation_ignores_gain_and_offset(self, values: list[float], gain: float, offset: float) -> None:
        x = np.array(values)
        assert pcc(gain * x + offset, x) == pytest.approx(1.0, abs=1e-6)
        assert pcc(-gain * x + offset, x) == pytest.approx(-1.0, abs=1e-6)

    def test_only_common_samples_count(self) -> None:
        x = np.array([1.0, np.nan, 3.0, 5.0])
        y = np.array([1.0, 2.0, np.nan, 9.0])
        assert rmse_mv(y, x) == pytest.approx(np.sqrt(8.0))
        assert coverage(y, x) == pytest.approx(2 / 3)

    def test_a_constant_has_no_correlation(self) -> None:
        assert np.isnan(pcc(np.ones(5), np.arange(5.0)))

    def test_other_shapes_are_refused(self) -> None:
        with pytest.raises(RecordError, match=r"\(12, 3\) is not the truth's \(12, 4\)"):
            snr_db_kaggle2025(np.zeros((12, 3)), np.zeros((12, 4)), FS_HZ)
        with pytest.raises(RecordError, match="at least one sample"):
            snr_db_physionet2024(np.zeros((12, 0)), np.zeros((12, 0)), FS_HZ)


class TestRecordings:
    def test_table_agrees_with_the_functions(self) -> None:
        truth = ecg()
        pred = replace(truth, signal_mv=truth.signal_mv + np.float32(0.02) * orthogonal_noise(truth.signal_mv))
        score = evaluate_recording(pred, truth)
        assert [lead.lead for lead in score.leads] == list(LEADS)
        assert score.snr_db_kaggle2025 == snr_db_kaggle2025(pred.signal_mv, truth.signal_mv, FS_HZ)
        per_lead = snr_db_physionet2024(pred.signal_mv, truth.signal_mv, FS_HZ)
        assert [lead.snr_db_physionet2024 for lead in score.leads] == per_lead.tolist()
        assert score.snr_db_physionet2024 == pytest.approx(per_lead.mean())
        assert score.rmse_mv == pytest.approx(0.02, rel=0.02)
        assert score.coverage == 1.0
        with pytest.raises(FrozenInstanceError):
            score.pcc = 1.0  # type: ignore[misc]

    def test_rows_are_matched_by_name(self) -> None:
        truth = ecg()
        order = LEADS[::-1]
        assert evaluate_recording(truth.arranged(order), truth).snr_db_kaggle2025 == np.inf

    def test_leads_the_truth_has_not_are_left_out(self) -> None:
        truth = ecg()
        only_two = truth.arranged(("II", "V1")).arranged()
        score = evaluate_recording(truth, only_two)
        assert [lead.lead for lead in score.leads] == ["II", "V1"]
        assert score.snr_db_kaggle2025 == np.inf

    def test_another_rate_is_brought_to_the_truths(self) -> None:
        truth = ecg()
        score = evaluate_recording(truth.resampled(1000.0), truth)
        assert score.snr_db_kaggle2025 > 40
        assert score.coverage > 0.999

    @pytest.mark.parametrize("n_samples", [3000, 6000])
    def test_another_length_is_cut_or_counts_as_missing(self, n_samples: int) -> None:
        truth = ecg()
        pred_mv = np.zeros((12, n_samples), dtype=np.float32)
        pred_mv[:, : min(n_samples, 5000)] = truth.signal_mv[:, :n_samples]
        score = evaluate_recording(Recording(pred_mv, FS_HZ), truth)
        assert score.coverage == pytest.approx(min(1.0, n_samples / 5000))

    def test_a_truth_without_samples_is_refused(self) -> None:
        empty = Recording(np.full((12, 9), np.nan), FS_HZ, name="e")
        with pytest.raises(RecordError, match="'e' has no finite sample"):
            evaluate_recording(ecg(), empty)

    def test_a_recording_is_scored_within_a_tenth_of_a_second_of_one_core(self) -> None:
        truth = ecg()
        pred = replace(truth, signal_mv=np.roll(truth.signal_mv, 30, axis=1))
        evaluate_recording(pred, truth)
        seconds = []
        for _ in range(5):
            start = time.process_time()
            evaluate_recording(pred, truth)
            seconds.append(time.process_time() - start)
        assert min(seconds) < 0.1

    @pytest.mark.realdata
    def test_another_digitizers_output_scores_as_its_users_report(self, data_root: Path) -> None:
        folder = data_root / "ludb_pages"
        with np.load(folder / "ecgminer_output.npz") as archive:
            ids, signals = archive["ids"], archive["signal_mv"]
        scores = []
        for record_id, signal in zip(ids, signals, strict=True):
            pred = Recording(signal.T.astype(np.float32), FS_HZ)
            truth = read_wfdb(folder / "wfdb" / str(record_id))
            printed = np.where(np.isfinite(pred.signal_mv), truth.signal_mv, np.nan)
            scores.append(evaluate_recording(pred, replace(truth, signal_mv=printed)))
        # ECGMiner on LUDB: 17.1 dB pooled and a correlation of 0.98, measured apart from this code.
        assert np.mean([score.snr_db_kaggle2025 for score in scores]) == pytest.approx(17.1, abs=0.5)
        assert np.mean([score.pcc for score in scores]) == pytest.approx(0.98, abs=0.01)
