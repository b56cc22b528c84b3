"""A real page blown up to a hundred million pixels, in the app and in Chromium: seconds, and memory."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.markdown import row
from benchmarks.review.browser import browsing, serving, settled
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.reader import read_page
from ecg_flare.review.tiles import MAX_LEVEL

ZOOMS = 8
PANS = 160


def open_large(root: Path, picture: Path, megapixels: float) -> Iterator[str]:
    """Yield the lines of the report on one picture, enlarged to so many million pixels."""
    for folder in ("scans", "read"):
        (root / folder).mkdir()
    image = _enlarged(picture, megapixels)
    cv2.imwrite(str(root / "scans" / f"page{picture.suffix}"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    yield f"{picture.name}, enlarged to {image.shape[1]} x {image.shape[0]} pixels\n"
    yield row("what", "figure")
    yield row("---", "---")
    with serving(root) as (pid, address):
        view, seconds = _timed(lambda: json.loads(_asked(address, "")))
        yield row("opened and read, s", f"{seconds:.1f}")
        yield row("as it is shown, pixels", f"{view['page']['width']} x {view['page']['height']}")
        tiles = [_timed(partial(_asked, address, f"/tiles/page/{level}/0/0"))[1] for level in range(MAX_LEVEL + 1)]
        yield row("slowest tile, s", f"{max(tiles):.2f}")
        with browsing(address) as (browser, page):
            yield row("Chromium with the page fitted, MB", f"{_chromium_mb(browser):.0f}")
            yield row("moved all over it at full size, s", f"{_timed(lambda: _moved_all_over(page))[1]:.1f}")
            yield row("Chromium then, MB", f"{_chromium_mb(browser):.0f}")
            yield row("a gain is decided, s", f"{_timed(lambda: _gain(page))[1]:.1f}")
        yield row("greatest memory of the app, MB", f"{_memory_mb(pid, 'VmHWM'):.0f}")


def _enlarged(picture: Path, megapixels: float) -> np.ndarray:
    image = read_page(PageFile(picture, 1, picture.stem)).image
    factor = (megapixels * 1e6 / (image.shape[0] * image.shape[1])) ** 0.5
    enlarged: np.ndarray = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return enlarged


def _timed(what: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    return what(), time.perf_counter() - begun


def _asked(address: str, path: str) -> bytes:
    base, token = address.split("/#")
    request = urllib.request.Request(f"{base}/api/pages/page{path}", headers={"x-review-token": token})
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


def _moved_all_over(page: Any) -> None:
    page.locator("#viewer").focus()
    for _ in range(ZOOMS):
        page.keyboard.press("+")
    for step in range(PANS):
        page.keyboard.press(
            "Shift+ArrowDown" if step % 16 == 15 else ("Shift+ArrowRight", "Shift+ArrowLeft")[step // 16 % 2]
        )
        page.wait_for_timeout(30)
    page.wait_for_load_state("networkidle")


def _gain(page: Any) -> None:
    page.keyboard.press("m")
    page.fill("input[name=gain]", "20")
    page.keyboard.press("Enter")
    settled(page)


def _chromium_mb(browser: Any) -> float:
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return sum(_memory_mb(each["id"], "VmRSS") for each in processes)


def _memory_mb(pid: int, what: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) / 1024
