"""A page of fifteen leads, from its picture to files that others read."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.files import save_page
from ecg_flare.page.render import render_page
from ecg_flare.page.style import PageStyle

RunCli = Callable[..., Result]
FIFTEEN = (*LEADS, "V4R", "V8", "V9")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One page of 3x5; its extra leads are made up of recorded ones."""
    folder = tmp_path_factory.mktemp("pages")
    twelve = synthesize(np.random.default_rng(3))
    extra = [0.5 * twelve.lead("V1") - 0.2 * twelve.lead("V5"), 0.6 * twelve.lead("V6"), 0.4 * twelve.lead("V6")]
    recording = Recording(np.concatenate([twelve.signal_mv, np.stack(extra)]), twelve.fs_hz, FIFTEEN)
    page = render_page(recording, PageStyle(layout="3x5", dpi=200), np.random.default_rng(4))
    save_page(page, recording, folder, "page")
    return folder


def test_fifteen_leads_are_read_written_and_scored(run_cli: RunCli, pages: Path, tmp_path: Path) -> None:
    told = run_cli("digitize", pages / "page.png", "-o", tmp_path, "--segmenter", "classical", "--html", "--json")
    assert told.exit_code == 0, told.output
    report = json.loads((tmp_path / "page.json").read_text())
    assert report["layout"]["name"] == "3x5"
    assert [lead["lead"] for lead in report["leads"] if lead["guessed"]] == []
    read = read_wfdb(tmp_path / "page")
    assert read.lead_names == FIFTEEN
    with (tmp_path / "page.csv").open() as file:
        assert next(csv.reader(file)) == ["time_s", *FIFTEEN]
    scores = {one.lead: one.snr_db_kaggle2025 for one in evaluate_recording(read, read_wfdb(pages / "page")).leads}
    assert set(scores) == set(FIFTEEN)
    assert min(scores[lead] for lead in ("V4R", "V8", "V9")) > 15
    table = run_cli("evaluate", tmp_path / "page.hea", pages / "page.hea")
    assert all(lead in table.output for lead in ("V4R", "V8", "V9"))
    assert "V4R" in (tmp_path / "report.html").read_text()
