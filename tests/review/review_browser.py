"""A browser on the review app: its process, the page in Chromium, and the app's own answers beside it."""

import json
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def serve(root: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the app on a folder; its process and its address."""
    program = "from ecg_flare.cli import main; main()"
    arguments = ["review", str(root / "read"), "--pages", str(root / "scans"), "--reviewer", "Dr. Lind", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments, "--segmenter", "classical"], stdout=subprocess.PIPE, text=True
    )
    said = ""
    assert process.stdout is not None
    while "}" not in said and process.poll() is None:
        said += process.stdout.readline()
    return process, json.loads(said)["address"]


@contextmanager
def serving(root: Path, within_s: float) -> Iterator[str]:
    """The address of the app on a folder, which afterwards has to end within so many seconds."""
    process, address = serve(root)
    try:
        yield address
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=within_s) == 0
    finally:
        process.kill()


@dataclass
class Desk:
    """A browser on the app, and the app's own answers beside it."""

    page: Any
    address: str
    asked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    answered: int = 0

    def answer(self, _: Any) -> None:
        self.answered += 1

    def loaded(self) -> None:
        """Wait until every request is answered, and what came is drawn and asks for no more."""
        seen = -1
        while seen != len(self.asked) or self.answered < seen:
            seen = len(self.asked)
            self.page.wait_for_timeout(250)

    def view(self) -> dict[str, Any]:
        base, token = self.address.split("/#")
        request = urllib.request.Request(f"{base}/api/pages/page", headers={"x-review-token": token})
        with urllib.request.urlopen(request) as answer:
            return dict(json.load(answer))

    def settled(self) -> None:
        self.page.wait_for_timeout(150)
        self.page.wait_for_selector("#viewer[aria-busy=false]", timeout=180_000)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the page stands on the screen."""
        return tuple(
            self.page.evaluate(
                """([x, y]) => {
                    const overlay = document.getElementById("overlay"), box = overlay.getBoundingClientRect();
                    const [left, top, width] = overlay.getAttribute("viewBox").split(" ").map(Number);
                    const scale = box.width / width;
                    return [box.x + (x - left) * scale, box.y + (y - top) * scale];
                }""",
                [x, y],
            )
        )

    def drag(self, *places: tuple[float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*self.at(*places[0]))
        mouse.down()
        for place in places[1:]:
            mouse.move(*self.at(*place), steps=3)
        mouse.up()
        self.settled()

    def measure(self, name: str, value: str) -> None:
        """Say a measure of the page, as a person does."""
        self.page.keyboard.press("m")
        self.page.fill(f"input[name={name}]", value)
        self.page.keyboard.press("Enter")
        self.settled()

    def undo(self) -> None:
        self.page.keyboard.press("Control+z")
        self.settled()


@contextmanager
def browsing(address: str) -> Iterator[Desk]:
    """Open the app in Chromium, and wait until its first page is shown."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        opened = Desk(page, address)
        page.on("request", lambda request: opened.asked.append(request.url))
        page.on("requestfinished", opened.answer)
        page.on("requestfailed", opened.answer)
        page.on("pageerror", lambda error: opened.faults.append(str(error)))
        page.on("console", lambda message: opened.faults.append(message.text) if message.type == "error" else None)
        page.goto(address)
        page.wait_for_selector("#leads tbody tr", timeout=120_000)
        opened.settled()
        yield opened
        browser.close()


def lead(view: dict[str, Any], row: int, place: int) -> dict[str, Any]:
    return next(each for each in view["leads"] if (each["row"], each["place"]) == (row, place))


def samples(view: dict[str, Any], row: int, place: int) -> np.ndarray:
    return np.array(lead(view, row, place)["samples_uv"], float)


def height(view: dict[str, Any], row: int, x: float) -> float:
    line = np.concatenate(view["rows"][row]["line"])
    return float(np.interp(x, line[:, 0], line[:, 1]))


def middle(view: dict[str, Any], row: int, place: int) -> tuple[float, float]:
    own = lead(view, row, place)
    x = (own["left"] + own["right"]) / 2
    return x, height(view, row, x)
