"""The app in a browser: every tool by pointer and by keys, its effect by number, and what a browser may reach.

A process of its own serves it, as `ecg-flare review` does. Skipped where no Chromium is installed.
"""

import json
import re
import shutil
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from review_browser import CHROMIUM, Desk, height, lead, middle, samples, serve, serving

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: no browser to drive"),
]

SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def served(read_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    root = tmp_path_factory.mktemp("served") / "copy"
    shutil.copytree(read_once, root)
    report = root / "read" / "page.json"
    report.write_text(report.read_text().replace(str(read_once), str(root)))
    with serving(root, within_s=20) as address:
        yield root, address


def test_a_line_is_dragged(desk: Desk) -> None:
    before = desk.view()
    x, y = middle(before, 1, 1)
    desk.page.keyboard.press("d")
    desk.drag((x, y), (x, y - 15.0))
    after = desk.view()
    change = np.nanmax(samples(after, 1, 1) - samples(before, 1, 1))
    measures = before["calibration"]
    assert change == pytest.approx(15_000 / (measures["px_per_mm_y"] * measures["gain"]), rel=0.15)
    assert "dragged" in desk.page.inner_text("#status")
    desk.undo()
    assert samples(desk.view(), 1, 1) == pytest.approx(samples(before, 1, 1), nan_ok=True)


def test_a_line_is_dragged_by_keys_alone(desk: Desk) -> None:
    before = desk.view()
    desk.page.keyboard.press("d")
    for key in (*["ArrowUp"] * 3, "Space", *["Shift+ArrowUp"] * 1, "Enter"):
        desk.page.keyboard.press(key)
    desk.settled()
    after = desk.view()
    assert after["history"][-1]["says"].endswith("dragged")
    assert after["head"] != before["head"]
    desk.undo()


def test_a_stretch_is_redrawn(desk: Desk) -> None:
    before = desk.view()
    x, y = middle(before, 2, 1)
    desk.page.keyboard.press("w")
    desk.drag((x, y - 20), (x + 20, y - 20), (x + 40, y - 20))
    after = desk.view()
    own = lead(after, 2, 1)
    rate = after["fs_hz"] * (own["end_s"] - own["start_s"]) / (own["right"] - own["left"])
    part = samples(after, 2, 1)[round((x + 5 - own["left"]) * rate) : round((x + 35 - own["left"]) * rate)]
    assert np.ptp(part) < 30.0
    assert part.mean() > 200.0
    desk.undo()


def test_the_tracer_follows_clicks(desk: Desk) -> None:
    before = desk.view()
    own = lead(before, 0, 1)
    xs = np.linspace(own["left"] + 15, own["right"] - 15, 3)
    desk.page.keyboard.press("f")
    for x in xs:
        desk.page.mouse.click(*desk.at(x, height(before, 0, x)))
    desk.page.wait_for_selector("#overlay path.draft", timeout=30_000)
    desk.page.keyboard.press("Enter")
    desk.settled()
    desk.settled()
    after = desk.view()
    assert after["history"][-1]["says"] == "line of row 1 followed"
    change = samples(after, 0, 1) - samples(before, 0, 1)
    assert np.nanstd(change) < 0.15 * np.nanstd(samples(before, 0, 1))
    desk.undo()


def test_a_stretch_is_marked_unreadable(desk: Desk) -> None:
    before = desk.view()
    x, y = middle(before, 0, 2)
    desk.page.keyboard.press("u")
    desk.drag((x, y), (x + 30, y))
    after = desk.view()
    own = lead(after, 0, 2)
    rate = after["fs_hz"] * (own["end_s"] - own["start_s"]) / (own["right"] - own["left"])
    assert np.isnan(samples(after, 0, 2)).sum() == pytest.approx(30 * rate, rel=0.1)
    desk.undo()


def test_a_border_is_moved_by_keys_in_all_rows_of_its_column(desk: Desk) -> None:
    before = desk.view()
    desk.page.keyboard.press("b")
    grip = desk.page.get_by_role("slider", name=re.compile("^Border of I and aVR"))
    grip.focus()
    desk.page.keyboard.press("Shift+ArrowRight")
    desk.page.keyboard.press("ArrowRight")
    desk.page.keyboard.press("Enter")
    desk.settled()
    after = desk.view()
    for row in range(3):
        assert lead(after, row, 0)["right"] == pytest.approx(lead(before, row, 0)["right"] + 11, abs=0.1)
        assert lead(after, row, 1)["left"] == pytest.approx(lead(before, row, 1)["left"] + 11, abs=0.1)
    desk.undo()


def test_a_border_is_dragged_in_one_row_alone(desk: Desk) -> None:
    before = desk.view()
    desk.page.keyboard.press("0")
    desk.page.keyboard.press("b")
    desk.page.locator("#column").uncheck()
    grip = desk.page.get_by_role("slider", name=re.compile("^Border of II and aVL")).locator(".dot").bounding_box()
    x, y = grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2
    per_px = desk.at(1.0, 0.0)[0] - desk.at(0.0, 0.0)[0]
    desk.page.mouse.move(x, y)
    desk.page.mouse.down()
    desk.page.mouse.move(x + 20 * per_px, y, steps=4)
    desk.page.mouse.up()
    desk.settled()
    after = desk.view()
    moved = [lead(after, row, 0)["right"] - lead(before, row, 0)["right"] for row in range(3)]
    assert moved == pytest.approx([0.0, 20.0, 0.0], abs=1.0)
    more = len(samples(after, 1, 0)) - len(samples(before, 1, 0))
    rate = before["fs_hz"] * (lead(before, 1, 0)["end_s"] - lead(before, 1, 0)["start_s"])
    assert more == pytest.approx(moved[1] * rate / (lead(before, 1, 0)["right"] - lead(before, 1, 0)["left"]), abs=3)
    desk.undo()
    desk.page.locator("#column").check()


def test_leads_are_named_and_swapped(desk: Desk) -> None:
    before = desk.view()
    first, second = lead(before, 0, 2)["lead"], lead(before, 1, 2)["lead"]
    desk.page.get_by_role("button", name=first, exact=True).first.click()
    desk.page.locator(".names").get_by_role("button", name=second, exact=True).click()
    desk.settled()
    after = desk.view()
    assert (lead(after, 0, 2)["lead"], lead(after, 1, 2)["lead"]) == (second, first)
    assert samples(after, 0, 2) == pytest.approx(samples(before, 0, 2), nan_ok=True)
    desk.undo()


@pytest.mark.parametrize(("name", "value", "of"), [("gain", "20", "gain"), ("speed", "50", "speed")])
def test_speed_and_gain_are_set(desk: Desk, name: str, value: str, of: str) -> None:
    desk.measure(name, value)
    after = desk.view()
    assert after["calibration"][of] == float(value)
    assert after["calibration"][f"{of}_source"] == "given"
    desk.undo()


def test_the_figures_follow_a_decision_and_its_reason_is_kept(desk: Desk) -> None:
    before = desk.view()
    desk.page.keyboard.press("m")
    desk.page.fill("#why", "the strip says so")
    desk.page.fill("input[name=speed]", "50")
    desk.page.keyboard.press("Enter")
    desk.settled()
    after, figures = desk.view(), desk.page.inner_text("#figures")
    assert after["history"][-1]["why"] == "the strip says so"
    rate = after["checks"]["heart_rate_bpm"]
    assert rate == pytest.approx(2 * before["checks"]["heart_rate_bpm"], abs=2)
    assert f"{rate}/min" in figures
    assert "50 mm/s" in figures
    assert f"{round(100 * after['confidence'])} %" in figures
    desk.undo()
    desk.page.keyboard.press("Control+y")
    desk.settled()
    assert desk.view()["calibration"]["speed"] == 50.0
    desk.undo()


def test_the_chest_leads_have_a_gain_of_their_own(desk: Desk) -> None:
    before = desk.view()
    desk.measure("chest_gain", "5")
    after = desk.view()
    factor = before["calibration"]["gain"] / 5.0
    assert samples(after, 1, 2) == pytest.approx(factor * samples(before, 1, 2), abs=1.5, nan_ok=True)
    assert samples(after, 1, 1) == pytest.approx(samples(before, 1, 1), abs=1.5, nan_ok=True)
    desk.undo()


def test_a_layout_is_chosen_and_what_was_measured_is_confirmed(desk: Desk) -> None:
    before = desk.view()
    desk.page.keyboard.press("m")
    desk.page.select_option("select[name=layout]", "3x4-cabrera+1R")
    desk.settled()
    chosen = desk.view()
    assert chosen["layout"]["name"] == "3x4-cabrera+1R"
    assert lead(chosen, 0, 0)["lead"] == "aVL"
    assert lead(before, 0, 0)["lead"] == "I"
    desk.undo()
    desk.page.get_by_role("button", name="Confirm as read").click()
    desk.page.wait_for_selector("#history li:has-text('gain 10 mm/mV')", state="attached", timeout=60_000)
    desk.settled()
    said = desk.view()["calibration"]
    assert (said["speed_source"], said["gain_source"]) == ("given", "given")
    assert (said["speed"], said["gain"]) == (25.0, 10.0)
    desk.undo()
    desk.undo()
    assert desk.view()["calibration"]["gain_source"] == "measured"


def test_a_moment_of_the_recording_is_shown_on_the_page_and_the_other_way_round(desk: Desk) -> None:
    view = desk.view()
    own = lead(view, 1, 1)
    x = (own["left"] + own["right"]) / 2
    desk.page.keyboard.press("0")
    area = desk.page.locator("#wave [data-place='1/1']").bounding_box()
    desk.page.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    moved = desk.page.locator("#moment").get_attribute("transform")
    at = [float(each) for each in re.findall(r"-?[\d.]+", moved)[:2]]
    assert at == pytest.approx([x, height(view, 1, x)], abs=2.0)
    desk.page.mouse.move(*desk.at(x, height(view, 1, x)))
    line = desk.page.locator("#wave .moment").bounding_box()
    assert line["x"] == pytest.approx(area["x"] + area["width"] / 2, abs=1.5)
    assert line["y"] == pytest.approx(area["y"], abs=1.5)
    desk.page.mouse.move(1, 1)
    assert desk.page.locator("#moment").get_attribute("transform") == "scale(0)"


def test_a_layout_that_does_not_fit_is_refused_and_says_why(desk: Desk) -> None:
    before = desk.view()
    desk.page.keyboard.press("m")
    desk.page.select_option("select[name=layout]", "12x1")
    desk.settled()
    desk.page.wait_for_selector("#notice.bad")
    assert "12 rows" in desk.page.inner_text("#notice")
    assert desk.view()["head"] == before["head"]
    desk.page.get_by_role("button", name="Dismiss").click()


def test_a_ruler_says_the_scale(desk: Desk) -> None:
    before = desk.view()
    unit = before["calibration"]["px_per_mm_x"]
    desk.page.keyboard.press("s")
    desk.drag((100, 100), (100 + 50 * unit, 100))
    desk.page.fill("#mm", "10")
    desk.page.keyboard.press("Enter")
    desk.settled()
    after = desk.view()
    if after["error"]:  # a page five times as fine may not be read: the scale is said all the same
        assert after["corrections"]["ruler"]
    else:
        assert after["calibration"]["px_per_mm_x"] == pytest.approx(5 * unit, rel=0.01)
    desk.page.locator("#undo").click()
    desk.settled()
    assert desk.view()["calibration"]["px_per_mm_x"] == pytest.approx(unit)


def test_a_row_that_is_none_is_taken_off_and_put_back(desk: Desk) -> None:
    before = desk.view()
    desk.page.keyboard.press("r")
    line = np.concatenate(before["rows"][3]["line"])
    desk.page.mouse.click(*desk.at(before["page"]["width"] * 0.4, float(np.median(line[:, 1]))))
    desk.page.keyboard.press("Enter")
    desk.settled()
    after = desk.view()
    assert (len(before["rows"]), len(after["rows"])) == (4, 3)
    assert after["layout"]["name"] == "3x4"
    desk.page.keyboard.press("r")
    desk.page.mouse.click(*desk.at(before["page"]["width"] * 0.4, float(np.median(line[:, 1]))))
    desk.page.keyboard.press("Enter")
    desk.settled()
    again = desk.view()
    assert (len(again["rows"]), again["layout"]["name"]) == (4, before["layout"]["name"])
    assert samples(again, 3, 0) == pytest.approx(samples(before, 3, 0), abs=60.0, nan_ok=True)
    desk.undo()
    desk.undo()
    assert len(desk.view()["rows"]) == 4


def test_the_page_is_turned_and_back(desk: Desk) -> None:
    desk.page.keyboard.press("t")
    desk.page.get_by_role("button", name="180°").click()
    desk.settled()
    turned = desk.view()
    assert turned["page"]["turned_deg"] == 180 or turned["error"]
    desk.page.locator("#undo").click()
    desk.settled()
    assert desk.view()["error"] == ""


def test_corners_are_set(desk: Desk) -> None:
    before = desk.view()
    width, tall = before["picture"]["width"], before["picture"]["height"]
    desk.page.keyboard.press("c")
    desk.page.wait_for_timeout(300)
    desk.drag((width - 1, tall - 1), (width - 12, tall - 9))
    desk.page.keyboard.press("Enter")
    desk.settled()
    after = desk.view()
    corners = np.array(after["corrections"]["corners"])
    assert corners[2] == pytest.approx([width - 12, tall - 9], abs=2.0)
    assert corners[0] == pytest.approx([0, 0])
    assert after["layout"]["name"] == before["layout"]["name"]
    desk.undo()


def test_a_reload_in_the_middle_of_a_line_loses_nothing(desk: Desk) -> None:
    before = desk.view()
    desk.page.keyboard.press("f")
    x, y = middle(before, 2, 2)
    desk.page.mouse.click(*desk.at(x, y))
    desk.page.mouse.click(*desk.at(x + 20, y))
    desk.page.wait_for_selector("#overlay path.draft", timeout=30_000)
    desk.page.reload()
    desk.page.wait_for_selector("#overlay path.draft", timeout=60_000)
    desk.settled()
    desk.page.keyboard.press("Escape")
    desk.page.keyboard.press("v")
    assert desk.view()["head"] == before["head"]


def test_the_whole_page_is_confirmed_by_a_key_and_written(desk: Desk, served: tuple[Path, str]) -> None:
    desk.page.locator("#viewer").focus()
    desk.page.keyboard.press("Shift+Enter")
    desk.settled()
    assert desk.view()["confirmed"]
    desk.page.wait_for_selector("#saved:has-text('saved')", timeout=30_000)
    report = json.loads((served[0] / "read" / "page.json").read_text())
    assert report["review"]["whole_page"]
    assert len(report["review"]["confirmed"]) == len(report["leads"])
    desk.page.keyboard.press("p")
    desk.page.wait_for_selector("#dialog[open] .list li:has-text('confirmed')", timeout=30_000)
    desk.page.keyboard.press("Escape")


@pytest.mark.parametrize("size", [(1366, 768), (1024, 768), (820, 1180)])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nobody_is_shut_out(desk: Desk, size: tuple[int, int], theme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    desk.page.set_viewport_size({"width": size[0], "height": size[1]})
    if desk.page.evaluate("document.documentElement.dataset.theme") != theme:
        desk.page.locator("#theme").click()
    for shown in ("look", "measures", "borders", "keys", "pages"):
        if shown in ("keys", "pages"):
            desk.page.locator("#help" if shown == "keys" else "#pages").click()
        else:
            desk.page.locator(f"[data-tool={shown}]").click()
        found = axe.Axe().run(desk.page).response["violations"]
        worst = [f"{each['id']}: {each['nodes'][0]['html'][:120]}" for each in found if each["impact"] in SERIOUS]
        assert worst == [], shown
        if shown in ("keys", "pages"):
            desk.page.keyboard.press("Escape")


@pytest.mark.parametrize("size", [(1024, 768), (820, 1180)])
def test_no_part_of_the_app_is_out_of_sight_on_a_tablet(desk: Desk, size: tuple[int, int]) -> None:
    desk.page.set_viewport_size({"width": size[0], "height": size[1]})
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for name in ("confirm", "undo", "stop", "viewer", "wave", "tab-history"):
        box = desk.page.locator(f"#{name}").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]
        assert box["y"] + box["height"] <= size[1]
    wide = [desk.page.locator(f"#{name}").bounding_box()["width"] for name in ("viewer", "wave")]
    assert max(wide) > 0.45 * size[0]
    assert (wide[1] > 0.95 * size[0]) == (size[0] < size[1])


def test_two_fingers_move_and_zoom_the_page_whatever_the_tool(desk: Desk) -> None:
    desk.page.set_viewport_size({"width": 1024, "height": 768})
    desk.page.keyboard.press("0")
    desk.page.keyboard.press("w")
    head, touch = desk.view()["head"], desk.page.context.new_cdp_session(desk.page)
    box = desk.page.locator("#viewer").bounding_box()
    middle_x, middle_y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def fingers(kind: str, apart: float, dx: float) -> None:
        places = [
            {"x": middle_x + dx + side * apart, "y": middle_y, "id": number} for number, side in enumerate((-1, 1))
        ]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places if kind != "touchEnd" else []})

    before = desk.at(0.0, 0.0), desk.at(100.0, 0.0)
    fingers("touchStart", 50.0, 0.0)
    for step in range(1, 6):
        fingers("touchMove", 50.0 + 10.0 * step, 8.0 * step)
    fingers("touchEnd", 0.0, 0.0)
    desk.settled()
    after = desk.at(0.0, 0.0), desk.at(100.0, 0.0)
    assert (after[1][0] - after[0][0]) / (before[1][0] - before[0][0]) == pytest.approx(2.0, rel=0.05)
    fixed = 2.0 * (before[0][0] - middle_x) + middle_x + 40.0
    assert after[0][0] == pytest.approx(fixed, abs=6.0)
    assert desk.view()["head"] == head
    desk.page.keyboard.press("Escape")
    desk.page.keyboard.press("v")


