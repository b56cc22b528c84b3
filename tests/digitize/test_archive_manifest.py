"""The manifest says again what it was told, counts right, belongs to one run, and refuses what is no manifest."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from ecg_flare.digitize.archive.manifest import MANIFEST_NAME, Article, Counts, Entry, Stamp, open_manifest
from ecg_flare.errors import StorageError

PAGE = Entry(
    name="scan-p2",
    source="in/scan.tif",
    page=2,
    pages=3,
    stamp=Stamp(1234, 1_700_000_000_123_456_789),
    sha256="ab" * 32,
    reader="1.0+f00",
    settings="5e771265",
    status="read",
    settled=False,
    confidence=0.5,
    error=None,
    seconds=1.25,
    stages={"ink": 0.5, "trace": 0.75},
    row={"layout": "3x4", "warnings": ["a; b"], "checks_passed": True, "error": None},
    call=1,
    place=7,
)


def test_what_was_recorded_stands_there_in_the_next_run(tmp_path: Path) -> None:
    lost = replace(PAGE, name="x", stamp=None, sha256=None, status="failed", settled=True, confidence=None, error="no")
    with open_manifest(tmp_path) as manifest:
        assert manifest.call == 1
        manifest.record(PAGE, Article("<tr>", "<article>ä"))
        manifest.record(lost)
    with open_manifest(tmp_path) as manifest:
        assert manifest.call == 2
        assert (manifest.find("scan-p2"), manifest.find("x"), manifest.find("y")) == (PAGE, lost, None)
        assert (manifest.has_article("scan-p2"), manifest.has_article("x")) == (True, False)
        assert manifest.pages_in("in/scan.tif", Stamp(1234, 1_700_000_000_123_456_789)) == 3
        assert manifest.pages_in("in/scan.tif", Stamp(1234, 1_700_000_000_123_456_788)) is None


def test_a_page_that_is_recorded_again_loses_its_old_article(tmp_path: Path) -> None:
    with open_manifest(tmp_path) as manifest:
        manifest.record(PAGE, Article("row", "old"))
        manifest.record(replace(PAGE, confidence=0.6))
        assert not manifest.has_article("scan-p2")
        assert [entry.confidence for entry in manifest.listed(1)] == [0.6]
        assert list(manifest.rows()) == [PAGE.row]


def test_pages_are_ordered_and_counted_by_run(tmp_path: Path) -> None:
    pages = [
        replace(PAGE, name="a", source="b.png", page=1, confidence=0.9, place=2),
        replace(PAGE, name="b", source="a.png", page=10, confidence=0.2, status="withheld", error="low", place=0),
        replace(PAGE, name="c", source="a.png", page=2, confidence=None, status="failed", error="no", place=1),
        replace(PAGE, name="d", source="a.png", page=1, confidence=0.7, place=3),
    ]
    with open_manifest(tmp_path) as manifest:
        for page in pages:
            manifest.record(replace(page, row={"name": page.name}), Article("row", page.name))
        assert [row["name"] for row in manifest.rows()] == ["d", "c", "b", "a"]
        assert [entry.name for entry in manifest.listed(1)] == ["b", "c", "a", "d"]
        assert [article.article for _, article in manifest.worst_first()] == ["c", "b", "d", "a"]
        assert manifest.counts(0.75) == Counts(pages=4, failed=1, withheld=1, unsure=1)
    with open_manifest(tmp_path) as manifest:
        manifest.keep("b", Stamp(1, 2), 0)
        manifest.keep("a", Stamp(3, 4), 1)
        assert [entry.name for entry in manifest.listed(2)] == ["b", "a"]
        assert [entry.name for entry in manifest.listed(1)] == ["c", "d"]
        assert manifest.counts(0.75) == Counts(pages=2, failed=0, withheld=1, unsure=0)
        assert [article.article for _, article in manifest.worst_first()] == ["b", "a"]


def test_a_run_that_dies_leaves_what_it_recorded(tmp_path: Path) -> None:
    def die() -> None:
        with open_manifest(tmp_path) as manifest:
            manifest.record(PAGE)
            manifest.keep("scan-p2", None, 99)
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        die()
    with open_manifest(tmp_path) as manifest:
        assert manifest.find("scan-p2") == PAGE


def test_two_runs_cannot_write_into_one_folder(tmp_path: Path) -> None:
    with (
        open_manifest(tmp_path),
        pytest.raises(StorageError, match="held by another run"),
        open_manifest(tmp_path),
    ):
        pytest.fail("both hold it")


def test_what_is_no_manifest_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / MANIFEST_NAME
    path.write_text("my notes, which are longer than the hundred bytes that begin a database of SQLite.")
    with pytest.raises(StorageError, match="no sound manifest"), open_manifest(tmp_path):
        pytest.fail("it is none")
    assert path.read_text().startswith("my notes")

    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (x)")
    with pytest.raises(StorageError, match="no manifest of this version"), open_manifest(tmp_path):
        pytest.fail("it is somebody else's")

    path.unlink()
    with open_manifest(tmp_path):
        pass
    with sqlite3.connect(path) as later:
        later.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="format 99, expected 1"), open_manifest(tmp_path):
        pytest.fail("it is of a later version")
