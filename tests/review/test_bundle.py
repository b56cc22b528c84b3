"""What a bundle shows of a page and what it hides."""

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from review_apps import OPTIONS

from ecg_flare.cli import main
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import PageStyle
from ecg_flare.review.bundle import blanked, write_bundle
from ecg_flare.review.decisions import Decision
from ecg_flare.review.folder import ReviewFolder
from ecg_flare.review.open_page import OpenPage, now


@pytest.fixture
def opened(root: Path) -> OpenPage:
    folder = ReviewFolder.opened(root / "read", (root / "scans",))
    return OpenPage(folder.folder, folder.pages()[0], OPTIONS)


@pytest.fixture(scope="module")
def drawn() -> Page:
    rng = np.random.default_rng(8)
    return render_page(synthesize(rng), PageStyle(dpi=100), rng)


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def contrast(image: np.ndarray) -> float:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float)
    return float(np.abs(grey - cv2.blur(grey, (15, 15))).max())


def test_every_word_on_the_page_is_covered_and_every_line_stays(opened: OpenPage, drawn: Page) -> None:
    shown = blanked(opened)
    lines = np.zeros(shown.shape[:2], np.uint8)
    for trace in drawn.truth.traces:
        cv2.polylines(lines, [np.round(trace.polyline).astype(np.int32)], False, 1, 15)
    words = 0
    for box in drawn.truth.print_boxes:
        (left, top), (right, bottom) = box.min(axis=0), box.max(axis=0)
        part = np.s_[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1]
        if lines[part].any():
            continue
        words += 1
        assert contrast(drawn.image[part]) > 60.0
        assert contrast(shown[part]) < 12.0
    assert words > 10
    ink = np.zeros(shown.shape[:2], np.uint8)
    for trace in drawn.truth.traces:
        cv2.polylines(ink, [np.round(trace.polyline).astype(np.int32)], False, 1, 1)
    dark = drawn.image.max(axis=2) < 100
    assert (shown.max(axis=2) < 110)[(ink > 0) & dark].mean() > 0.97


def test_a_bundle_names_nobody(opened: OpenPage, root: Path, tmp_path: Path) -> None:
    opened.decide(Decision("gain", 5.0, "Dr. Lind", now(), "Mrs. Ekberg's pulse is small"), str(opened.journal.head))
    done = write_bundle(opened, tmp_path / "page.zip")
    found = contents(done.path)
    assert set(found) == {"page.png", "reading.json", "decisions.json", "versions.json"} == set(done.files)
    text = b" ".join(found.values()).decode("latin-1")
    for hidden in ("Lind", "Ekberg", str(root), "scans"):
        assert hidden not in " ".join(found[name].decode() for name in found if name.endswith(".json")), hidden
    assert "homography" in text
    assert json.loads(found["decisions.json"]) == [{"what": "gain", "value": 5.0}]
    assert json.loads(found["versions.json"])["packages"]["numpy"] == np.__version__


def test_with_print_the_page_is_whole(opened: OpenPage, drawn: Page, tmp_path: Path) -> None:
    found = contents(write_bundle(opened, tmp_path / "page.zip", with_print=True).path)
    image = cv2.imdecode(np.frombuffer(found["page.png"], np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), drawn.image)


def test_a_page_that_cannot_be_read_is_covered_whole(opened: OpenPage) -> None:
    opened.result = None
    assert contrast(blanked(opened)) < 12.0


def test_the_command_covers_print_unless_it_is_asked_for_and_says_to_look_at_it(
    root: Path, drawn: Page, tmp_path: Path
) -> None:
    out = tmp_path / "bug.zip"
    command = ["bundle", str(root / "read" / "page"), "--pages", str(root / "scans"), "-o", str(out)]
    first_line = min((box for box in drawn.truth.print_boxes), key=lambda box: box[:, 1].min())
    (left, top), (right, bottom) = first_line.min(axis=0).astype(int), first_line.max(axis=0).astype(int) + 1
    for more, is_covered in (([], True), (["--with-print"], False)):
        result = CliRunner().invoke(main, [*command, *more])
        assert result.exit_code == 0, result.output
        assert "Look at page.png" in result.output
        image = cv2.imdecode(np.frombuffer(contents(out)["page.png"], np.uint8), cv2.IMREAD_COLOR)
        assert (contrast(image[top:bottom, left:right]) < 12.0) == is_covered
    missing = CliRunner().invoke(main, ["bundle", str(root / "read" / "other"), "--pages", str(root / "scans")])
    assert missing.exit_code == 2
    assert "no reading 'other'" in missing.output
