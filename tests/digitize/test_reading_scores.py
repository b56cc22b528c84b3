"""Readings against truths: tables, missing pages, worst pages."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg_flare.ecg.evaluation import evaluate, evaluate_recordings
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.ecg.record import Recording, write_wfdb
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.errors import RecordError


def noisy(recording: Recording, sigma_mv: float, seed: int) -> Recording:
    noise = np.random.default_rng(seed).normal(0, sigma_mv, recording.signal_mv.shape)
    return replace(recording, signal_mv=(recording.signal_mv + noise).astype(np.float32))


@pytest.fixture(scope="module")
def truths() -> list[Recording]:
    return [synthesize(np.random.default_rng(seed), duration_s=4.0) for seed in range(3)]


def test_folders_are_matched_by_name_and_missing_pages_count(truths: list[Recording], tmp_path: Path) -> None:
    pred, truth = tmp_path / "pred", tmp_path / "truth"
    for folder in (pred, truth):
        folder.mkdir()
    for k, recording in enumerate(truths):
        write_wfdb(recording, truth, f"page{k}")
    for k, sigma in ((0, 0.01), (1, 0.1)):
        write_wfdb(noisy(truths[k], sigma, k), pred, f"page{k}")
    write_wfdb(truths[0], pred, "stranger")
    result = evaluate(pred, truth)
    assert result.missing == ("page2",)
    assert result.unexpected == ("stranger",)
    assert result.worst == ("page2", "page1", "page0")
    assert result.pages.snr_db_kaggle2025.count == 3
    assert result.pages.coverage.mean == pytest.approx(2 / 3, abs=1e-3)
    expected = [score.snr_db_kaggle2025 for score in result.scores] + [0.0]
    assert result.pages.snr_db_kaggle2025.median == pytest.approx(np.median(expected))
    assert result.pages.snr_db_kaggle2025.p5 == pytest.approx(np.percentile(expected, 5))
    assert "page2 (0.0 dB)" in result.table()
    assert json.loads(result.to_json())["leads"]["V6"]["pcc"]["count"] == 2


def test_scores_are_those_of_the_metric(truths: list[Recording]) -> None:
    reading = noisy(truths[0], 0.05, 9)
    result = evaluate_recordings([("a", truths[0], reading)])
    assert result.pages.snr_db_kaggle2025.median == evaluate_recording(reading, truths[0]).snr_db_kaggle2025
    assert result.scores[0].name == "a"


def test_single_records_need_no_common_name(truths: list[Recording], tmp_path: Path) -> None:
    write_wfdb(truths[0], tmp_path, "truth")
    write_wfdb(noisy(truths[0], 0.02, 1), tmp_path, "read")
    result = evaluate(tmp_path / "read", tmp_path / "truth.hea")
    assert result.missing == ()
    assert result.pages.snr_db_kaggle2025.count == 1


def test_nothing_to_compare_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="holds no WFDB record"):
        evaluate(tmp_path, tmp_path)
    with pytest.raises(RecordError, match="no recording"):
        evaluate_recordings([])
