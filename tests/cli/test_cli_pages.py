"""synthesize, render and profiles, as a user runs them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.errors import StorageError
from ecg_flare.page import files
from ecg_flare.page.files import load_page
from ecg_flare.page.page import Page

RunCli = Callable[..., Result]


@pytest.fixture
def records(run_cli: RunCli, tmp_path: Path) -> Path:
    folder = tmp_path / "records"
    assert run_cli("synthesize", "-o", folder, "--count", 2, "--seed", 5, "--duration", 10).exit_code == 0
    return folder


def test_the_same_seed_gives_the_same_recordings(run_cli: RunCli, records: Path, tmp_path: Path) -> None:
    told = run_cli("synthesize", "-o", tmp_path / "again", "--count", 1, "--seed", 5, "--json")
    (again,) = json.loads(told.stdout)
    first = read_wfdb(records / "synthetic-0000.hea")
    assert np.array_equal(read_wfdb(Path(again)).signal_mv, first.signal_mv)
    assert not np.array_equal(read_wfdb(records / "synthetic-0001.hea").signal_mv, first.signal_mv)


def test_duration_and_rate_are_obeyed(run_cli: RunCli, tmp_path: Path) -> None:
    run_cli("synthesize", "-o", tmp_path, "--duration", 4, "--fs", 250, "--rhythm", "lbbb")
    recording = read_wfdb(tmp_path / "synthetic-0000.hea")
    assert (recording.signal_mv.shape, recording.fs_hz) == ((12, 1000), 250.0)


def test_an_unknown_rhythm_is_refused_with_the_known_ones(run_cli: RunCli, tmp_path: Path) -> None:
    told = run_cli("synthesize", "-o", tmp_path, "--rhythm", "polka")
    assert told.exit_code == 2
    assert "'polka' is not one of sinus, atrial_fibrillation" in told.stderr


def test_style_options_reach_the_page(run_cli: RunCli, records: Path, tmp_path: Path) -> None:
    options = ("--layout", "12x1", "--dpi", 100, "--speed", 50, "--gain", 5, "--paper", "letter", "--grid", "none")
    told = run_cli("render", records, "-o", tmp_path / "pages", *options)
    assert told.exit_code == 0, told.output
    truth = load_page(tmp_path / "pages" / "synthetic-0001.png").truth
    assert (truth.layout, truth.speed_mm_per_s, truth.gain_mm_per_mv) == ("12x1", 50.0, 5.0)
    assert (truth.width_px, truth.height_px) == (1100, 850)  # letter at 100 dpi


def test_a_layout_of_ones_own_is_a_file(run_cli: RunCli, records: Path, tmp_path: Path) -> None:
    layout = tmp_path / "strip.yaml"
    layout.write_text("rows: [[{lead: II, duration_s: 10}]]")
    told = run_cli("render", records, "-o", tmp_path / "pages", "--layout", layout, "--dpi", 60)
    assert told.exit_code == 0, told.output
    truth = load_page(tmp_path / "pages" / "synthetic-0001.png").truth
    assert (truth.layout, [trace.lead for trace in truth.traces]) == ("strip", ["II"])
    absent = run_cli("render", records, "-o", tmp_path / "pages", "--layout", tmp_path / "absent.yaml")
    assert (absent.exit_code, "absent.yaml cannot be read" in absent.stderr) == (1, True)


def test_a_page_does_not_depend_on_the_other_records(run_cli: RunCli, records: Path, tmp_path: Path) -> None:
    run_cli("render", records, "-o", tmp_path / "all", "--profile", "university")
    run_cli("render", records / "synthetic-0001.hea", "-o", tmp_path / "one", "--profile", "university")
    alone, among = (load_page(tmp_path / folder / "synthetic-0001.png") for folder in ("one", "all"))
    assert np.array_equal(alone.image, among.image)


def test_patients_are_noted(run_cli: RunCli, records: Path, tmp_path: Path) -> None:
    run_cli("render", records, "-o", tmp_path / "pages", "--dpi", 60)
    rows = (tmp_path / "pages" / "patients.csv").read_text().splitlines()
    expected = read_wfdb(records / "synthetic-0000.hea").patient_id
    assert rows[1] == f"synthetic-0000,{expected}"
    assert expected


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--profile", "nowhere"), 1, "Unknown site profile 'nowhere'"),
        (("--pulse", "top"), 1, "pulse must be one of left, right, columns, none"),
        (("--layout", "4x4"), 2, "'4x4' is not one of 12x1"),
        (("--profile", "plain", "--dpi", "100"), 2, "leave out dpi"),
    ],
)
def test_wrong_styles_are_refused(
    run_cli: RunCli, records: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    told = run_cli("render", records, "-o", tmp_path / "pages", *arguments)
    assert (told.exit_code, said in told.stderr) == (code, True)


def test_a_folder_without_records_and_equal_names_are_refused(run_cli: RunCli, records: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "No WFDB records" in run_cli("render", tmp_path / "empty", "-o", tmp_path / "p").stderr
    header = records / "synthetic-0000.hea"
    twice = run_cli("render", header, header, "-o", tmp_path / "p", "--dpi", 60)
    assert (twice.exit_code, "Another record is named 'synthetic-0000'" in twice.stderr) == (3, True)


def test_a_missing_record_is_named(run_cli: RunCli, tmp_path: Path) -> None:
    told = run_cli("render", tmp_path / "gone.hea", "-o", tmp_path / "p")
    assert told.exit_code == 3
    assert "gone.hea" in told.stderr


def test_a_bad_record_takes_no_other_with_it(run_cli: RunCli, records: Path, tmp_path: Path) -> None:
    header = (records / "synthetic-0000.hea").read_text()
    (records / "a_bad.hea").write_text(header.replace("synthetic-0000.dat", "gone.dat"))
    (records / "b.c.hea").write_text("b.c 12 500 5000\n")
    (records / "long_empty.hea").write_text("")
    told = run_cli("render", records, "-o", tmp_path / "pages", "--dpi", 60, "--json")
    assert told.exit_code == 3
    found = json.loads(told.stdout)
    assert [Path(path).name for path in found["pages"]] == ["synthetic-0000.png", "synthetic-0001.png"]
    assert {Path(path).name for path in found["left_out"]} == {"a_bad.hea", "b.c.hea", "long_empty.hea"}
    assert "expected 'NAME SIGNALS FS SAMPLES'" in found["left_out"][str(records / "b.c.hea")]
    rows = (tmp_path / "pages" / "patients.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["page", "synthetic-0000", "synthetic-0001"]


def test_patients_are_noted_where_the_disk_ends(
    run_cli: RunCli, records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = files.save_page

    def full(page: Page, recording: Recording, folder: Path, name: str) -> Path:
        if name == "synthetic-0001":
            raise StorageError("No space left on device.")
        return real(page, recording, folder, name)

    monkeypatch.setattr(files, "save_page", full)
    told = run_cli("render", records, "-o", tmp_path / "pages", "--dpi", 60)
    assert (told.exit_code, "No space left" in told.stderr) == (1, True)
    rows = (tmp_path / "pages" / "patients.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["page", "synthetic-0000"]


def test_an_inverted_lead_is_printed_and_other_signals_are_named(
    run_cli: RunCli, records: Path, tmp_path: Path
) -> None:
    header = records / "synthetic-0000.hea"
    upright = read_wfdb(header)
    text = header.read_text()
    header.write_text(text.replace(" aVR\n", " -aVR\n").replace(" V6\n", " RESP\n").replace(" V1\n", " Lead V1 \n"))
    turned = read_wfdb(header)
    assert np.array_equal(turned.lead("aVR"), -upright.lead("aVR"))
    assert np.array_equal(turned.lead("V1"), upright.lead("V1"))
    assert turned.left_out == ("RESP",)
    told = run_cli("render", header, "-o", tmp_path / "pages", "--dpi", 60, "--json")
    assert json.loads(told.stdout)["signals_left_out"] == {"synthetic-0000": ["RESP"]}
    printed = read_wfdb(tmp_path / "pages" / "synthetic-0000.hea").lead("aVR")
    assert np.array_equal(printed[np.isfinite(printed)], turned.lead("aVR")[np.isfinite(printed)])
    assert np.isfinite(printed).any()


@pytest.mark.realdata
def test_ptbxl_records_become_pages(run_cli: RunCli, data_root: Path, tmp_path: Path) -> None:
    told = run_cli("render", data_root / "ptbxl", "--ptbxl", "--limit", 1, "-o", tmp_path, "--dpi", 60, "--json")
    assert [Path(path).name for path in json.loads(told.stdout)["pages"]] == ["ptbxl-00001.png"]


def test_profiles_and_layouts_are_listed(run_cli: RunCli) -> None:
    told = json.loads(run_cli("profiles", "--json").stdout)
    assert {"district", "university", "archive", "clinic_photo"} <= told["profiles"].keys()
    assert all(about.endswith(".") and "#" not in about for about in told["profiles"].values())
    assert "3x4+1R" in told["layouts"]
    assert "3x4+1R" in run_cli("profiles").stdout
