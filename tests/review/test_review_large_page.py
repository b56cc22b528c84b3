"""A page of 50 million pixels in a browser: what its tiles show, how many are asked for, and what is kept of them."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from review_browser import CHROMIUM, Desk, samples, serving

from ecg_flare.page.page_list import PageFile
from ecg_flare.page.reader import LONGEST_PX, read_page
from ecg_flare.review.tiles import TILE_PX

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: no browser to drive"),
]

LONG_PX = 8400


@pytest.fixture(scope="module")
def served(read_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    root = tmp_path_factory.mktemp("large")
    for folder in ("scans", "read"):
        (root / folder).mkdir()
    small = cv2.imread(str(read_once / "scans" / "page.png"))
    size = (LONG_PX, round(LONG_PX * small.shape[0] / small.shape[1]))
    cv2.imwrite(str(root / "scans" / "page.jpg"), cv2.resize(small, size, interpolation=cv2.INTER_CUBIC))
    with serving(root, within_s=60) as address:
        yield root, address


@pytest.fixture(scope="module")
def picture(served: tuple[Path, str]) -> np.ndarray:
    """The picture as it is read: shrunk by two, since it is longer than LONGEST_PX."""
    image = read_page(PageFile(served[0] / "scans" / "page.jpg", 1, "page")).image
    assert LONG_PX > LONGEST_PX
    assert image.shape[1] == LONG_PX // 2
    return image


def shown(desk: Desk) -> tuple[np.ndarray, tuple[float, float, float]]:
    """What stands on the canvas (RGBA), and the scale and the place of the page's first pixel there."""
    desk.loaded()
    x, y, per_px = desk.page.evaluate(
        """() => {
            const overlay = document.getElementById("overlay");
            const [left, top, width] = overlay.getAttribute("viewBox").split(" ").map(Number);
            const scale = overlay.getBoundingClientRect().width / width;
            return [-(left + 0.5) * scale, -(top + 0.5) * scale, scale];
        }"""
    )
    data = desk.page.evaluate("""() => document.getElementById("canvas").toDataURL()""")
    return np.array(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2])))), (x, y, per_px)


def as_it_should_be(picture: np.ndarray, canvas: np.ndarray, view: tuple[float, float, float]) -> np.ndarray:
    x, y, scale = view
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture
    own = scale / min(1.0, scale)
    matrix = np.array([[own, 0, x + (own - 1) / 2], [0, own, y + (own - 1) / 2]])
    return cv2.warpAffine(small, matrix, (canvas.shape[1], canvas.shape[0]))


def zoom_to_pixels(desk: Desk) -> None:
    desk.page.locator("#viewer").focus()
    desk.page.keyboard.press("0")
    for _ in range(7):
        desk.page.keyboard.press("+")


def test_the_whole_page_and_each_part_of_it_are_shown_as_they_are(desk: Desk, picture: np.ndarray) -> None:
    desk.page.keyboard.press("0")
    for near in (False, True):
        if near:
            zoom_to_pixels(desk)
        canvas, view = shown(desk)
        assert (view[2] > 0.5) == near
        inside = canvas[..., 3] == 255
        assert inside.mean() > 0.4
        top, left = np.argwhere(inside).min(axis=0) + 4
        bottom, right = np.argwhere(inside).max(axis=0) - 4
        found, expected = (
            cv2.GaussianBlur(each[top:bottom, left:right, 1].astype(np.float64), (0, 0), 2.0)
            for each in (canvas, as_it_should_be(picture, canvas, view))
        )
        moved, _ = cv2.phaseCorrelate(found, expected)
        assert np.hypot(*moved) < 1.0
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95


def test_only_the_parts_that_are_seen_are_asked_for(desk: Desk, picture: np.ndarray) -> None:
    desk.page.reload()
    desk.page.wait_for_selector("#leads tbody tr", timeout=120_000)
    desk.settled()
    begun = len(desk.asked)
    zoom_to_pixels(desk)
    desk.loaded()
    tiles = [url.split("/tiles/page/")[1] for url in desk.asked[begun:] if "/tiles/page/" in url]
    finest = [tile for tile in tiles if tile.startswith("0/")]
    box = desk.page.locator("#viewer").bounding_box()
    at_once = (box["width"] / TILE_PX / 0.5 + 2) * (box["height"] / TILE_PX / 0.5 + 2)
    assert 4 <= len(finest) <= at_once
    whole = -(-picture.shape[0] // TILE_PX) * -(-picture.shape[1] // TILE_PX)
    assert len(finest) < whole
    assert len(set(tiles)) == len(tiles)


def test_the_browser_keeps_no_more_parts_than_it_may_and_asks_again_for_those_that_it_let_go(desk: Desk) -> None:
    found: dict[str, Any] = desk.page.evaluate(
        """async ([width, height]) => {
            const {Viewer} = await import("/static/viewer.js");
            const viewer = new Viewer(() => {}, 6), most = [];
            const loaded = async () => {
                await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
                while ([...viewer.tiles.values()].includes(null)) await new Promise((done) => setTimeout(done, 50));
            };
            viewer.show({name: "page", of: "page", width, height, key: "test"});
            viewer.resize();
            viewer.zoom(1 / viewer.scale);
            viewer.pan(-viewer.x, -viewer.y);
            await loaded();
            const [id, image] = [...viewer.tiles].find(([id]) => id.startsWith("test/0/"));
            const was = image.width;
            for (let step = 0; step < 5; step++) {
                viewer.pan(0, -500);
                await loaded();
                most.push(viewer.tiles.size);
            }
            const closed = image.width;
            viewer.pan(0, 5 * 500);
            await loaded();
            return {most, was, closed, again: viewer.tiles.get(id)?.width};
        }""",
        [LONG_PX // 2, 2900],
    )
    assert max(found["most"]) <= 12
    assert (found["was"], found["closed"], found["again"]) == (TILE_PX, 0, TILE_PX)


def test_a_decision_on_a_large_page_reaches_its_recording(desk: Desk) -> None:
    before = desk.view()
    desk.page.reload()
    desk.page.wait_for_selector("#leads tbody tr", timeout=120_000)
    desk.settled()
    desk.measure("gain", "20")
    after = desk.view()
    factor = before["calibration"]["gain"] / 20.0
    assert samples(after, 1, 1) == pytest.approx(factor * samples(before, 1, 1), abs=1.5, nan_ok=True)
    assert any("shrunk" in warning for warning in after["warnings"])
    assert desk.faults == []
