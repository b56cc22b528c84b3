"""The app in a browser, photographed."""

from __future__ import annotations

from pathlib import Path

from benchmarks.review.browser import browsing, serving, settled
from benchmarks.review.pages import draw_pages
from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.digitize.options import ReadingOptions


def photograph(root: Path, output: Path) -> None:
    """Serve a page, drag a line of it in Chromium, and write what is seen."""
    draw_pages(root / "scans", "university", 1, 19)
    run_batch([root / "scans"], root / "read", ReadingOptions(segmenter="classical", words="off"), progress=False)
    with serving(root) as (_, address), browsing(address) as (_, page):
        box = page.locator("#viewer").bounding_box()
        assert box is not None
        x, y = box["x"] + 0.45 * box["width"], box["y"] + 0.45 * box["height"]
        page.keyboard.press("d")
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x, y - 12, steps=4)
        page.mouse.up()
        page.wait_for_timeout(350)
        settled(page)
        page.wait_for_selector("#saved:has-text('saved'), #saved:has-text('withheld')", timeout=60_000)
        page.screenshot(path=output)
