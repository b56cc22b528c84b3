"""Every tool in a browser on pages that nobody rendered: a small scan, and a bent photograph; each effect by number."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from review_apps import OPTIONS
from review_browser import CHROMIUM, Desk, height, lead, middle, samples, serving

from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.ecg.record import read_wfdb

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.realdata,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: no browser to drive"),
]

PAGES = ("ecg00014.png", "ecg00026.jpg")
"""A scan of 3 pixels a millimetre, whose reading is withheld; and paper that was bent by 0.7 mm."""


@pytest.fixture(scope="module", params=PAGES)
def served(request: pytest.FixtureRequest, data_root: Path, tmp_path_factory: Any) -> Iterator[tuple[Path, str]]:
    root = tmp_path_factory.mktemp("real")
    (root / "scans").mkdir()
    picture = data_root / "real_pages" / request.param
    shutil.copyfile(picture, root / "scans" / f"page{picture.suffix}")
    run_batch([root / "scans"], root / "read", OPTIONS, progress=False)
    with serving(root, within_s=60) as address:
        yield root, address


@pytest.fixture
def before(desk: Desk) -> Iterator[dict[str, Any]]:
    """The page before a decision, which is taken back afterwards: the recording is then what it was."""
    view = desk.view()
    assert (view["error"], view["layout"]["name"]) == ("", "3x4+1R")
    yield view
    while desk.view()["can_undo"]:
        desk.page.locator("#undo").click()
        desk.settled()
    again = desk.view()
    for first, second in zip(view["leads"], again["leads"], strict=True):
        assert first["samples_uv"] == second["samples_uv"]


def per_mv_px(view: dict[str, Any]) -> float:
    return float(view["calibration"]["px_per_mm_y"] * view["calibration"]["gain"])


def seconds_per_px(own: dict[str, Any]) -> float:
    return float((own["end_s"] - own["start_s"]) / (own["right"] - own["left"]))


def alike(first: np.ndarray, second: np.ndarray) -> float:
    n = min(len(first), len(second))
    known = np.isfinite(first[:n]) & np.isfinite(second[:n])
    return float(np.corrcoef(first[:n][known], second[:n][known])[0, 1])


def test_a_line_is_dragged(desk: Desk, before: dict[str, Any]) -> None:
    x, y = middle(before, 1, 1)
    up = 2.0 * before["calibration"]["px_per_mm_y"]
    desk.page.keyboard.press("d")
    desk.drag((x, y), (x, y - up))
    after = desk.view()
    assert height(after, 1, x) == pytest.approx(y - up, abs=0.15 * up)
    change = np.nanmax(samples(after, 1, 1) - samples(before, 1, 1))
    assert change == pytest.approx(1000 * up / per_mv_px(before), rel=0.15)


def test_a_stretch_is_redrawn(desk: Desk, before: dict[str, Any]) -> None:
    x, y = middle(before, 2, 1)
    unit = before["calibration"]["px_per_mm_x"]
    above = y - 4.0 * before["calibration"]["px_per_mm_y"]
    desk.page.keyboard.press("w")
    desk.drag((x, above), (x + 4 * unit, above), (x + 8 * unit, above))
    after = desk.view()
    rate = after["fs_hz"] * seconds_per_px(lead(after, 2, 1))
    first, last = (round((x + part * unit - lead(after, 2, 1)["left"]) * rate) for part in (1.5, 6.5))
    part = samples(after, 2, 1)[first:last]
    assert np.ptp(part) < 40.0
    own, line = lead(before, 2, 1), np.concatenate(before["rows"][2]["line"])
    xs = np.linspace(own["left"], own["right"], 500)
    level, volts = np.median(np.interp(xs, line[:, 0], line[:, 1])), np.nanmedian(samples(before, 2, 1))
    assert np.mean(part) - volts == pytest.approx(1000 * (level - above) / per_mv_px(before), abs=60.0)


def test_the_tracer_follows_clicks(desk: Desk, before: dict[str, Any]) -> None:
    own = lead(before, 1, 2)
    xs = np.linspace(own["left"], own["right"], 6)[1:-1]
    desk.page.keyboard.press("f")
    for x in xs:
        desk.page.mouse.click(*desk.at(x, height(before, 1, x)))
    desk.page.wait_for_selector("#overlay path.draft", timeout=60_000)
    desk.page.keyboard.press("Enter")
    desk.settled()
    desk.settled()
    after = desk.view()
    assert after["history"][-1]["says"] == "line of row 2 followed"
    assert alike(samples(after, 1, 2), samples(before, 1, 2)) > 0.95


def test_a_stretch_is_marked_unreadable(desk: Desk, before: dict[str, Any]) -> None:
    x, y = middle(before, 0, 2)
    width = 5.0 * before["calibration"]["px_per_mm_x"]
    lost = np.isnan(samples(before, 0, 2)).sum()
    desk.page.keyboard.press("u")
    desk.drag((x, y), (x + width, y))
    after = desk.view()
    expected = width * after["fs_hz"] * seconds_per_px(lead(after, 0, 2))
    assert np.isnan(samples(after, 0, 2)).sum() - lost == pytest.approx(expected, rel=0.15)


def test_a_border_is_moved_in_all_rows_of_its_column(desk: Desk, before: dict[str, Any]) -> None:
    desk.page.keyboard.press("b")
    desk.page.get_by_role("slider", name=re.compile("^Border of I and aVR")).focus()
    desk.page.keyboard.press("Shift+ArrowRight")
    desk.page.keyboard.press("Enter")
    desk.settled()
    after = desk.view()
    for row in range(3):
        moved = lead(after, row, 0)["right"] - lead(before, row, 0)["right"]
        assert moved == pytest.approx(10.0, abs=0.6)
        assert lead(after, row, 1)["left"] - lead(before, row, 1)["left"] == pytest.approx(moved, abs=0.6)
        more = len(samples(after, row, 0)) - len(samples(before, row, 0))
        assert more == pytest.approx(moved * after["fs_hz"] * seconds_per_px(lead(after, row, 0)), abs=2.0)


def test_leads_are_named_and_swapped(desk: Desk, before: dict[str, Any]) -> None:
    first, second = lead(before, 0, 2)["lead"], lead(before, 1, 2)["lead"]
    desk.page.get_by_role("button", name=first, exact=True).first.click()
    desk.page.locator(".names").get_by_role("button", name=second, exact=True).click()
    desk.settled()
    after = desk.view()
    assert (lead(after, 0, 2)["lead"], lead(after, 1, 2)["lead"]) == (second, first)
    assert samples(after, 0, 2) == pytest.approx(samples(before, 0, 2), nan_ok=True)


def test_the_gain_divides_the_voltages(desk: Desk, before: dict[str, Any]) -> None:
    desk.measure("gain", "20")
    after = desk.view()
    factor = before["calibration"]["gain"] / 20.0
    assert samples(after, 1, 1) == pytest.approx(factor * samples(before, 1, 1), abs=1.5, nan_ok=True)


def test_the_speed_divides_the_time(desk: Desk, before: dict[str, Any]) -> None:
    desk.measure("speed", "50")
    after = desk.view()
    long = [lead(view, 3, 0)["end_s"] - lead(view, 3, 0)["start_s"] for view in (before, after)]
    assert long[1] / long[0] == pytest.approx(before["calibration"]["speed"] / 50.0, rel=0.03)


def test_a_ruler_says_the_scale(desk: Desk, before: dict[str, Any]) -> None:
    unit = before["calibration"]["px_per_mm_x"]
    desk.page.keyboard.press("s")
    desk.drag((100, 100), (100 + 50 * unit, 100))
    desk.page.fill("#mm", "100")
    desk.page.keyboard.press("Enter")
    desk.settled()
    after = desk.view()
    assert after["corrections"]["ruler"]
    if not after["error"]:  # at half the scale the page may not be read
        assert after["calibration"]["px_per_mm_x"] == pytest.approx(unit / 2, rel=0.02)


def test_a_row_that_is_taken_off_is_not_in_the_recording(desk: Desk, before: dict[str, Any]) -> None:
    desk.page.keyboard.press("r")
    level = float(np.median(np.concatenate(before["rows"][3]["line"])[:, 1]))
    desk.page.mouse.click(*desk.at(before["page"]["width"] / 2, level))
    desk.page.keyboard.press("Enter")
    desk.settled()
    after = desk.view()
    assert (len(before["rows"]), len(after["rows"])) == (4, 3)
    assert not any(own["row"] == 3 for own in after["leads"])


def test_the_page_is_turned(desk: Desk, before: dict[str, Any]) -> None:
    desk.page.keyboard.press("t")
    desk.page.get_by_role("button", name="180°").click()
    desk.settled()
    after = desk.view()
    assert after["corrections"]["turn"] == 180
    if not after["error"]:  # a page on its head may not be read
        assert after["page"]["turned_deg"] == 180


def test_corners_are_set(desk: Desk, before: dict[str, Any]) -> None:
    width, tall = before["picture"]["width"], before["picture"]["height"]
    desk.page.keyboard.press("c")
    desk.page.wait_for_timeout(300)
    desk.drag((width - 1, tall - 1), (width - 9, tall - 5))
    desk.page.keyboard.press("Enter")
    desk.settled()
    after = desk.view()
    assert np.array(after["corrections"]["corners"])[2] == pytest.approx([width - 9, tall - 5], abs=3.0)
    if not after["error"] and after["layout"]["name"] == "3x4+1R":
        assert alike(samples(after, 1, 1), samples(before, 1, 1)) > 0.8


def test_a_confirmed_page_is_written_as_it_is_shown(desk: Desk, served: tuple[Path, str]) -> None:
    desk.page.locator("#viewer").focus()
    desk.page.keyboard.press("Shift+Enter")
    desk.settled()
    view = desk.view()
    assert view["confirmed"]
    desk.page.wait_for_selector("#saved:has-text('saved')", timeout=60_000)
    report = json.loads((served[0] / "read" / "page.json").read_text())
    assert report["review"]["whole_page"]
    assert report["recording"]["status"] == "written"
    written = read_wfdb(served[0] / "read" / "page")
    own = lead(view, 1, 1)
    begin = round(own["start_s"] * view["fs_hz"])
    on_disk = 1000 * written.lead(own["lead"])[begin : begin + len(own["samples_uv"])]
    assert on_disk == pytest.approx(samples(view, 1, 1), abs=3.0, nan_ok=True)
    assert [fault for fault in desk.faults if "422" not in fault] == []
