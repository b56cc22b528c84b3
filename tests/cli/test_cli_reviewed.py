"""`site prepare --reviewed`: confirmed readings become pages that a kit names to every job."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import Result

from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.digitize.leads.by_hand import places_of
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.raster import IGNORED, Label
from ecg_flare.page.render import render_page
from ecg_flare.page.style import PageStyle
from ecg_flare.review.decisions import Decision
from ecg_flare.review.folder import ReviewFolder
from ecg_flare.review.open_page import OpenPage, now
from ecg_flare.site.own_pages import read_own_pages

RunCli = Callable[..., Result]
OPTIONS = ReadingOptions(segmenter="classical", words="off")


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pages: `anna_1` and `bela_1` confirmed but for their first leads, `carl_1` not at all."""
    root = tmp_path_factory.mktemp("reviewed")
    (root / "scans").mkdir()
    for name, seed in (("anna_1", 8), ("bela_1", 9), ("carl_1", 9)):
        rng = np.random.default_rng(seed)
        page = render_page(synthesize(rng), PageStyle(dpi=100), rng)
        cv2.imwrite(str(root / "scans" / f"{name}.png"), cv2.cvtColor(page.image, cv2.COLOR_RGB2BGR))
    run_batch([root / "scans"], root / "read", OPTIONS, progress=False)
    folder = ReviewFolder.opened(root / "read", (root / "scans",))
    for page in folder.pages():
        if page.name == "carl_1":
            continue
        opened = OpenPage(folder.folder, page, OPTIONS)
        assert opened.result is not None
        places = [list(place) for place in sorted(places_of([lead.span for lead in opened.result.leads]))]
        opened.decide(Decision("confirm", places[1:], "Dr. Lind", now()), str(opened.journal.head))
        opened.save()
    return root


def test_confirmed_pages_are_drawn_and_prepared_and_named_in_the_kit(
    run_cli: RunCli, reviewed: Path, tmp_path: Path
) -> None:
    kit = tmp_path / "berlin"
    (kit / "startup").mkdir(parents=True)
    (kit / "local").mkdir()
    (kit / "startup" / "fed_client.json").write_text(json.dumps({"client": {"fqsn": "berlin"}}))
    command = ["site", "prepare", "--reviewed", reviewed / "read", "--pages", reviewed / "scans", "--json"]
    done = run_cli(*command, "--workspace", kit)
    assert done.exit_code == 0, done.stderr
    assert "carl_1 is left out: no lead of it is confirmed" in done.stderr
    assert "2 confirmed pages, 2 of them drawn now" in done.stderr
    told = json.loads(done.stdout)
    assert (told["ready"], told["cases_read"], told["patients"]) == (True, 2, 2)
    own = read_own_pages(kit / "local")
    assert own is not None
    cases = list(own.source.cases("berlin"))
    assert [case.patient_id for case in cases] == ["anna", "bela"]
    for case in cases:
        assert (case.mask == IGNORED).any()
        assert (case.mask == Label.TRACE).sum() > 10 * (case.mask == Label.PULSE).sum() > 0


def test_nothing_confirmed_is_said_with_what_to_do(run_cli: RunCli, reviewed: Path, tmp_path: Path) -> None:
    empty = tmp_path / "read"
    shutil.copytree(reviewed / "read", empty)
    for path in empty.glob("*.review.jsonl*"):
        path.unlink()
    result = run_cli("site", "prepare", "--reviewed", empty, "--pages", reviewed / "scans")
    assert result.exit_code == 2
    assert "ecg-flare review" in result.stderr


def test_pages_or_readings_must_be_given(run_cli: RunCli) -> None:
    result = run_cli("site", "prepare")
    assert result.exit_code == 2
    assert "--reviewed" in result.stderr
