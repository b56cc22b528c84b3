"""Pages on disk: what was rendered comes back, and trains."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.errors import PageError, RecordError
from ecg_flare.page.files import add_patients, as_printed, load_page, save_page
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.resample import resample_page
from ecg_flare.page.style import PageStyle
from ecg_flare.task.traces.page_folder import PageFolder


@pytest.fixture(scope="module")
def recording() -> Recording:
    return synthesize(np.random.default_rng(1))


@pytest.fixture(scope="module")
def page(recording: Recording) -> Page:
    return render_page(recording, PageStyle(layout="6x2", dpi=110), np.random.default_rng(2))


def test_a_page_comes_back_pixel_by_pixel(page: Page, recording: Recording, tmp_path: Path) -> None:
    back = load_page(save_page(page, recording, tmp_path / "new" / "folder", "p_1"))
    assert np.array_equal(back.image, page.image)
    assert back.truth.to_json() == page.truth.to_json()


def test_the_mask_on_disk_is_the_mask_of_the_page(page: Page, recording: Recording, tmp_path: Path) -> None:
    save_page(page, recording, tmp_path, "p")
    assert np.array_equal(cv2.imread(str(tmp_path / "p.mask.png"), cv2.IMREAD_UNCHANGED), page.mask)


def test_what_is_printed_of_the_recording_lies_beside_its_page(
    page: Page, recording: Recording, tmp_path: Path
) -> None:
    save_page(page, recording, tmp_path, "p")
    back = read_wfdb(tmp_path / "p.hea")
    shown = np.isfinite(back.signal_mv)
    halves = np.arange(recording.n_samples) < 2500  # 6x2 at 500 Hz: limb leads for 5 s, then chest leads for 5 s
    assert np.array_equal(shown, np.array([halves] * 6 + [~halves] * 6))
    assert np.abs(back.signal_mv - recording.signal_mv)[shown].max() <= 0.0005 + 1e-6  # half a step of 1 µV


def test_a_lead_with_a_rhythm_strip_is_printed_throughout(recording: Recording) -> None:
    page = render_page(recording, PageStyle(layout="3x4+1R", dpi=60), np.random.default_rng(2))
    shown = np.isfinite(as_printed(recording, page.truth).signal_mv).sum(axis=1)
    assert shown.tolist() == [1250, 5000, *[1250] * 10]


def test_a_site_can_train_on_the_folder(page: Page, recording: Recording, tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_page(page, recording, tmp_path, name)
    add_patients(tmp_path, {"one": "P1", "two": "P2"})
    cases = list(PageFolder(folder=str(tmp_path)).cases("site-1"))
    assert [(case.name, case.patient_id) for case in cases] == [("one", "P1"), ("two", "P2")]
    normalized = resample_page(page)
    assert np.array_equal(cases[0].image, normalized.image)
    assert np.array_equal(cases[0].mask, normalized.mask)


def test_patients_are_added_to_those_already_known(tmp_path: Path) -> None:
    add_patients(tmp_path, {"b": "2", "c": "3"})
    path = add_patients(tmp_path, {"a": "1", "c": "4"})
    assert path.read_text() == "page,patient_id\na,1\nb,2\nc,4\n"


@pytest.mark.parametrize("name", ["../escape", "with space", ""])
def test_a_name_that_is_no_record_name_is_refused(page: Page, recording: Recording, tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordError):
        save_page(page, recording, tmp_path / "pages", name)


def test_a_missing_truth_a_damaged_image_and_a_wrong_size_are_refused(
    page: Page, recording: Recording, tmp_path: Path
) -> None:
    image_path = save_page(page, recording, tmp_path, "p")
    cv2.imwrite(str(image_path), page.image[:-1])
    with pytest.raises(PageError, match="its truth describes"):
        load_page(image_path)
    image_path.write_bytes(b"")
    with pytest.raises(PageError, match="is empty: it has no bytes"):
        load_page(image_path)
    (tmp_path / "p.json").unlink()
    with pytest.raises(PageError, match="Cannot read the page"):
        load_page(image_path)
