"""The app in a browser, photographed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.review.pages import draw_pages
from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.digitize.options import ReadingOptions

SIZE: Final = {"width": 1366, "height": 768}
PROGRAM: Final = "from ecg_flare.cli import main; main()"


def photograph(root: Path, output: Path) -> None:
    """Serve a page, drag a line of it in Chromium, and write what is seen; needs the packages of the tests."""
    from playwright.sync_api import sync_playwright

    draw_pages(root / "scans", "university", 1, 18)
    run_batch([root / "scans"], root / "read", ReadingOptions(segmenter="classical", words="off"), progress=False)
    arguments = ["review", str(root / "read"), "--pages", str(root / "scans"), "--reviewer", "Dr. Lind", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments, "--segmenter", "classical"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = ""
    while "}" not in said and process.poll() is None:
        said += process.stdout.readline()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(json.loads(said)["address"])
        page.wait_for_selector("#leads tbody tr", timeout=120_000)
        page.wait_for_selector("#viewer[aria-busy=false]")
        box = page.locator("#viewer").bounding_box()
        assert box is not None
        x, y = box["x"] + 0.45 * box["width"], box["y"] + 0.45 * box["height"]
        page.keyboard.press("d")
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x, y - 12, steps=4)
        page.mouse.up()
        page.wait_for_timeout(500)
        page.wait_for_selector("#viewer[aria-busy=false]", timeout=60_000)
        page.wait_for_selector("#saved:has-text('saved')", timeout=60_000)
        page.screenshot(path=output)
        page.locator("#stop").click()
        browser.close()
    process.wait(timeout=30)
