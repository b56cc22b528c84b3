"""The rows of pages that few machines print: each kind prints what it says, and the truth is all that is printed."""

import sys
from pathlib import Path

import numpy as np
import pytest

# before the installed distribution that ships a package of the same name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.digitization.kinds import Kind
from benchmarks.digitization.pages import as_asked, column_means, printed
from benchmarks.digitization.rows import rows
from benchmarks.digitization.special import LAYOUT_FILES

from ecg_flare.ecg.leads import ALL_LEADS, LEADS
from ecg_flare.ecg.record import Recording
from ecg_flare.page.layout import load_layout
from ecg_flare.page.render import render_page
from ecg_flare.page.style import PageStyle

WAVES_HZ = 400.0
ROWS = ("fewer", "fifteen", "strips", "speed-gain", "fax")


@pytest.fixture(scope="module")
def waves() -> Recording:
    """Ten seconds of gentle sines, each lead with its own frequency."""
    times_s = np.arange(round(10 * WAVES_HZ)) / WAVES_HZ
    signal = [0.3 * np.sin(2 * np.pi * (0.3 + 0.05 * index) * times_s + index) for index in range(12)]
    return Recording(np.array(signal, dtype=np.float32), WAVES_HZ)


def kind(row: str, name: str) -> Kind:
    return next(each for each in rows()[row].kinds if each.profile.name == name)


def style(row: str, name: str) -> PageStyle:
    return kind(row, name).profile.draw_style(np.random.default_rng(3))


@pytest.mark.parametrize("row", ROWS)
def test_the_shares_of_a_row_sum_to_one(row: str) -> None:
    assert sum(each.share for each in rows()[row].kinds) == pytest.approx(1)


def test_kinds_that_say_so_are_read_with_their_layout_given() -> None:
    given = {each.profile.name: each.layout_is_given for row in ROWS for each in rows()[row].kinds}
    assert given["one lead, given"]
    assert not given["one lead"]
    assert all(flag == name.endswith(", given") for name, flag in given.items())


def test_kinds_print_their_scales_leads_and_dots() -> None:
    split = style("speed-gain", "50 mm/s, 10 and 5 mm/mV")
    assert (split.speed_mm_per_s, split.gain_mm_per_mv, split.chest_gain) == (50, 10, 5)
    assert style("strips", "II, II, II").rhythm_leads == ("II", "II", "II")
    assert load_layout(style("fewer", "six chest leads").layout).leads == ("V1", "V2", "V3", "V4", "V5", "V6")
    assert [spec.kind for spec in kind("fax", "standard").profile.degradations] == ["fax"]


def test_layout_files_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_layout(style("fewer", "two leads, given").layout).name == "2x1"


def test_a_recording_is_repeated_for_a_lead_that_goes_on(waves: Recording) -> None:
    layout = load_layout(str(LAYOUT_FILES / "one-lead.yaml"))
    long = as_asked(waves, layout)
    assert long.duration_s == 24.0
    assert np.array_equal(long.signal_mv[:, 3640:7280], long.signal_mv[:, :3640])
    assert not np.allclose(long.signal_mv[:, 2400:4800], long.signal_mv[:, :2400], atol=0.05)
    assert as_asked(waves, load_layout("3x4+1R")) is waves


def test_all_stretches_of_a_lead_that_goes_on_are_truth(waves: Recording) -> None:
    path = str(LAYOUT_FILES / "one-lead.yaml")
    long = as_asked(waves, load_layout(path))
    truth = render_page(long, PageStyle(layout=path), np.random.default_rng(0)).truth
    shown = printed(long, truth)
    assert np.isfinite(shown.lead("II")).sum() == 24 * 400
    assert not np.isfinite(shown.lead("I")).any()
    assert [np.median(shown.lead("II")[row * 2400 : (row + 1) * 2400]) for row in range(4)] == pytest.approx(
        [0] * 4, abs=1e-6
    )
    perfect = column_means(truth, shown)[1]
    known = np.isfinite(perfect) & np.isfinite(shown.lead("II"))
    assert known.sum() >= 24 * 400 - 4
    np.testing.assert_allclose(perfect[known], shown.lead("II")[known], atol=0.02)


def test_made_up_leads_are_the_mixes_that_are_told(waves: Recording) -> None:
    fifteen = as_asked(waves, load_layout("3x5"))
    assert fifteen.lead_names == ALL_LEADS
    np.testing.assert_allclose(fifteen.lead("V8"), 0.6 * waves.lead("V6") - 0.15 * waves.lead("V2"), atol=1e-6)
    assert as_asked(waves, load_layout("3x4+3R"), ("V4R", "V8", "V9")).lead_names == ALL_LEADS


def test_pages_of_fifteen_leads_print_them_all(waves: Recording) -> None:
    style = PageStyle(layout="3x5")
    truth = render_page(as_asked(waves, load_layout("3x5")), style, np.random.default_rng(0)).truth
    assert {trace.lead for trace in truth.traces} == {*LEADS, "V4R", "V8", "V9"}
