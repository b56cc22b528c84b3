from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg_flare.ecg.leads import ALL_LEADS, EXTRA_LEADS, LEADS
from ecg_flare.ecg.record import Recording
from ecg_flare.errors import LayoutError
from ecg_flare.page.arrange import check_room
from ecg_flare.page.files import as_printed
from ecg_flare.page.layout import layout_names, load_layout
from ecg_flare.page.raster import Label
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import GridStyle, InkStyle, PageStyle, PrintStyle
from ecg_flare.page.truth import LeadTrace, PageTruth


def render(recording: Recording, style: PageStyle) -> Page:
    return render_page(recording, style, np.random.default_rng(0))


def spans(page: Page) -> dict[tuple[int, str], tuple[float, float]]:
    return {(trace.row, trace.lead): (round(trace.start_s, 9), round(trace.end_s, 9)) for trace in page.truth.traces}


def ink_offsets(page: Page, trace: LeadTrace, reach: int = 9) -> np.ndarray:
    """Centroid of darkness of each pixel column less the polyline's height there."""
    x = np.arange(np.ceil(trace.polyline[0, 0]) + 4, np.floor(trace.polyline[-1, 0]) - 4).astype(int)
    expected = np.interp(x, *trace.polyline.T)
    rows = np.rint(expected).astype(int)[:, None] + np.arange(-reach, reach + 1)
    ink = 255.0 - page.image[rows, x[:, None], 0]
    return (ink * rows).sum(axis=1) / ink.sum(axis=1) - expected


@pytest.mark.parametrize(("dpi", "width_mm"), [(100.0, 0.3), (150.0, 0.25), (150.0, 0.4), (300.0, 0.3)])
@pytest.mark.parametrize("anisotropy", [1.0, 0.93])
def test_ink_lies_on_the_polyline_to_a_twentieth_of_a_pixel(
    waves: Recording, bare: PageStyle, dpi: float, width_mm: float, anisotropy: float
) -> None:
    page = render(waves, replace(bare, dpi=dpi, anisotropy=anisotropy, ink=InkStyle(width_mm=width_mm)))
    offsets = np.concatenate([ink_offsets(page, trace) for trace in page.truth.traces])
    assert len(offsets) > 2000
    assert np.abs(offsets).max() < 0.05
    assert abs(offsets.mean()) < 0.002


@pytest.mark.parametrize("name", layout_names())
def test_every_layout_prints_its_leads_over_their_times(waves: Recording, name: str) -> None:
    signal = np.concatenate([waves.signal_mv, waves.signal_mv[: len(EXTRA_LEADS)]])
    every = Recording(signal, waves.fs_hz, ALL_LEADS)
    page = render(every, PageStyle(layout=name, dpi=60.0))
    expected = {
        (row, segment.lead): (segment.start_s, segment.start_s + segment.duration_s)
        for row, segments in enumerate(load_layout(name).rows)
        for segment in segments
    }
    assert spans(page) == expected
    assert page.truth.layout == name
    rhythm_rows = load_layout(name).rhythm_rows
    assert all(trace.is_rhythm == (trace.row in rhythm_rows) for trace in page.truth.traces)


LIMB_LEADS = "".join(f"- [{{lead: {lead}, duration_s: 10}}]\n" for lead in ("I", "II", "III", "aVR", "aVL", "aVF"))


