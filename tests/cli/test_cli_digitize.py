"""digitize and evaluate, as a user runs them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.nnunet.export import save_model
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import initial_vector
from ecg_flare.page.files import save_page
from ecg_flare.page.render import render_page
from ecg_flare.page.style import PageStyle, PrintStyle

RunCli = Callable[..., Result]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One printed page, with its recording beside it."""
    folder = tmp_path_factory.mktemp("pages")
    recording = synthesize(np.random.default_rng(3))
    page = render_page(recording, PageStyle(layout="3x4+1R", dpi=150), np.random.default_rng(4))
    save_page(page, recording, folder, "page")
    return folder


@pytest.fixture
def no_page(tmp_path: Path) -> Path:
    path = tmp_path / "blank.png"
    path.write_bytes(b"not an image")
    return path


def test_a_page_is_read_and_scored(run_cli: RunCli, pages: Path, tmp_path: Path) -> None:
    out = tmp_path / "read"
    told = run_cli("digitize", pages / "page.png", "-o", out, "--segmenter", "classical", "--json")
    assert told.exit_code == 0, told.output
    summary = json.loads(told.stdout)
    assert (summary["pages"], summary["failed"]) == (1, 0)
    assert {"page.hea", "page.dat", "page.csv", "page.json", "page.overlay.png"} <= {f.name for f in out.iterdir()}
    scores = json.loads(run_cli("evaluate", out, pages, "--json").stdout)
    assert scores["pages"]["snr_db_kaggle2025"]["median"] > 5
    assert "aVR" in run_cli("evaluate", out / "page", pages / "page").stdout


def test_a_batch_goes_on_past_a_bad_page_and_ends_with_3(
    run_cli: RunCli, pages: Path, no_page: Path, tmp_path: Path
) -> None:
    arguments = (pages / "page.png", no_page, "-o", tmp_path / "read", "--segmenter", "classical")
    told = run_cli("digitize", *arguments)
    assert told.exit_code == 3
    assert "1 of 2 pages read" in told.stdout
    assert "blank.png" in told.stdout


def test_a_second_call_reads_what_is_new_alone_and_two_workers_write_the_same(
    run_cli: RunCli, pages: Path, no_page: Path, tmp_path: Path
) -> None:
    image, classical = pages / "page.png", ("--segmenter", "classical")
    first = run_cli("digitize", image, "-o", tmp_path / "read", *classical, "--json")
    second = run_cli("digitize", image, no_page, "-o", tmp_path / "read", *classical)
    assert (json.loads(first.stdout)["standing"], second.exit_code) == (0, 3)
    assert "1 of 2 pages read" in second.stdout
    assert "1 stood already" in second.stdout
    other = run_cli("digitize", image, no_page, "-o", tmp_path / "two", *classical, "--workers", 2, "--json")
    assert json.loads(other.stdout)["results"][0]["report"]["confidence"] >= 0.25
    files = [sorted(p for p in (tmp_path / name).iterdir() if p.name != "manifest.sqlite") for name in ("read", "two")]
    assert [p.name for p in files[0]] == [p.name for p in files[1]]
    assert all(one.read_bytes() == two.read_bytes() for one, two in zip(*files, strict=True))


OWN_LAYOUT = """rows:
  - [{lead: V1, duration_s: 4}, {lead: V4, duration_s: 4}]
  - [{lead: V2, duration_s: 4}, {lead: V5, duration_s: 4}]
  - [{lead: V3, duration_s: 4}, {lead: V6, duration_s: 4}]
  - [{lead: aVF, duration_s: 6, rhythm: true}]
"""


