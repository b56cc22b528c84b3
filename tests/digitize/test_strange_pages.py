"""What is no whole ECG page is refused or doubted, in a batch that goes on; nothing is wrong and sure of itself."""

import re
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from strange_pages import blank, cat, locked_pdf, printed, strip, text, without_grid

from ecg_flare.digitize import ReadingOptions, digitize
from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.digitize.files.summary import PageOutcome
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.reader import read_page
from ecg_flare.page.style import PageStyle

REFUSED = {
    "blank.png": "nothing on it is darker than its paper",
    "cat.png": "no millimetre grid and no calibration pulse|no trace|No ECG trace",
    "text.png": "no millimetre grid and no calibration pulse",
    "thumbnail.png": "40 x 28 pixels; at least 300 x 150",
    "plain_paper.png": "give it with --px-per-mm",
    "cut_short.jpg": "damaged or cut short",
    "locked.pdf": "encrypted: save it without a password",
    "no_bytes.pdf": "is empty",
}
DOUBTED = {
    "strip.png": "labels alone|gain assumed",
    "left_half.png": "uncertain|labels alone",
    "right_half.png": "uncertain|labels alone",
    "top_half.png": "labels alone",
    "bottom_half.png": "labels alone",
    "pulses_alone.png": "the scale comes from the calibration pulses",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, PageOutcome]:
    """One batch of everything that is wrong, and a sound page at its end."""
    folder = tmp_path_factory.mktemp("strange")
    whole = printed(PageStyle(dpi=120)).image
    height, width = whole.shape[:2]
    pictures = {
        "blank.png": blank(),
        "cat.png": cat(),
        "text.png": text(),
        "strip.png": strip(),
        "thumbnail.png": cv2.resize(whole, (40, 28), interpolation=cv2.INTER_AREA),
        "left_half.png": whole[:, : width // 2],
        "right_half.png": whole[:, width // 2 :],
        "top_half.png": whole[: height // 2],
        "bottom_half.png": whole[height // 2 :],
        "plain_paper.png": without_grid("none").image,
        "pulses_alone.png": without_grid("left").image,
        "cut_short.jpg": whole,
        "sound.png": whole,
    }
    for name, picture in pictures.items():
        Image.fromarray(np.ascontiguousarray(picture)).save(folder / name)
    (folder / "cut_short.jpg").write_bytes((folder / "cut_short.jpg").read_bytes()[:20_000])
    (folder / "locked.pdf").write_bytes(locked_pdf())
    (folder / "no_bytes.pdf").write_bytes(b"")
    (folder / "again").mkdir()
    Image.fromarray(whole).save(folder / "again" / "sound.png")
    names = [*REFUSED, *DOUBTED, "sound.png", "again/sound.png"]
    inputs = [*(folder / name for name in names), folder / "missing.png"]
    summary = run_batch(inputs, folder / "read", progress=False)
    assert summary.exit_code == 3
    return {str(Path(page.source).relative_to(folder)): page for page in summary.pages}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_page_is_refused_with_its_reason(outcomes: Mapping[str, PageOutcome], name: str) -> None:
    assert outcomes[name].report is None
    assert outcomes[name].error is not None
    assert re.search(REFUSED[name], outcomes[name].error)


@pytest.mark.parametrize("name", DOUBTED)
def test_what_is_a_part_of_a_page_is_doubted(outcomes: Mapping[str, PageOutcome], name: str) -> None:
    page = outcomes[name]
    if page.report is None:
        assert "layout" in str(page.error) or "trace" in str(page.error)
        return
    assert page.confidence is not None
    assert page.confidence < CONFIDENT
    assert re.search(DOUBTED[name], " / ".join(page.report["warnings"]))


def test_a_batch_reads_what_is_sound_behind_all_that_is_not(outcomes: Mapping[str, PageOutcome]) -> None:
    first, second = outcomes["sound.png"], outcomes["again/sound.png"]
    assert {first.name, second.name} == {"sound", "sound-2"}
    for page in (first, second):
        assert page.report is not None
        assert page.report["layout"]["name"] == "3x4+1R"
        assert page.confidence is not None
        assert page.confidence >= CONFIDENT
    assert "does not exist" in str(outcomes["missing.png"].error)


def test_plain_paper_is_read_when_its_scale_is_given() -> None:
    page = without_grid("none")
    found = digitize(page.image, ReadingOptions(px_per_mm=120 / 25.4))
    assert (found.layout, found.calibration.method) == ("3x4+1R", "given")
    assert any("gain assumed" in warning for warning in found.warnings)


@pytest.mark.slow
def test_a_scan_of_20000_pixels_is_read_smaller(tmp_path: Path) -> None:
    page = printed(PageStyle(dpi=200)).image
    size = (20_000, round(20_000 * page.shape[0] / page.shape[1]))
    grey = cv2.resize(cv2.cvtColor(page, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_LINEAR)
    cv2.imwrite(str(tmp_path / "huge.jpg"), grey)
    read = read_page(PageFile(tmp_path / "huge.jpg", 1, "huge"))
    assert max(read.image.shape) <= 8000
    assert "was shrunk" in read.warnings[0]
    assert digitize(read.image).layout == "3x4+1R"
