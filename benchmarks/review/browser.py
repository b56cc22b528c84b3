"""The app on a folder, and Chromium on it; needs the packages of the tests."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

SIZE: Final[ViewportSize] = {"width": 1366, "height": 768}
PROGRAM: Final = "from ecg_flare.cli import main; main()"


@contextmanager
def serving(root: Path, reviewer: str = "Dr. Lind") -> Iterator[tuple[int, str]]:
    """The process and the address of the app on `root`/read, with pictures in `root`/scans; it is ended afterwards."""
    arguments = ["review", str(root / "read"), "--pages", str(root / "scans"), "--reviewer", reviewer, "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments, "--segmenter", "classical"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = ""
    while "}" not in said and process.poll() is None:
        said += process.stdout.readline()
    try:
        yield process.pid, json.loads(said)["address"]
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def browsing(address: str) -> Iterator[tuple[Any, Any]]:
    """Chromium, and its page with the app's first page in it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(address)
        page.wait_for_selector("#leads tbody tr", timeout=300_000)
        settled(page)
        yield browser, page
        browser.close()


def settled(page: Any) -> None:
    """Wait until the app shows what was decided."""
    page.wait_for_timeout(150)
    page.wait_for_selector("#viewer[aria-busy=false]", timeout=300_000)
