from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.ecg.leads import CHEST_LEADS
from ecg_flare.ecg.record import Recording
from ecg_flare.page.raster import Label
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import PageStyle
from ecg_flare.page.truth import PageTruth

PX_PER_MM = 5.0
SPLIT = PageStyle(layout="6x2+1R", dpi=127.0, gain_mm_per_mv=10.0, chest_gain_mm_per_mv=5.0)


def render(recording: Recording, style: PageStyle) -> Page:
    return render_page(recording, style, np.random.default_rng(0))


def in_mm(pulse: np.ndarray) -> np.ndarray:
    """Points of a pulse from its first one on, heights upwards."""
    return (pulse - pulse[0]) / PX_PER_MM * [1, -1]


def test_chest_leads_are_printed_at_their_own_gain(waves: Recording) -> None:
    truth = render(waves, SPLIT).truth
    assert (truth.gain_mm_per_mv, truth.chest_gain_mm_per_mv) == (10.0, 5.0)
    assert PageTruth.from_json(truth.to_json()).chest_gain_mm_per_mv == 5.0
    for trace in truth.traces:
        signal = waves.lead(trace.lead)[np.rint(trace.times_s() * waves.fs_hz).astype(int)]
        gain = 5.0 if trace.lead in CHEST_LEADS else 10.0
        assert truth.gain_of(trace.lead) == gain
        np.testing.assert_allclose(np.ptp(trace.polyline[:, 1]), np.ptp(signal) * gain * PX_PER_MM, rtol=1e-5)


def test_the_chest_gain_is_the_gain_where_it_is_not_split(waves: Recording) -> None:
    truth = render(waves, PageStyle(dpi=60.0, gain_mm_per_mv=20.0)).truth
    assert truth.chest_gain_mm_per_mv == 20.0


def test_a_stepped_pulse_shows_both_gains_for_a_tenth_of_a_second_each(waves: Recording) -> None:
    *mixed, strip = render(waves, SPLIT).truth.pulses
    assert len(mixed) == 6
    steps = [(0, 0), (1, 0), (1, 10), (3.5, 10), (3.5, 5), (6, 5), (6, 0), (7, 0)]
    for pulse in mixed:
        np.testing.assert_allclose(in_mm(pulse), steps, atol=1e-9)
    np.testing.assert_allclose(in_mm(strip), [(0, 0), (1, 0), (1, 10), (6, 10), (6, 0), (7, 0)], atol=1e-9)


def test_a_plain_pulse_says_nothing_of_the_second_gain(waves: Recording) -> None:
    for pulse in render(waves, replace(SPLIT, pulse_shape="plain")).truth.pulses:
        np.testing.assert_allclose(in_mm(pulse), [(0, 0), (1, 0), (1, 10), (6, 10), (6, 0), (7, 0)], atol=1e-9)


def test_a_row_of_chest_leads_alone_has_a_pulse_of_their_gain(waves: Recording) -> None:
    pulses = render(waves, replace(SPLIT, layout="12x1")).truth.pulses
    assert [round(in_mm(pulse)[:, 1].max(), 6) for pulse in pulses] == [10.0] * 6 + [5.0] * 6


@pytest.mark.parametrize("gap_mm", [0.0, 0.3, 2.0])
@pytest.mark.parametrize(("layout", "columns"), [("3x4+1R", 4), ("6x2", 2), ("12x1", 1)])
def test_pulses_in_columns_stand_before_each_lead(waves: Recording, layout: str, columns: int, gap_mm: float) -> None:
    style = PageStyle(layout=layout, dpi=127.0, pulse="columns", pulse_gap_mm=gap_mm, chest_gain_mm_per_mv=5.0)
    page = render(waves, style)
    truth = page.truth
    assert len(truth.pulses) == len(truth.traces)
    for pulse, trace in zip(truth.pulses, truth.traces, strict=True):
        signal = waves.lead(trace.lead)[round(trace.start_s * waves.fs_hz)]
        zero_px = trace.polyline[0, 1] + signal * truth.gain_of(trace.lead) * PX_PER_MM
        np.testing.assert_allclose(pulse[-1], [trace.polyline[0, 0] - gap_mm * PX_PER_MM, zero_px], atol=1e-3)
        assert in_mm(pulse)[:, 1].max() == pytest.approx(truth.gain_of(trace.lead))
        assert in_mm(pulse)[-1, 0] == pytest.approx(7.0)
    first_row = [trace for trace in truth.traces if trace.row == 0]
    assert len(first_row) == columns
    for before, pulse in zip(first_row, truth.pulses[1:columns], strict=False):
        end_px = before.polyline[-1, 0] + 25 / waves.fs_hz * PX_PER_MM
        assert pulse[0, 0] - end_px == pytest.approx(gap_mm * PX_PER_MM)
    x = np.concatenate([*truth.pulses, *(trace.polyline for trace in truth.traces)])[:, 0]
    assert x.min() >= 4 * PX_PER_MM - 1
    assert x.max() <= truth.width_px - 4 * PX_PER_MM + 1
    tops = [tuple(np.rint(pulse[3] - [PX_PER_MM, 0]).astype(int)) for pulse in truth.pulses]
    assert {int(page.mask[y, x]) for x, y in tops} <= {Label.PULSE, Label.TRACE}


def test_rooms_for_pulses_shortens_the_leads_where_the_paper_is_too_narrow(waves: Recording) -> None:
    narrow = PageStyle(layout="3x4", paper="letter", dpi=60.0)  # 279.4 mm
    assert render(waves, narrow).truth.traces[-1].end_s == 10
    # 271.4 mm of room less 4 pulses of 7 mm and 7 gaps of 2 mm: 229.4 of 250 mm, so 7/8 of the times
    assert render(waves, replace(narrow, pulse="columns")).truth.traces[-1].end_s == 8.75


@pytest.mark.parametrize(("side", "end"), [("left", -1), ("right", 0)])
def test_the_gap_is_from_the_pulse_to_the_traces(waves: Recording, side: str, end: int) -> None:
    style = PageStyle(layout="6x2", dpi=127.0, pulse=side, pulse_gap_mm=0.0)  # type: ignore[arg-type]
    truth = render(waves, style).truth
    edge = truth.traces[0].polyline[0, 0] if side == "left" else truth.traces[0].polyline[0, 0] + 250 * PX_PER_MM
    assert truth.pulses[0][end, 0] == pytest.approx(edge)


def test_a_split_gain_is_printed_in_the_footer() -> None:
    from ecg_flare.page.heading import draw_heading

    found = {draw_heading(SPLIT, np.random.default_rng(seed)).footer[1] for seed in range(12)}
    assert found == {"10/5 mm/mV", "Limb: 10 mm/mV  Chest: 5 mm/mV"}
