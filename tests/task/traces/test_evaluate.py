"""Trace Dice as MONAI has it, against its closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nnunet_scribbles import ScribbledPages

from ecg_flare.errors import SiteDataError
from ecg_flare.task.traces.evaluate import DiceEvaluation, evaluate_pages, trace_dice


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_dice_is_twice_the_overlap_over_the_sum(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    predicted, truth = (np.where(rng.random((20, 30)) < share, rng.integers(0, 4, (20, 30)), 0) for _ in range(2))
    truth[0, 0] = 1
    p, t = predicted == 1, truth == 1
    expected = 2 * np.sum(p & t) / (np.sum(p) + np.sum(t))
    assert trace_dice(predicted.astype(np.uint8), truth.astype(np.uint8)) == pytest.approx(expected, abs=1e-6)


def test_dice_at_its_edges() -> None:
    empty, full = np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8)
    assert trace_dice(full, full) == 1
    assert trace_dice(empty, full) == 0
    assert np.isnan(trace_dice(full, empty))


def test_pages_are_averaged_one_by_one() -> None:
    pages = list(ScribbledPages(pages=2).cases("s"))

    def left_half(image: np.ndarray) -> np.ndarray:
        index = next(i for i, page in enumerate(pages) if page.image is image)
        found = pages[index].mask == 1
        if index == 0:
            found[:, found.shape[1] // 2 :] = False
        return np.stack([~found, found]).astype(np.float32)

    evaluation = evaluate_pages(left_half, pages)
    truth = pages[0].mask == 1
    kept = truth[:, : truth.shape[1] // 2].sum()
    assert evaluation.dice_by_case["page1"] == 1
    assert evaluation.dice_by_case["page0"] == pytest.approx(2 * kept / (kept + truth.sum()), abs=1e-6)
    assert evaluation.mean_dice == pytest.approx(sum(evaluation.dice_by_case.values()) / 2)


def test_pages_without_a_trace_do_not_count() -> None:
    assert DiceEvaluation({"a": 0.5, "b": float("nan")}).mean_dice == 0.5
    assert np.isnan(DiceEvaluation({"b": float("nan")}).mean_dice)


def test_no_pages_are_an_error() -> None:
    with pytest.raises(SiteDataError, match="no pages"):
        evaluate_pages(lambda image: image, [])
