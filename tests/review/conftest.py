"""A folder of readings to review, and the app on it without a server."""

import shutil
from collections.abc import Callable, Hashable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from review_browser import Desk, browsing

from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.render import render_page
from ecg_flare.page.style import PageStyle

if TYPE_CHECKING:
    from review_apps import App


@pytest.fixture(scope="module")
def desk(served: tuple[Path, str]) -> Iterator[Desk]:
    """A browser on the app that the module serves: its folder and its address."""
    with browsing(served[1]) as opened:
        yield opened


@pytest.fixture(scope="session", autouse=True)
def a_picture_is_read_once() -> Iterator[None]:
    """A picture that was opened stays read for all tests: opening it again gives the same reading sooner."""
    kept: dict[Hashable, Any] = {}

    def once(module: str, name: str, key: Callable[..., Hashable]) -> None:
        plain = getattr(import_module(module), name)

        def found(*arguments: Any) -> Any:
            at = (name, *key(*arguments))
            if at not in kept:
                kept[at] = plain(*arguments)
            return kept[at]

        patch.setattr(f"{module}.{name}", found)

    with pytest.MonkeyPatch.context() as patch:
        corrected = "ecg_flare.digitize.corrected_page"
        once(corrected, "open_page", lambda image, options: (image.tobytes(), options))
        once(corrected, "see_ink", lambda measured, segmenter, clock: (measured, segmenter))
        once(corrected, "follow_lines", lambda measured, seen, clock, levels=None: (measured, seen, levels))
        yield


@pytest.fixture(scope="session")
def read_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `scans/page.png` and its reading in `read/`."""
    root = tmp_path_factory.mktemp("review")
    (root / "scans").mkdir()
    rng = np.random.default_rng(8)
    page = render_page(synthesize(rng), PageStyle(dpi=100), rng)
    cv2.imwrite(str(root / "scans" / "page.png"), cv2.cvtColor(page.image, cv2.COLOR_RGB2BGR))
    run_batch([root / "scans"], root / "read", ReadingOptions(segmenter="classical", words="off"), progress=False)
    return root


@pytest.fixture
def root(read_once: Path, tmp_path: Path) -> Path:
    """A copy of that folder, for one test; its NAME.json speaks of the copy's picture."""
    copy = tmp_path / "copy"
    shutil.copytree(read_once, copy)
    report = copy / "read" / "page.json"
    report.write_text(report.read_text().replace(str(read_once), str(copy)))
    return copy


@pytest.fixture
def app(root: Path) -> "App":
    from review_apps import open_app

    return open_app(root)
