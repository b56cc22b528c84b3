"""A page read with a person's corrections: what each of them does to the recording, by number."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ecg_flare.digitize import Digitization, ReadingOptions
from ecg_flare.digitize.corrected_page import CorrectedPage
from ecg_flare.digitize.corrections import (
    NO_CORRECTIONS,
    Corrections,
    DrawnLine,
    LeadBorder,
    LeadName,
    Ruler,
    Unreadable,
)
from ecg_flare.digitize.leads.by_hand import places_of
from ecg_flare.errors import ConfigError, PageError
from ecg_flare.page.render import Page

BY_CLASSICAL = ReadingOptions(segmenter="classical")


@pytest.fixture(scope="module")
def page(clean_page: Page) -> CorrectedPage:
    return CorrectedPage(clean_page.image, BY_CLASSICAL)


@pytest.fixture(scope="module")
def reading(page: CorrectedPage) -> Digitization:
    return page.read()


def on_picture(reading: Digitization, *points: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    return tuple(map(tuple, reading.page.on_picture(np.array(points, float)).tolist()))


def lead_at(reading: Digitization, row: int, place: int):
    spans = [lead.span for lead in reading.leads]
    return spans[places_of(spans)[row, place]]


def test_without_corrections_it_is_the_reading_itself(reading: Digitization, clean_reading: Digitization) -> None:
    assert np.array_equal(reading.recording.signal_mv, clean_reading.recording.signal_mv, equal_nan=True)
    assert reading.warnings == clean_reading.warnings


def test_a_correction_that_says_what_was_read_changes_no_sample(page: CorrectedPage, reading: Digitization) -> None:
    again = page.read(Corrections(names=(LeadName(0, 0, lead_at(reading, 0, 0).lead),)))
    assert np.allclose(again.recording.signal_mv, reading.recording.signal_mv, atol=1e-6, equal_nan=True)


def test_a_gain_said_by_a_person_scales_every_sample(page: CorrectedPage, reading: Digitization) -> None:
    doubled = page.read(Corrections(gain=2 * reading.calibration.gain_mm_per_mv))
    assert doubled.calibration.gain_source == "given"
    assert np.allclose(doubled.recording.signal_mv, reading.recording.signal_mv / 2, atol=1e-5, equal_nan=True)


def test_a_speed_said_by_a_person_halves_the_time(page: CorrectedPage, reading: Digitization) -> None:
    fast = page.read(Corrections(speed=2 * reading.calibration.speed_mm_per_s, layout=reading.layout))
    assert fast.recording.duration_s == pytest.approx(reading.recording.duration_s / 2, abs=0.02)
    assert any("speed was given" in warning for warning in fast.warnings)


def test_a_ruler_over_ten_millimetres_that_are_two_makes_the_scale_five_times_finer(
    page: CorrectedPage, reading: Digitization
) -> None:
    ten_mm = 10 * reading.calibration.px_per_mm.x
    ends = on_picture(reading, (100.0, 100.0), (100.0 + 1.02 * ten_mm, 100.0))
    finer = page._measure(Corrections(ruler=Ruler(*ends, mm=2.0)))[1].calibration
    assert finer.px_per_mm.x == pytest.approx(5 * reading.calibration.px_per_mm.x, rel=1e-3)
    assert finer.method == "given"


def test_swapped_names_swap_signals(page: CorrectedPage, reading: Digitization) -> None:
    first, second = lead_at(reading, 0, 2).lead, lead_at(reading, 1, 2).lead
    swapped = page.read(Corrections(names=(LeadName(0, 2, second), LeadName(1, 2, first))))
    for one, other in ((first, second), (second, first)):
        assert np.allclose(swapped.recording.lead(one), reading.recording.lead(other), atol=1e-6, equal_nan=True)


def test_names_that_break_einthoven_cost_confidence(page: CorrectedPage, reading: Digitization) -> None:
    assert reading.checks.passed
    wrong = page.read(Corrections(names=(LeadName(0, 0, "II"), LeadName(1, 0, "I"))))
    assert wrong.checks.passed is False
    assert wrong.confidence < 0.75 < reading.confidence


def test_a_border_that_is_moved_moves_the_ends_of_both_leads(page: CorrectedPage, reading: Digitization) -> None:
    left, right = lead_at(reading, 0, 0), lead_at(reading, 0, 1)
    level = float(np.nanmedian(reading.polylines[0][:, 1]))
    x = left.right_px + 0.1 / left.seconds_per_px
    (at,) = on_picture(reading, (x, level))
    borders = (LeadBorder(0, 0, "right", at), LeadBorder(0, 1, "left", at))
    moved = page.read(Corrections(borders=borders))
    assert lead_at(moved, 0, 0).end_s == pytest.approx(left.end_s + 0.1, abs=1e-3)
    assert lead_at(moved, 0, 1).start_s == pytest.approx(right.start_s + 0.1, abs=1e-3)
    assert lead_at(moved, 0, 1).end_s == pytest.approx(right.end_s, abs=1e-6)
    gained = np.isfinite(moved.recording.lead(left.lead)).sum() - np.isfinite(reading.recording.lead(left.lead)).sum()
    assert gained == pytest.approx(0.1 * moved.recording.fs_hz, abs=2)


def stretch_of(reading: Digitization, row: int, place: int, begin_s: float, end_s: float) -> tuple[float, float, slice]:
    span, fs_hz = lead_at(reading, row, place), reading.recording.fs_hz
    left, right = (span.left_px + at / span.seconds_per_px for at in (begin_s, end_s))
    first = span.start_s + np.array([begin_s, end_s])
    return left, right, slice(*(int(at) for at in np.ceil(first * fs_hz)))


def test_a_line_that_is_drawn_is_the_signal_there(page: CorrectedPage, reading: Digitization) -> None:
    left, right, samples = stretch_of(reading, 1, 1, 0.5, 1.0)
    level = float(np.nanmedian(reading.polylines[1][:, 1]))
    points = on_picture(reading, (left, level - 20.0), (right, level - 20.0))
    drawn = page.read(Corrections(lines=(DrawnLine(1, points),)))
    lead = lead_at(reading, 1, 1).lead
    signal = drawn.recording.lead(lead)
    assert np.ptp(signal[samples.start + 3 : samples.stop - 3]) < 1e-3
    before, after = slice(samples.start - 100, samples.start - 10), slice(samples.stop + 10, samples.stop + 100)
    change = signal - reading.recording.lead(lead)
    for outside in (before, after):
        assert np.nanstd(change[outside]) < 1e-5  # but for the lead's zero, which is its median


def test_a_stretch_that_is_unreadable_is_missing_and_counts_as_a_gap(
    page: CorrectedPage, reading: Digitization
) -> None:
    left, right, samples = stretch_of(reading, 2, 2, 0.5, 1.0)
    ends = on_picture(reading, (left, 50.0), (right, 50.0))
    lost = page.read(Corrections(lines=(Unreadable(2, *ends),)))
    lead = lead_at(reading, 2, 2)
    signal = lost.recording.lead(lead.lead)
    assert np.isnan(signal[samples.start + 2 : samples.stop - 2]).all()
    assert np.isfinite(signal).sum() == pytest.approx(np.isfinite(reading.recording.lead(lead.lead)).sum() - 250, abs=4)
    assert next(each for each in lost.leads if each.span.lead == lead.lead).gaps == 1


def test_a_line_over_a_part_of_an_unreadable_stretch_leaves_the_rest_of_it(
    page: CorrectedPage, reading: Digitization
) -> None:
    left, right, samples = stretch_of(reading, 2, 2, 0.5, 1.0)
    level = float(np.nanmedian(reading.polylines[2][:, 1]))
    ends = on_picture(reading, (left, level), (right, level))
    third = (right - left) / 3
    middle = on_picture(reading, (left + third, level), (right - third, level))
    read = page.read(Corrections(lines=(Unreadable(2, *ends), DrawnLine(2, middle))))
    known = np.isfinite(read.recording.lead(lead_at(reading, 2, 2).lead)[samples])
    assert not known[:80].any()
    assert known[90:160].all()
    assert not known[-80:].any()


def test_a_line_followed_between_clicks_is_that_of_the_ink(page: CorrectedPage, reading: Digitization) -> None:
    span = lead_at(reading, 1, 1)
    line = reading.polylines[1]
    inside = line[span.holds(line[:, 0]) & np.isfinite(line[:, 1])]
    first, last = inside[10], inside[-10]
    found = page.follow(NO_CORRECTIONS, on_picture(reading, tuple(first), tuple(last)))
    mended = page.read(Corrections(lines=(DrawnLine(1, found),)))
    before, after = (each.recording.lead(span.lead) for each in (reading, mended))
    known = np.isfinite(before) & np.isfinite(after)
    power, error = np.nansum((before[known] - before[known].mean()) ** 2), np.nansum((before - after)[known] ** 2)
    assert 10 * np.log10(power / error) > 20.0


def levels_of(reading: Digitization) -> list[tuple[float, float]]:
    middle = reading.page.image.shape[1] / 2
    return [(middle, float(np.nanmedian(line[:, 1]))) for line in reading.polylines]


def test_rows_that_a_person_says_are_the_rows(page: CorrectedPage, reading: Digitization) -> None:
    levels = levels_of(reading)
    same = page.read(Corrections(rows=on_picture(reading, *levels)))
    assert same.layout == reading.layout
    change = same.recording.signal_mv - reading.recording.signal_mv
    assert np.nanstd(change) < 0.02
    fewer = page.read(Corrections(rows=on_picture(reading, *levels[:-1])))
    assert len(fewer.polylines) == len(levels) - 1
    assert fewer.layout == "3x4"


def test_a_faint_row_that_was_not_found_is_read_once_a_person_says_it(clean_page: Page) -> None:
    faint = clean_page.image.copy()
    truth = clean_page.truth
    first = [trace for trace in truth.traces if trace.row == 0]
    heights = np.concatenate([trace.polyline[:, 1] for trace in first])
    band = faint[max(0, int(heights.min()) - 8) : int(heights.max()) + 8]
    keep = np.arange(band.shape[1]) % 400 < 150  # the pen gave out: most of the row is gone
    band[:, ~keep] = np.maximum(band[:, ~keep], 225)
    page = CorrectedPage(faint, BY_CLASSICAL)
    before = page.read()
    if len(before.polylines) == 4:
        pytest.skip("the row was found without help")
    levels = [(faint.shape[1] / 2, float(np.median(first[0].polyline[:, 1]))), *levels_of(before)]
    after = page.read(Corrections(rows=on_picture(before, *levels)))
    assert len(after.polylines) == len(before.polylines) + 1


def test_points_that_are_nearly_one_are_one_time(page: CorrectedPage, reading: Digitization) -> None:
    left, right, _ = stretch_of(reading, 1, 1, 0.5, 1.0)
    level = float(np.nanmedian(reading.polylines[1][:, 1]))
    xs = [left, left + 1e-13, np.ceil(left) + 1e-14, np.ceil(left) + 3.5 - 1e-14, right, right + 1e-13]
    points = on_picture(reading, *((float(x), level) for x in xs))
    first, last = (tuple(reading.polylines[1][at]) for at in (200, 260))  # on points that the line has
    read = page.read(Corrections(lines=(DrawnLine(1, points), DrawnLine(1, on_picture(reading, first, last)))))
    assert np.isfinite(read.recording.lead(lead_at(reading, 1, 1).lead)).any()


def test_a_page_that_lies_on_its_side_is_read_as_a_person_turns_it(clean_page: Page, reading: Digitization) -> None:
    lying = CorrectedPage(np.ascontiguousarray(np.rot90(clean_page.image)), BY_CLASSICAL)
    turned = lying.read(Corrections(turned_deg=90))
    assert turned.page.turned_deg == 90
    assert turned.layout == reading.layout
    assert np.nanstd(turned.recording.lead("V2") - reading.recording.lead("V2")) < 0.02


def test_corners_cut_a_page_out_of_its_picture(clean_page: Page, reading: Digitization) -> None:
    height, width = clean_page.image.shape[:2]
    corners = np.array([[60, 90], [width + 40, 50], [width + 90, height + 60], [30, height + 100]], np.float32)
    flat = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float32)
    picture = cv2.warpPerspective(
        clean_page.image,
        cv2.getPerspectiveTransform(flat, corners),
        (width + 150, height + 150),
        borderValue=(90, 80, 70),
    )
    cut = CorrectedPage(picture, BY_CLASSICAL).read(Corrections(corners=tuple(map(tuple, corners.tolist()))))
    assert cut.layout == reading.layout
    assert np.nanstd(cut.recording.lead("V2") - reading.recording.lead("V2")) < 0.04
    middle = cut.page.on_image(np.array([corners.mean(axis=0)], float))[0]
    assert np.abs(middle - np.array([cut.page.image.shape[1], cut.page.image.shape[0]]) / 2).max() < 20


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"turned_deg": 45}, "turned_deg is 45"),
        ({"speed": 1000.0}, "speed is 1000"),
        ({"names": (LeadName(0, 0, "V10"),)}, "V10"),
        ({"corners": ((0.0, 0.0), (10.0, 0.0), (20.0, 0.0), (0.0, 10.0))}, "corners"),
        ({"ruler": Ruler((0.0, 0.0), (0.0, 0.0), 5.0)}, "ruler"),
    ],
)
def test_what_no_page_can_have_is_refused(wrong: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Corrections(**wrong)


@pytest.mark.parametrize(
    ("corrections", "said"),
    [
        (Corrections(names=(LeadName(9, 0, "I"),)), "no place"),
        (Corrections(lines=(DrawnLine(9, ((0.0, 0.0), (9.0, 0.0))),)), "row 10"),
        (Corrections(lines=(DrawnLine(0, ((5.0, 0.0), (5.0, 9.0))),)), "spans no width"),
        (Corrections(borders=(LeadBorder(0, 0, "right", (0.0, 0.0)),)), "s long"),
    ],
)
def test_what_does_not_fit_the_page_is_refused(page: CorrectedPage, corrections: Corrections, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        page.read(corrections)


def test_a_layout_of_other_rows_is_refused_and_the_page_is_read_on_afterwards(
    page: CorrectedPage, reading: Digitization
) -> None:
    with pytest.raises(PageError, match="12 rows"):
        page.read(Corrections(layout="12x1"))
    assert page.read(Corrections(layout=reading.layout)).layout == reading.layout


def test_another_layout_forgets_the_names_of_the_one_before() -> None:
    named = Corrections(layout="3x4", names=(LeadName(0, 0, "I"),), speed=25.0)
    assert named.with_layout("6x2") == replace(named, layout="6x2", names=())
