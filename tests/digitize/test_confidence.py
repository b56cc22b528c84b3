"""Confidences added up by hand."""

from dataclasses import replace

import pytest

from ecg_flare.digitize.confidence import (
    ASSUMED,
    CONFIDENT,
    CONTRADICTED,
    OVERLAPPING,
    LayoutEvidence,
    PageEvidence,
    calibration_confidence,
    grid_confidence,
    labels_alone_confidence,
    layout_confidence,
    lead_confidence,
    page_confidence,
)


@pytest.mark.parametrize(
    ("evidence", "margin", "expected"),
    [
        (LayoutEvidence(0, 0, None), 0.0, 0.2),
        (LayoutEvidence(0, 0, None), 5.0, 0.4),
        (LayoutEvidence(5, 4, None), 0.0, 0.45),
        (LayoutEvidence(12, 12, None), 0.0, 0.65),
        (LayoutEvidence(0, 0, 20.0), 0.0, 0.5),
        (LayoutEvidence(12, 12, 20.0), 0.0, 0.95),
        (LayoutEvidence(12, 12, 20.0), 5.0, 0.99),
        (LayoutEvidence(12, 2, None), 0.0, 0.05),
        (LayoutEvidence(0, 0, 3.0), 0.0, 0.05),
        (LayoutEvidence(12, 12, 3.0), 0.0, 0.65),
        (LayoutEvidence(12, 12, 20.0, 3.0), 5.0, 0.59),
        (LayoutEvidence(6, 6, None, places=6), 0.0, 0.65),
        (LayoutEvidence(6, 6, None, places=6, columns_agree=True), 0.0, 0.85),
        (LayoutEvidence(1, 1, None, places=1), 0.0, 0.65),
        (LayoutEvidence(0, 0, None, places=6, columns_agree=True), 5.0, 0.6),
        (LayoutEvidence(0, 0, 20.0, columns_agree=True), 0.0, 0.7),
    ],
)
def test_a_layout_is_as_sure_as_its_evidence(evidence: LayoutEvidence, margin: float, expected: float) -> None:
    assert layout_confidence(evidence, margin) == pytest.approx(expected)


def test_no_evidence_alone_makes_a_layout_confident_and_two_do() -> None:
    labels, limbs = LayoutEvidence(12, 12, None), LayoutEvidence(0, 0, 20.0)
    assert max(layout_confidence(labels, 0.0), layout_confidence(limbs, 0.0)) < CONFIDENT
    assert layout_confidence(LayoutEvidence(12, 12, 20.0), 0.0) >= CONFIDENT


WITNESSED = LayoutEvidence(12, 12, 20.0, 20.0, columns_agree=True)


@pytest.mark.parametrize(
    "against",
    [
        {"columns_agree": False},
        {"imitated": True},
        {"unwitnessed": 1},
        {"together": 0.3},
        {"crowded": True},
        {"times_known": False},
        {"guessed": ("II",)},
        {"strip_db": 3.0},
    ],
)
def test_whatever_else_agrees_a_column_or_a_name_without_a_witness_keeps_a_layout_in_doubt(
    against: dict[str, object],
) -> None:
    assert layout_confidence(WITNESSED, 5.0) == pytest.approx(0.99)
    assert layout_confidence(replace(WITNESSED, **against), 5.0) < CONFIDENT  # type: ignore[arg-type]


SOUND = PageEvidence(0.9, 0.8, True, 1.0, 12, 0)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (SOUND, 0.8),
        (replace(SOUND, calibration=0.6), 0.6),
        (replace(SOUND, checks_passed=None), 0.8),
        (replace(SOUND, checks_passed=False), 0.56),
        (replace(SOUND, inked=0.95), 0.8),
        (replace(SOUND, inked=0.5), 0.4),
        (replace(SOUND, n_broken=3), 0.7),
        (replace(SOUND, checks_passed=False, n_broken=12), 0.28),
    ],
)
def test_each_doubt_takes_its_share_of_a_page(evidence: PageEvidence, expected: float) -> None:
    assert page_confidence(evidence) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("coverage", "gaps", "shared", "expected"),
    [(1.0, 0, 0.0, 0.8), (0.5, 0, 0.0, 0.4), (1.0, 3, 0.0, 0.4), (1.0, 0, 0.02, 0.4), (0.5, 1, 0.02, 0.1)],
)
def test_a_lead_s_own_doubts_halve_it(coverage: float, gaps: int, shared: float, expected: float) -> None:
    assert lead_confidence(0.8, coverage, gaps, shared) == pytest.approx(expected)
    assert lead_confidence(0.8, 1.0, 0, OVERLAPPING) == 0.8


@pytest.mark.parametrize(
    ("margin", "squares", "expected"), [(10.0, 1.0, 0.99), (4.0, 0.4, 0.95), (4.0, 0.0, 0.57), (2.0, 1.0, 0.6)]
)
def test_a_grid_is_as_sure_as_its_lead_and_its_squares(margin: float, squares: float, expected: float) -> None:
    assert grid_confidence(margin, squares) == pytest.approx(expected)


def test_assumed_measures_labels_alone_and_contradictions_are_never_confident() -> None:
    assert calibration_confidence(0.99, ASSUMED, 1.0) == 0.693
    assert labels_alone_confidence(3, 4) == pytest.approx(0.3)
    assert max(ASSUMED, CONTRADICTED, labels_alone_confidence(12, 12)) < CONFIDENT


def test_a_page_without_a_known_share_of_ink_is_not_sure() -> None:
    assert page_confidence(replace(SOUND, inked=float("nan"))) == 0.0