def test_a_page_of_limb_leads_alone(waves: Recording, bare: PageStyle, tmp_path: Path) -> None:
    file = tmp_path / "limb.yaml"
    file.write_text(f"rows:\n{LIMB_LEADS}")
    page = render_page(waves, replace(bare, layout=str(file)), np.random.default_rng(0))
    assert [(trace.lead, trace.row, trace.end_s) for trace in page.truth.traces] == [
        (lead, row, 10.0) for row, lead in enumerate(("I", "II", "III", "aVR", "aVL", "aVF"))
    ]
    assert page.truth.layout == "limb"  # and not where the file lies
    assert PageTruth.from_json(page.truth.to_json()).layout == "limb"
    printed = as_printed(waves, page.truth)
    assert np.isfinite(printed.signal_mv).all(axis=1).tolist() == [lead in LEADS[:6] for lead in printed.lead_names]
    dark = page.image[..., 0] < 128
    assert np.isin(page.mask[dark], (Label.TRACE, Label.PRINT)).all()
    middle = dark[:, page.truth.width_px // 2].astype(int)
    assert np.count_nonzero(np.diff(middle) == 1) == 6  # one stroke of ink a lead, and nothing else


def test_a_watch_prints_one_lead_in_rows_that_follow_on(bare: PageStyle, tmp_path: Path) -> None:
    file = tmp_path / "watch.yaml"
    rows = "".join(f"- [{{lead: I, start_s: {start_s}, duration_s: 10}}]\n" for start_s in (0, 10, 20))
    file.write_text(f"rows:\n{rows}")
    signal = np.full((12, 9000), np.nan, np.float32)
    signal[0] = np.arange(9000) / 9000  # 30 s at 300 Hz
    page = render_page(Recording(signal, 300.0), replace(bare, layout=str(file)), np.random.default_rng(0))
    assert [(trace.lead, trace.row, trace.start_s, trace.end_s) for trace in page.truth.traces] == [
        ("I", 0, 0.0, 10.0), ("I", 1, 10.0, 20.0), ("I", 2, 20.0, 30.0)
    ]  # fmt: skip
    printed = as_printed(Recording(signal, 300.0), page.truth)
    np.testing.assert_array_equal(printed.lead("I"), signal[0])


@pytest.mark.parametrize(("duration_s", "room"), [(10, True), (80, True), (90, False)])
def test_a_row_too_long_for_the_paper_is_refused(waves: Recording, tmp_path: Path, duration_s: int, room: bool) -> None:
    file = tmp_path / "long.yaml"
    file.write_text(f"rows: [[{{lead: II, duration_s: {duration_s}}}]]")
    style = PageStyle(layout=str(file), dpi=60)
    if room:
        check_room(style)
        assert len(render_page(waves, style, np.random.default_rng(0)).truth.traces) == 1
        return
    message = r"Layout long: a row of 90 s at 25 mm/s is more than 8 times as long as paper a4 has room for \(280 mm\)"
    for attempt in (check_room, lambda style: render_page(waves, style, np.random.default_rng(0))):
        with pytest.raises(LayoutError, match=message):
            attempt(style)


def test_points_are_time_and_voltage_in_millimetres(waves: Recording) -> None:
    style = PageStyle(layout="3x4+1R", dpi=127.0, speed_mm_per_s=25.0, gain_mm_per_mv=5.0)
    page = render(waves, style)
    for trace in page.truth.traces:
        signal = waves.lead(trace.lead)[np.rint(trace.times_s() * waves.fs_hz).astype(int)]
        dx, dy = (trace.polyline - trace.polyline[0]).T
        np.testing.assert_allclose(dx, (trace.times_s() - trace.start_s) * 25 * 5, atol=1e-9)
        np.testing.assert_allclose(dy, -(signal - signal[0]) * 5 * 5, atol=1e-4)


def test_zero_millivolts_share_a_row_and_the_pulse_is_one_millivolt(waves: Recording) -> None:
    page = render(waves, PageStyle(layout="3x4", dpi=127.0, gain_mm_per_mv=20.0, speed_mm_per_s=25.0))
    baselines = {}
    for trace in page.truth.traces:
        signal = waves.lead(trace.lead)[np.rint(trace.times_s() * waves.fs_hz).astype(int)]
        baselines.setdefault(trace.row, []).append(trace.polyline[:, 1] + signal * 20 * 5)
    assert len(page.truth.pulses) == 3
    for row, pulse in enumerate(page.truth.pulses):
        np.testing.assert_allclose(np.concatenate(baselines[row]), pulse[0, 1], atol=1e-3)
        assert np.ptp(pulse[:, 1]) == pytest.approx(20 * 5)
        assert pulse[3, 0] - pulse[2, 0] == pytest.approx(0.2 * 25 * 5)


@pytest.mark.parametrize(("side", "sign"), [("left", -1), ("right", 1)])
def test_the_pulse_stands_at_its_side(waves: Recording, side: str, sign: int) -> None:
    truth = render(waves, PageStyle(dpi=60.0, pulse=side)).truth  # type: ignore[arg-type]
    pulse_x = np.concatenate(truth.pulses)[:, 0]
    trace_x = np.concatenate([trace.polyline for trace in truth.traces])[:, 0]
    assert (pulse_x < trace_x.min()).all() if sign < 0 else (pulse_x > trace_x.max()).all()


def test_simultaneous_columns_all_begin_at_zero(waves: Recording) -> None:
    found = spans(render(waves, PageStyle(layout="3x4+1R", dpi=60.0, columns="simultaneous")))
    assert found[0, "V4"] == (0, 2.5)
    assert found[3, "II"] == (0, 10)


def test_times_shrink_at_double_speed(waves: Recording) -> None:
    found = spans(render(waves, PageStyle(layout="3x4+1R", dpi=60.0, speed_mm_per_s=50.0)))
    assert found[0, "V4"] == (3.75, 5.0)
    assert found[3, "II"] == (0, 5)


def test_narrow_paper_holds_whole_rows(waves: Recording) -> None:
    page = render(waves, PageStyle(layout="6x2", paper="a4-portrait", dpi=60.0))
    x = np.concatenate([trace.polyline for trace in page.truth.traces])[:, 0]
    assert x.min() > 0
    assert x.max() < page.truth.width_px - 1
    assert spans(page)[0, "V1"] == (3.75, 7.5)


def test_the_tightest_page_still_shows_every_lead(waves: Recording) -> None:
    page = render(waves, PageStyle(layout="3x4+1R", dpi=60.0, paper="a4-portrait", speed_mm_per_s=100.0))
    assert spans(page)[3, "II"] == (0, 1.25)
    assert {trace.lead for trace in page.truth.traces} == set(LEADS)


def test_a_short_recording_shortens_the_truth(waves: Recording) -> None:
    short = Recording(waves.signal_mv[:, :2400], waves.fs_hz)  # 6 s
    found = spans(render(short, PageStyle(layout="3x4+1R", dpi=60.0)))
    assert found[0, "aVR"] == (2.5, 5)
    assert found[0, "V1"] == (5, 6)
    assert (0, "V4") not in found
    assert found[3, "II"] == (0, 6)


def test_gaps_and_missing_leads_are_not_drawn(waves: Recording) -> None:
    signal = waves.signal_mv.copy()
    signal[LEADS.index("I"), 100:150] = np.nan
    signal[LEADS.index("V6")] = np.nan
    lone = signal[LEADS.index("V1")]
    lone[:] = np.nan
    lone[2100] = 0.1
    recording = Recording(signal[:-2], waves.fs_hz, LEADS[:-2])  # without V5, V6
    page = render(recording, PageStyle(layout="3x4", dpi=60.0))
    of_lead_i = [trace for trace in page.truth.traces if trace.lead == "I"]
    assert [(trace.start_s, trace.end_s) for trace in of_lead_i] == [(0.0, 0.25), (0.375, 2.5)]
    gap_px = of_lead_i[1].polyline[0, 0] - of_lead_i[0].polyline[-1, 0]
    assert gap_px == pytest.approx(51 / 400 * 25 * page.truth.px_per_mm_x)
    assert {trace.lead for trace in page.truth.traces} == set(LEADS) - {"V1", "V5", "V6"}


def test_an_empty_recording_gives_a_page_without_traces(bare: PageStyle) -> None:
    page = render(Recording(np.empty((12, 0), np.float32), 500.0), bare)
    assert page.truth.traces == ()
    assert page.mask.max() == 3  # labels are printed all the same


def test_cabrera_prints_avr_upside_down(waves: Recording) -> None:
    (trace,) = (t for t in render(waves, PageStyle(layout="3x4-cabrera", dpi=127.0)).truth.traces if t.lead == "aVR")
    signal = waves.lead("aVR")[: len(trace.polyline)]
    assert trace.inverted
    np.testing.assert_allclose(trace.polyline[:, 1] - trace.polyline[0, 1], (signal - signal[0]) * 10 * 5, atol=1e-4)


def test_rhythm_leads_can_be_chosen(waves: Recording) -> None:
    found = spans(render(waves, PageStyle(layout="3x4+3R", dpi=60.0, rhythm_leads=("aVF", "V2"))))
    assert (3, "aVF") in found
    assert (4, "V2") in found
    assert (5, "V5") in found


def test_the_grid_has_its_lines_where_the_scale_says(waves: Recording) -> None:
    nothing = Recording(np.full((12, 10), np.nan, np.float32), 500.0)
    style = PageStyle(
        layout="3x4", dpi=254.0, anisotropy=0.9, pulse="none", text=PrintStyle(header=False, footer=False),
        grid=GridStyle(kind="coarse", phase_x_mm=2.0, phase_y_mm=1.0, coarse_mm=0.3),
    )  # fmt: skip
    page = render(nothing, style)
    top, left = 255.0 - page.image[3, :, 1], 255.0 - page.image[:, 3, 1]
    for profile, phase_mm, px_per_mm in ((top, 2.0, 9.0), (left, 1.0, 10.0)):
        centre = (phase_mm + 5) * px_per_mm - 0.5
        window = np.arange(round(centre) - 6, round(centre) + 7)
        assert (profile[window] * window).sum() / profile[window].sum() == pytest.approx(centre, abs=0.05)
        dark = np.flatnonzero(profile > 0.5 * profile.max())
        assert np.diff(dark[np.diff(dark, prepend=-9) > 1]).mean() == pytest.approx(5 * px_per_mm, rel=0.01)


def test_print_lies_inside_its_boxes(waves: Recording) -> None:
    nothing = Recording(np.full((12, 10), np.nan, np.float32), 500.0)
    style = PageStyle(dpi=150.0, pulse="none", grid=GridStyle(kind="none"), text=PrintStyle(separator="ticks"))
    page = render(nothing, style)
    inked = page.image[..., 0] < 128
    assert inked.sum() > 1000
    assert (page.mask[inked] == 3).mean() > 0.999


def test_text_follows_the_rng_and_nothing_else_does(waves: Recording) -> None:
    style = PageStyle(dpi=80.0)
    one, same, other = (render_page(waves, style, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.image, same.image)
    assert one.truth.to_json() == same.truth.to_json()
    assert not np.array_equal(one.image, other.image)
    for a, b in zip(one.truth.traces, other.truth.traces, strict=True):
        assert np.array_equal(a.polyline, b.polyline)


@pytest.mark.parametrize("font", ["sans", "serif", "serif-bold", "mono"])
def test_every_typeface_prints(waves: Recording, font: str) -> None:
    page = render(waves, PageStyle(dpi=100.0, text=PrintStyle(font=font)))  # type: ignore[arg-type]
    assert len(page.truth.print_boxes) >= 13 + 3 + 4 + 2 + 4
