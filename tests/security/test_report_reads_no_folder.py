"""A report draws public pages alone, and imports nothing that run.json names: attack 13 of issue 13."""

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ecg_flare.errors import ConfigError
from ecg_flare.federated.parts import Roster
from ecg_flare.federated.terms import JobTerms
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import initial_vector
from ecg_flare.report import public_pages
from ecg_flare.report.build import write_report
from ecg_flare.report.public_pages import public_cases
from ecg_flare.report.run import read_run
from ecg_flare.storage import write_arrays
from ecg_flare.task.traces.page_folder import PageFolder

PAGES = "ecg_flare.task.traces.sources.SyntheticPages"
PTBXL = "ecg_flare.task.traces.sources.PtbxlPages"


def run_with(folder: Path, public: Any) -> Path:
    plan = plan_preset("tiny")
    folder.mkdir(exist_ok=True)
    terms = asdict(JobTerms(Roster({"a": 1.0}, min_sites=1)))
    (folder / "run.json").write_text(
        json.dumps({"job": "x", "plan_hash": plan.hash, "public_pages": public, "terms": terms})
    )
    (folder / "metrics.jsonl").write_text(json.dumps({"round": 0, "dice": 0.5}))
    write_arrays(folder / "state.npz", {"model": initial_vector(plan, 0)})
    return folder


def reported(run: Path) -> str:
    return write_report(read_run(run), run / "report.html", pages=1).read_text()


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder of the reader's own pages."""
    folder = tmp_path / "private"
    folder.mkdir()
    page = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    cv2.imwrite(str(folder / "doe_1.png"), page)
    cv2.imwrite(str(folder / "doe_1.mask.png"), np.zeros((200, 300), np.uint8))
    return folder


@pytest.mark.parametrize(
    "spec",
    [
        {"path": "ecg_flare.task.traces.pooled_pages.PooledPages", "args": {"source_path": "this.X", "sites": ["a"]}},
        {"path": "this.X", "args": {}},
        {"path": "ecg_flare.cli.main", "args": {}},
    ],
)
def test_nothing_is_imported(tmp_path: Path, spec: dict[str, Any]) -> None:
    sys.modules.pop("this", None)
    assert "a report draws synthetic pages and those of PTB-XL alone" in reported(run_with(tmp_path / "run", spec))
    assert "this" not in sys.modules


def test_the_readers_own_pages_are_not_drawn(tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"path": "ecg_flare.task.traces.page_folder.PageFolder", "args": {"folder": str(private), "px_per_mm": 4.0}}
    run = run_with(tmp_path / "run", spec)
    assert "image/webp" not in reported(run)
    # without the table of two sources they are
    loose = {spec["path"]: lambda args, site, ptbxl: PageFolder(**args)}
    monkeypatch.setattr(public_pages, "_SOURCES", loose)
    assert "image/webp" in reported(run)


def test_a_table_that_imports_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sys.modules.pop("this", None)
    monkeypatch.setattr(
        public_pages, "_SOURCES", {"this.X": lambda args, site, ptbxl: importlib.import_module("this").X(**args)}
    )
    with pytest.raises(AttributeError):
        reported(run_with(tmp_path / "run", {"path": "this.X", "args": {}}))
    assert "this" in sys.modules


@pytest.mark.parametrize(
    ("path", "args", "said"),
    [
        (PAGES, {"profiles": {"public": "/home/doe/own.yaml"}}, "expected one that comes with ecg_flare"),
        (PAGES, {"profiles": {"public": ["plain"]}}, "expected one that comes with ecg_flare"),
        (PAGES, {"profiles": {"public": "plain"}, "seed": -1}, "seed of the public pages is -1"),
        (PAGES, {"profiles": {"public": "plain"}, "pages_per_site": 1e9}, "pages_per_site of the public pages"),
        (PAGES, [], "synthetic pages"),
        (PTBXL, {"root": "/home/doe", "sites": {"public": {}}, "profiles": {"public": "plain"}}, "--ptbxl FOLDER"),
        ([], {}, "synthetic pages"),
        (None, {}, "synthetic pages"),
    ],
)
def test_what_run_json_says_is_held_to_its_kind(path: Any, args: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        list(public_cases({"public_pages": {"path": path, "args": args}}, None))


def test_ptbxl_is_read_where_the_reader_says_and_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("ecg_flare.task.traces.sources.PtbxlPages.cases", lambda self, site: iter([asked.append(self)]))
    rule = {"shard": 0, "of": 4}
    args = {"root": "/home/doe", "sites": {"public": rule, "a": {}}, "profiles": {"public": "public"}, "limit": 3}
    list(public_cases({"public_pages": {"path": PTBXL, "args": args}}, tmp_path))
    [source] = asked
    assert (source.root, source.sites, source.limit) == (str(tmp_path), {"public": rule}, 3)
