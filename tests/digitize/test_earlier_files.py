"""What stands where results go: an earlier reading is replaced or removed, and nobody else's file is touched."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest

from ecg_flare.digitize.files import earlier, output
from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.digitize.files.output import write_result
from ecg_flare.digitize.files.summary import BatchSummary
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.record import read_wfdb, write_wfdb
from ecg_flare.errors import StorageError
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.render import Page

RECORDING = ("a.csv", "a.dat", "a.hea")


def run(page: Path, out: Path, result: Digitization) -> BatchSummary:
    return run_batch([page], out, progress=False, digitizer=lambda _: result)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def status(out: Path) -> str:
    return str(json.loads((out / "a.json").read_text())["recording"]["status"])


@pytest.fixture
def page(clean_page: Page, tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    assert cv2.imwrite(str(tmp_path / "in" / "a.png"), clean_page.image[:, :, ::-1])
    return tmp_path / "in" / "a.png"


@pytest.fixture
def poor(clean_reading: Digitization) -> Digitization:
    return replace(clean_reading, confidence=0.1, warnings=("the line is broken",))


@pytest.fixture
def rendered(page: Path, clean_page: Page, clean_reading: Digitization) -> Path:
    """A folder as `ecg-flare render` leaves it: the page, its truth, and its true recording."""
    write_wfdb(clean_reading.recording, page.parent, "a")
    page.with_suffix(".json").write_text(clean_page.truth.to_json())
    return page.parent


@pytest.mark.parametrize("confidence", [0.1, 0.9])
def test_a_rendered_folder_keeps_its_truth_and_its_recordings(
    rendered: Path, clean_reading: Digitization, confidence: float
) -> None:
    before = contents(rendered)

    summary = run(rendered / "a.png", rendered, replace(clean_reading, confidence=confidence))

    assert contents(rendered) == before
    assert summary.exit_code == 3
    error = summary.pages[0].error or ""
    assert "a.json is not of an earlier reading" in error
    assert "another folder" in error


def test_a_withheld_reading_leaves_what_is_not_ours_and_says_so(page: Path, tmp_path: Path, poor: Digitization) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.csv").write_text("page,patient_id\n")
    (out / "a.hea").symlink_to("nothing")

    for _ in range(2):  # the report of the first run makes them no more ours
        summary = run(page, out, poor)

        assert names(out) == ["a.csv", "a.hea", "a.json", "a.overlay.png"]
        assert (out / "a.csv").read_text() == "page,patient_id\n"
        assert "a.hea, a.csv of another source stay" in (summary.pages[0].withheld or "")
        assert "0.10, below 0.25" in json.loads((out / "a.json").read_text())["recording"]["reason"]


@pytest.mark.parametrize("name", RECORDING)
def test_a_recording_overwrites_nothing_that_is_not_ours(
    page: Path, tmp_path: Path, clean_reading: Digitization, name: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("precious")

    summary = run(page, out, clean_reading)

    assert f"{name} is not of an earlier reading" in (summary.pages[0].error or "")
    assert contents(out) == {name: b"precious"}


@pytest.mark.parametrize("found", ["[1]", '{"recording": {}}', '{"ecg_flare": "1", "recording": 3}', "", "[" * 100_000])
def test_any_other_json_is_nobody_s_report(tmp_path: Path, poor: Digitization, found: str) -> None:
    (tmp_path / "a.json").write_text(found)

    with pytest.raises(StorageError, match=r"a\.json is not of an earlier reading"):
        write_result(poor, poor.page.image, tmp_path, PageFile(Path("a.png"), 1, "a"))

    assert contents(tmp_path) == {"a.json": found.encode()}


def test_an_earlier_recording_is_replaced_and_removed(
    page: Path, tmp_path: Path, clean_reading: Digitization, poor: Digitization
) -> None:
    out = tmp_path / "out"
    whole = sorted([*RECORDING, "a.json", "a.overlay.png"])
    for _ in range(2):
        assert run(page, out, clean_reading).exit_code == 0
        assert (names(out), status(out)) == (whole, "written")
    report = json.loads((out / "a.json").read_text())
    del report["recording"]["status"], report["recording"]["reason"]  # as of versions that withheld nothing
    (out / "a.json").write_text(json.dumps(report))

    run(page, out, poor)
    assert (names(out), status(out)) == (["a.json", "a.overlay.png"], "withheld")

    assert run(page, out, clean_reading).exit_code == 0
    assert (names(out), status(out)) == (whole, "written")


def test_a_page_that_is_refused_keeps_no_earlier_reading(
    page: Path, tmp_path: Path, clean_reading: Digitization
) -> None:
    out = tmp_path / "out"
    run(page, out, clean_reading)
    (out / "b.hea").write_text("of another page")
    page.write_text("no image")

    summary = run(page, out, clean_reading)

    assert "not an image" in (summary.pages[0].error or "")
    assert names(out) == ["b.hea"]


def test_a_page_that_is_refused_touches_nobody_else_s_files(rendered: Path, clean_reading: Digitization) -> None:
    (rendered / "a.png").write_text("no image")
    (rendered / "a.csv").write_text("precious")
    before = contents(rendered)

    assert run(rendered / "a.png", rendered, clean_reading).exit_code == 3

    assert contents(rendered) == before


@pytest.mark.parametrize("earlier_is_written", [True, False])
@pytest.mark.parametrize("confidence", [0.1, 0.9])
def test_wherever_writing_breaks_off_the_report_promises_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clean_reading: Digitization,
    *,
    earlier_is_written: bool,
    confidence: float,
) -> None:
    """As after a crash: nobody tidies up. Afterwards the page can be read again."""
    page, overlay = PageFile(Path("a.png"), 1, "a"), clean_reading.page.image
    result = replace(clean_reading, confidence=confidence)

    for step in range(1, 9):
        out = tmp_path / str(step)
        if earlier_is_written:
            write_result(clean_reading, overlay, out, page)
            before = contents(out)
        with monkeypatch.context() as patched:
            broke = break_at(step, patched)
            try:
                write_result(result, overlay, out, page)
            except StorageError:
                if (out / "a.json").exists() and status(out) == "written":
                    assert contents(out) == before
        write_result(result, overlay, out, page)
        assert status(out) == ("withheld" if confidence < 0.25 else "written")
        assert all((out / name).exists() == (confidence > 0.25) for name in RECORDING)
        if not broke:
            assert step > 2
            return
    pytest.fail("writing has more than 8 steps")


def break_at(step: int, patched: pytest.MonkeyPatch) -> list[Path]:
    """Let the given change of the disk fail, and return a list that names it once it did."""
    done: list[Path] = []
    broke: list[Path] = []

    def counted(change: Any) -> Any:
        def changed(path: Path, *rest: Any, **options: Any) -> Any:
            done.append(path)
            if len(done) == step:
                broke.append(path)
                raise StorageError("disk full")
            return change(path, *rest, **options)

        return changed

    for module, name in (
        (output, "write_json"),
        (output, "write_atomically"),
        (earlier, "write_json"),
        (earlier, "remove_file"),
    ):
        patched.setattr(module, name, counted(getattr(module, name)))
    return broke


def test_the_recording_itself_reads_back(page: Path, tmp_path: Path, clean_reading: Digitization) -> None:
    run(page, tmp_path / "out", clean_reading)

    assert read_wfdb(tmp_path / "out" / "a").n_samples == clean_reading.recording.n_samples
