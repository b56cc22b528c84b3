import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ecg_flare.ecg.record import Recording
from ecg_flare.errors import PageError
from ecg_flare.page.render import render_page
from ecg_flare.page.style import PageStyle
from ecg_flare.page.truth import LeadTrace, PageTruth, to_matrix, warp_points


def equal(one: PageTruth, other: PageTruth) -> bool:
    # Text of Python's floats is exact, and tells apart what == would not (-0.0).
    return repr(asdict(one)) == repr(asdict(other)) and all(
        np.array_equal(a.polyline, b.polyline) for a, b in zip(one.traces, other.traces, strict=True)
    )


def test_a_rendered_page_survives_json_bit_for_bit(waves: Recording) -> None:
    truth = render_page(waves, PageStyle(layout="3x4-cabrera+1R", dpi=90.0), np.random.default_rng(0)).truth
    tilted = truth.warped(np.array([[1.1, 0.02, 3], [0.01, 0.9, 5], [1e-5, 2e-5, 1]]), (900, 1200))
    for original in (truth, tilted):
        again = PageTruth.from_json(original.to_json())
        assert again.to_json() == original.to_json()
        assert equal(again, original)
        assert again.traces[0].polyline.dtype == np.float64


@settings(max_examples=50)
@given(
    polyline=arrays(np.float64, (5, 2), elements=st.floats(-1e6, 1e6)),
    scale=st.floats(0.1, 100),
    start_s=st.floats(0, 10),
)
def test_any_number_survives_json(polyline: np.ndarray, scale: float, start_s: float) -> None:
    trace = LeadTrace("V3", 2, polyline, start_s, start_s + 1, True)
    truth = PageTruth(
        10,
        20,
        scale,
        scale,
        "3x4",
        25.0,
        10.0,
        5.0,
        (trace,),
        (polyline,),
        (),
        polyline,
        to_matrix(np.diag([scale, scale, 1])),
    )
    assert equal(PageTruth.from_json(truth.to_json()), truth)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"traces": [{}]}', '{"traces": 3, "pulses": [], "print_boxes": []}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(PageError, match=r"Not the truth of a page"):
        PageTruth.from_json(text)


def test_unknown_fields_are_refused(waves: Recording) -> None:
    fields = json.loads(render_page(waves, PageStyle(dpi=60.0), np.random.default_rng(0)).truth.to_json())
    with pytest.raises(PageError, match="colour"):
        PageTruth.from_json(json.dumps({**fields, "colour": "red"}))


def test_a_truth_without_the_chest_gain_is_of_a_page_of_one_gain(waves: Recording) -> None:
    style = PageStyle(dpi=60.0, gain_mm_per_mv=5.0)
    fields = json.loads(render_page(waves, style, np.random.default_rng(0)).truth.to_json())
    del fields["chest_gain_mm_per_mv"]
    assert PageTruth.from_json(json.dumps(fields)).chest_gain_mm_per_mv == 5.0


def test_times_belong_to_the_points() -> None:
    trace = LeadTrace("I", 0, np.zeros((5, 2)), 2.5, 3.5, False)
    np.testing.assert_allclose(trace.times_s(), [2.5, 2.7, 2.9, 3.1, 3.3])


def test_warping_keeps_millimetres_under_the_homography(waves: Recording) -> None:
    truth = render_page(waves, PageStyle(dpi=100.0, anisotropy=1.1), np.random.default_rng(0)).truth
    paper_mm = warp_points(truth.traces[3].polyline, np.linalg.inv(np.array(truth.homography)))
    warped = truth.warped(np.array([[0.9, 0.1, 30], [-0.05, 1.2, 7], [1e-4, 5e-5, 1]]), (1500, 1600))
    np.testing.assert_allclose(warp_points(paper_mm, np.array(warped.homography)), warped.traces[3].polyline, atol=1e-6)


def test_a_stretch_multiplies_the_scales(waves: Recording) -> None:
    truth = render_page(waves, PageStyle(dpi=100.0), np.random.default_rng(0)).truth
    stretched = truth.warped(np.diag([2.0, 3.0, 1.0]), (2000, 2000))
    assert stretched.px_per_mm_x == pytest.approx(2 * truth.px_per_mm_x, rel=1e-9)
    assert stretched.px_per_mm_y == pytest.approx(3 * truth.px_per_mm_y, rel=1e-9)
