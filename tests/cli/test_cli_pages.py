"""synthesize, render and profiles, as a user runs them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from ecg_flare.ecg.record import read_wfdb
from ecg_flare.page.files import load_page

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
    assert "Two records are named" in run_cli("render", header, header, "-o", tmp_path / "p", "--dpi", 60).stderr


def test_a_missing_record_is_named(run_cli: RunCli, tmp_path: Path) -> None:
    told = run_cli("render", tmp_path / "gone.hea", "-o", tmp_path / "p")
    assert told.exit_code == 1
    assert "gone.hea" in told.stderr


@pytest.mark.realdata
def test_ptbxl_records_become_pages(run_cli: RunCli, data_root: Path, tmp_path: Path) -> None:
    told = run_cli("render", data_root / "ptbxl", "--ptbxl", "--limit", 1, "-o", tmp_path, "--dpi", 60, "--json")
    assert [Path(path).name for path in json.loads(told.stdout)] == ["ptbxl-00001.png"]


def test_profiles_and_layouts_are_listed(run_cli: RunCli) -> None:
    told = json.loads(run_cli("profiles", "--json").stdout)
    assert {"district", "university", "archive", "clinic_photo"} <= told["profiles"].keys()
    assert all(about.endswith(".") and "#" not in about for about in told["profiles"].values())
    assert "3x4+1R" in told["layouts"]
    assert "3x4+1R" in run_cli("profiles").stdout