def test_a_layout_of_one_s_own_is_read_as_it_says(run_cli: RunCli, tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text(OWN_LAYOUT, encoding="utf-8")
    rng = np.random.default_rng(5)
    recording = synthesize(rng)
    page = render_page(recording, PageStyle(layout=str(own), dpi=120, text=PrintStyle(labels="none")), rng)
    (tmp_path / "pages").mkdir()
    save_page(page, recording, tmp_path / "pages", "page")
    image = tmp_path / "pages" / "page.png"
    told = run_cli("digitize", image, "-o", tmp_path / "read", "--segmenter", "classical", "--layout", own)
    assert told.exit_code == 0, told.output
    report = json.loads((tmp_path / "read" / "page.json").read_text())
    assert report["layout"]["name"] == "mine"
    assert report["confidence"] >= 0.75, report["warnings"]
    found = {(lead["lead"], lead["row"]): lead for lead in report["leads"]}
    assert set(found) == {("V1", 0), ("V4", 0), ("V2", 1), ("V5", 1), ("V3", 2), ("V6", 2), ("aVF", 3)}
    for trace in page.truth.traces:
        lead = found[trace.lead, trace.row]
        assert (lead["start_s"], lead["end_s"]) == pytest.approx((trace.start_s, trace.end_s), abs=0.02)
        assert not lead["guessed"]


def test_a_layout_of_another_number_of_rows_names_both(run_cli: RunCli, pages: Path, tmp_path: Path) -> None:
    arguments = ("-o", tmp_path / "read", "--segmenter", "classical", "--layout", "1x1")
    told = run_cli("digitize", pages / "page.png", *arguments)
    assert told.exit_code == 3
    assert "Layout 1x1 has 1 row, but 4 were found on this page" in told.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "cannot be read"), ("rows: []", "expected one key, 'rows'"), (OWN_LAYOUT.replace("V4", "V10"), "'V10'")],
)
def test_a_layout_file_that_is_wrong_is_named(
    run_cli: RunCli, pages: Path, tmp_path: Path, text: str | None, said: str
) -> None:
    own = tmp_path / "mine.yaml"
    if text is not None:
        own.write_text(text, encoding="utf-8")
    told = run_cli("digitize", pages / "page.png", "-o", tmp_path / "read", "--layout", own)
    assert told.exit_code == 2
    assert "mine.yaml" in told.stderr
    assert said in told.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--segmenter", "nobody"), "No segmenter is called 'nobody'"),
        (("--segmenter", "classical", "--layout", "4x4"), "4x4"),
        (("--segmenter", "classical", "--speed", "fast"), "'fast' is neither 'auto' nor a number"),
        (("--segmenter", "classical", "--speed", 900), "speed is 900.0; expected 'auto' or 5 to 200 mm/s"),
        (("--segmenter", "classical", "--gain", 0), "gain is 0.0; expected 'auto' or 1 to 80 mm/mV"),
        (("--segmenter", "classical", "--px-per-mm", 0.1), "px_per_mm is 0.1; expected 1 to 100"),
        (("--segmenter", "classical", "--fs", 5), "fs_hz is 5.0; expected 50 to 5000"),
    ],
)
def test_wrong_use_ends_with_2(
    run_cli: RunCli, pages: Path, tmp_path: Path, options: tuple[object, ...], said: str
) -> None:
    told = run_cli("digitize", pages / "page.png", "-o", tmp_path / "read", *options)
    assert (told.exit_code, said in told.stderr) == (2, True), told.output


def test_no_pages_at_all_end_with_2(run_cli: RunCli, tmp_path: Path) -> None:
    assert run_cli("digitize", tmp_path, "-o", tmp_path / "read", "--segmenter", "classical").exit_code == 2


def test_an_output_folder_that_cannot_be_written_ends_with_2(run_cli: RunCli, pages: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = run_cli("digitize", pages / "page.png", "-o", tmp_path / "file" / "below", "--segmenter", "classical")
    assert told.exit_code == 2
    assert "Could not write" in told.stderr


@pytest.mark.slow
@pytest.mark.parametrize("exported", [False, True])
def test_a_model_of_ones_own_can_segment(run_cli: RunCli, pages: Path, tmp_path: Path, exported: bool) -> None:
    plan = plan_preset("tiny")
    model = save_model(tmp_path / "model.npz", initial_vector(plan, 1), plan)
    if exported:
        run_cli("export", model, "-o", tmp_path / "model")
        model = tmp_path / "model"
    told = run_cli("digitize", pages / "page.png", "-o", tmp_path / "read", "--segmenter", model, "--json")
    # An untrained network: what matters here is that it is loaded and asked, not what it finds.
    assert told.exit_code in (0, 3), told.output
    assert json.loads(told.stdout)["pages"] == 1


def test_a_truth_that_is_not_there_is_named(run_cli: RunCli, pages: Path, tmp_path: Path) -> None:
    told = run_cli("evaluate", pages, tmp_path / "nowhere")
    assert told.exit_code == 1
    assert "nowhere" in told.stderr


def test_intervals_of_records_are_measured_and_a_damaged_one_is_named(
    run_cli: RunCli, pages: Path, tmp_path: Path
) -> None:
    told = run_cli("intervals", pages, "--json")
    assert told.exit_code == 0, told.output
    (measured,) = [one for name, one in json.loads(told.stdout)["records"].items() if name.endswith("page.hea")]
    assert 40 < measured["heart_rate_bpm"] < 160
    (tmp_path / "broken.hea").write_text("nothing")
    both = run_cli("intervals", pages / "page", tmp_path)
    assert both.exit_code == 3
    assert "Heart rate" in both.stdout
    assert "broken.hea" in both.output
    assert run_cli("intervals", tmp_path.parent / "nowhere").exit_code == 3


def test_a_folder_without_records_is_wrong_use(run_cli: RunCli, tmp_path: Path) -> None:
    told = run_cli("intervals", tmp_path)
    assert told.exit_code == 2
    assert "holds no WFDB record" in told.output


def test_formats_and_patients_are_given_as_options(run_cli: RunCli, pages: Path, tmp_path: Path) -> None:
    arguments = ("digitize", pages / "page.png", "-o", tmp_path / "read", "--segmenter", "classical", "--format")
    refused = run_cli(*arguments, "csv,aecg")
    assert refused.exit_code == 2
    assert "no patient is named: give --patient-id" in refused.output
    assert "unknown format 'xls'" in run_cli(*arguments, "xls").output
    (tmp_path / "patients.csv").write_text("file,patient_id\npage.png,4711\n")
    told = run_cli(*arguments, "csv,aecg", "--patients", tmp_path / "patients.csv")
    assert told.exit_code == 0, told.output
    assert "heart_rate_bpm" in (tmp_path / "read" / "pages.csv").read_text().splitlines()[0]
    assert b'extension="4711"' in (tmp_path / "read" / "page.aecg.xml").read_bytes()