def test_nothing_but_the_app_was_asked_and_nothing_went_wrong(desk: Desk) -> None:
    own = desk.address.split("#")[0]
    assert {url.split("/", 3)[2] for url in desk.asked if not url.startswith("blob:")} == {own.split("/")[2]}
    refused = [fault for fault in desk.faults if "422" not in fault]
    assert refused == []


def listening(pid: int) -> set[str]:
    """Addresses that a process listens on, by the kernel's own table: ADDRESS:PORT in hex, IPv4 and IPv6."""
    sockets = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(str(each.readlink()))
        except OSError:
            continue
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            is_listening = fields[3] == "0A" or table.startswith("udp")
            if is_listening and f"socket:[{fields[9]}]" in sockets:
                found.add(f"{table} {fields[1].split(':')[0]}")
    return found


@pytest.mark.parametrize("end", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, "stop"])
def test_only_this_machine_is_listened_on_and_the_app_ends_when_told_to(root: Path, end: signal.Signals | str) -> None:
    process, address = serve(root)
    try:
        assert listening(process.pid) == {"tcp 0100007F"}  # 127.0.0.1
        if isinstance(end, signal.Signals):
            process.send_signal(end)
        else:
            base, token = address.split("/#")
            headers = {"x-review-token": token, "content-type": "application/json"}
            request = urllib.request.Request(f"{base}/api/stop", b"{}", headers, method="POST")
            assert json.load(urllib.request.urlopen(request)) == {"stopped": True}
        process.wait(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
