"""The app in a browser when something goes wrong: an app or a browser that goes away, two reviewers, a wrong token."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from review_apps import OPTIONS
from review_browser import CHROMIUM, browsing, samples, serve, serving

from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.review.journal import journal_path, read_journal

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: no browser to drive"),
]


def gain_on_disk(root: Path) -> float:
    return float(json.loads((root / "read" / "page.json").read_text())["calibration"]["gain_mm_per_mv"])


def type_gain(page: Any, value: str) -> None:
    page.keyboard.press("m")
    page.fill("input[name=gain]", value)
    page.keyboard.press("Enter")


def test_an_app_that_dies_loses_no_decision_and_the_browser_says_so(root: Path) -> None:
    process, address = serve(root)
    with browsing(address) as desk:
        before = desk.view()
        type_gain(desk.page, "20")
        desk.settled()
        after = desk.view()
        process.kill()  # before the recording is written
        process.wait(timeout=20)
        type_gain(desk.page, "5")
        desk.page.get_by_role("button", name="Try again").wait_for(timeout=20_000)
        assert "does not answer" in desk.page.inner_text("#notice")
    [kept] = read_journal(journal_path(root / "read", "page")).decisions
    assert (kept.what, kept.value) == ("gain", 20.0)
    with serving(root, within_s=20) as again, browsing(again) as desk:
        assert desk.view()["head"] == after["head"]
        factor = before["calibration"]["gain"] / 20.0
        assert samples(desk.view(), 1, 1) == pytest.approx(factor * samples(before, 1, 1), abs=1.5, nan_ok=True)
        desk.page.wait_for_selector("#saved:has-text('saved')", timeout=30_000)
        assert gain_on_disk(root) == 20.0


def test_a_browser_that_goes_away_while_a_decision_is_made_loses_nothing(root: Path) -> None:
    process, address = serve(root)
    with browsing(address) as desk:
        type_gain(desk.page, "20")
        desk.page.wait_for_selector("#viewer[aria-busy=true]", state="attached")
        desk.page.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert [each.value for each in read_journal(journal_path(root / "read", "page")).decisions] == [20.0]
    assert gain_on_disk(root) == 20.0


def test_a_wrong_token_shows_nothing_but_what_is_wrong(root: Path) -> None:
    from playwright.sync_api import sync_playwright

    with serving(root, within_s=20) as address, sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]).new_page()
        for wrong in (address[:-1] + ("a" if address[-1] != "a" else "b"), address.partition("#")[0]):
            page.goto("about:blank")
            page.goto(wrong)
            page.wait_for_selector("#notice:has-text('token is missing or wrong')", timeout=20_000)
            assert "page" not in page.inner_text("#title")
            assert page.locator("#leads tr").count() == 0


def test_two_reviewers_in_two_browsers_see_each_other(root: Path) -> None:
    with serving(root, within_s=20) as mine, serving(root, within_s=20) as theirs, browsing(mine) as desk:
        other = desk.page.context.browser.new_page()
        other.goto(theirs)
        other.wait_for_selector("#leads tbody tr", timeout=120_000)
        other.wait_for_selector("#viewer[aria-busy=false]", timeout=60_000)
        type_gain(other, "20")
        other.wait_for_selector("#status:has-text('gain 20')", timeout=60_000)
        desk.page.keyboard.press("m")
        desk.page.fill("input[name=speed]", "50")
        desk.page.keyboard.press("Enter")
        desk.page.wait_for_selector("#notice:has-text('Dr. Lind decided (gain')", timeout=60_000)
        assert "20 mm/mV" in desk.page.inner_text("#figures")
        desk.settled()
        desk.page.fill("input[name=speed]", "50")
        desk.page.keyboard.press("Enter")
        desk.page.wait_for_selector("#status:has-text('speed 50')", timeout=60_000)
        view = desk.view()
        assert (view["calibration"]["speed"], view["calibration"]["gain"]) == (50.0, 20.0)
        assert [each["what"] for each in view["history"]] == ["gain", "speed"]


def test_a_page_that_was_read_again_offers_its_corrections_and_makes_them_again(root: Path) -> None:
    with serving(root, within_s=20) as address, browsing(address) as desk:
        type_gain(desk.page, "20")
        desk.settled()
        desk.page.wait_for_selector("#saved:has-text('saved')", timeout=30_000)
        corrected = desk.view()
    run_batch([root / "scans"], root / "read", OPTIONS, progress=False)
    with serving(root, within_s=20) as address, browsing(address) as desk:
        assert desk.view()["calibration"]["gain"] != 20.0
        assert "1 earlier decisions are kept" in desk.page.inner_text("#notice")
        assert desk.page.locator("[data-tool=measures]").is_disabled()
        desk.page.get_by_role("button", name="Make them again").click()
        desk.settled()
        assert samples(desk.view(), 1, 1) == pytest.approx(samples(corrected, 1, 1), abs=1.5, nan_ok=True)
        desk.page.wait_for_selector("#saved:has-text('saved')", timeout=30_000)
    assert gain_on_disk(root) == 20.0
