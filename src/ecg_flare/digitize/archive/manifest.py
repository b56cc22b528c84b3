"""What was read, by what, and what became of it: one row a page, in an SQLite file beside the results.

The file belongs to one run at a time. Each page is on disk before the next one is taken up, so that a run that is
killed loses the pages that it was reading and nothing else. Nothing here grows with the number of pages but the file.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ecg_flare.errors import StorageError

MANIFEST_NAME: Final = "manifest.sqlite"

Status = Literal["read", "withheld", "failed"]
READ: Final = "read"
WITHHELD: Final = "withheld"
FAILED: Final = "failed"

_FORMAT: Final = 1
_CACHE_KIB: Final = 64 * 1024
_KIND: Final = 0x45434746
"""What PRAGMA application_id says of a manifest: "ECGF"."""

_TABLES: Final = """
CREATE TABLE pages (
    name TEXT PRIMARY KEY, source TEXT NOT NULL, page INTEGER NOT NULL, pages INTEGER NOT NULL,
    size INTEGER, mtime_ns INTEGER, sha256 TEXT,
    reader TEXT NOT NULL, settings TEXT NOT NULL,
    status TEXT NOT NULL, settled INTEGER NOT NULL, confidence REAL, error TEXT, seconds REAL, stages TEXT, row TEXT,
    call INTEGER NOT NULL, place INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_source ON pages (source, page);
CREATE INDEX by_call ON pages (call, place);
CREATE TABLE settings (digest TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE articles (name TEXT PRIMARY KEY, row TEXT NOT NULL, article BLOB NOT NULL);
"""

_COLUMNS: Final = (
    *("name", "source", "page", "pages", "size", "mtime_ns", "sha256", "reader", "settings"),
    *("status", "settled", "confidence", "error", "seconds", "stages", "row", "call", "place"),
)


@dataclass(frozen=True)
class Stamp:
    """How a file looks from outside: its bytes in number, and when it was changed."""

    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Entry:
    """What the manifest says of a page.

    Attributes:
        name: what its results are called.
        source, page: its file, as it was given, and its number in it.
        pages: how many pages the file has.
        stamp, sha256: of the file; None where it could not be read.
        reader, settings: version of the code and digest of the settings that read it.
        status: whether its recording was written, was withheld, or the page could not be read.
        settled: of a page that could not be read, that trying again would be of no use.
        confidence: of the reading, if there is one.
        error: why the page could not be read, or its recording was withheld.
        seconds, stages: what the reading took, and each of its stages.
        row: its row of the table, by column.
        call, place: number of the run that listed it last, and its place in that run's order.
    """

    name: str
    source: str
    page: int
    pages: int
    stamp: Stamp | None
    sha256: str | None
    reader: str
    settings: str
    status: Status
    settled: bool
    confidence: float | None
    error: str | None
    seconds: float
    stages: Mapping[str, float]
    row: Mapping[str, Any]
    call: int
    place: int


@dataclass(frozen=True)
class Article:
    """A page's part of the report: its row of the list, and what is told of it."""

    row: str
    article: str


@dataclass(frozen=True)
class Counts:
    """How many pages of a run there are, and how many were not read, were withheld, or are below a confidence."""

    pages: int
    failed: int
    withheld: int
    unsure: int


class Manifest:
    """The manifest of a folder, open and locked; `open_manifest` gives it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection
        self.call = 1 + (self._one("SELECT max(call) FROM pages") or 0)
        """Number of this run."""

    def find(self, name: str) -> Entry | None:
        """What is known of the page whose results have this name."""
        found = self._sql.execute(f"SELECT {', '.join(_COLUMNS)} FROM pages WHERE name = ?", (name,)).fetchone()
        return None if found is None else _entry(found)

    def pages_in(self, source: str, stamp: Stamp) -> int | None:
        """How many pages a file has, if it was seen with this stamp before."""
        query = "SELECT pages FROM pages WHERE source = ? AND size = ? AND mtime_ns = ? LIMIT 1"
        found = self._one(query, (source, stamp.size, stamp.mtime_ns))
        return None if found is None else int(found)

    def keep(self, name: str, stamp: Stamp | None, place: int) -> None:
        """List a page in this run whose results stand."""
        size, mtime_ns = (None, None) if stamp is None else (stamp.size, stamp.mtime_ns)
        set_all = "UPDATE pages SET size = ?, mtime_ns = ?, call = ?, place = ? WHERE name = ?"
        self._sql.execute(set_all, (size, mtime_ns, self.call, place, name))

    def record(self, entry: Entry, article: Article | None = None) -> None:
        """Put down what became of a page, durably."""
        marks = ", ".join("?" * len(_COLUMNS))
        self._sql.execute(f"INSERT OR REPLACE INTO pages ({', '.join(_COLUMNS)}) VALUES ({marks})", _values(entry))
        self._sql.execute("DELETE FROM articles WHERE name = ?", (entry.name,))
        if article is not None:
            packed = zlib.compress(article.article.encode())
            self._sql.execute("INSERT INTO articles VALUES (?, ?, ?)", (entry.name, article.row, packed))
        self._sql.commit()

    def explain(self, digest: str, text: str) -> None:
        """Put down the settings that a digest stands for."""
        self._sql.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (digest, text))
        self._sql.commit()

    def has_article(self, name: str) -> bool:
        """Whether the report's part on this page is there."""
        return self._one("SELECT 1 FROM articles WHERE name = ?", (name,)) is not None

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """The rows of the table of all pages, by their files and numbers."""
        for (row,) in self._sql.execute("SELECT row FROM pages ORDER BY source, page, name"):
            yield json.loads(row)

    def listed(self, call: int) -> Iterator[Entry]:
        """The pages of a run, in its order, but for those that a later run listed."""
        query = f"SELECT {', '.join(_COLUMNS)} FROM pages WHERE call = ? ORDER BY place"
        return map(_entry, self._sql.execute(query, (call,)))

    def worst_first(self) -> Iterator[tuple[Entry, Article]]:
        """The pages of this run that have a part of the report: those that were not read, then by confidence."""
        columns = ", ".join(f"pages.{column}" for column in _COLUMNS)
        query = (
            f"SELECT articles.row, article, {columns} FROM pages JOIN articles USING (name) WHERE call = ? "
            "ORDER BY coalesce(confidence, -1), source, page, name"
        )
        for row, packed, *found in self._sql.execute(query, (self.call,)):
            yield _entry(found), Article(row, zlib.decompress(packed).decode())

    def counts(self, confident: float) -> Counts:
        """What became of the pages of this run; unsure are those that were written below `confident`."""
        query = (
            "SELECT count(*), total(status = ?), total(status = ?), total(status = ? AND confidence < ?) "
            "FROM pages WHERE call = ?"
        )
        found = self._sql.execute(query, (FAILED, WITHHELD, READ, confident, self.call)).fetchone()
        return Counts(*(int(number) for number in found))

    def _one(self, query: str, values: tuple[Any, ...] = ()) -> Any:
        found = self._sql.execute(query, values).fetchone()
        return None if found is None else found[0]


@contextmanager
def open_manifest(folder: Path) -> Iterator[Manifest]:
    """Open the manifest of a folder of results, or begin one, and hold it for this run alone.

    Raises StorageError where another run holds it, where it is damaged or something else, or cannot be written.
    """
    path = folder / MANIFEST_NAME
    connection = None
    try:
        connection = sqlite3.connect(path, timeout=1.0)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("BEGIN IMMEDIATE")
        _prepare(connection, path)
        connection.commit()
        yield Manifest(connection)
        connection.commit()
    except sqlite3.Error as error:
        raise StorageError(_explained(path, error)) from error
    finally:
        if connection is not None:
            connection.close()


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    kind, version = (connection.execute(f"PRAGMA {what}").fetchone()[0] for what in ("application_id", "user_version"))
    if (kind, version) == (_KIND, _FORMAT):
        return
    if kind != 0 or version != 0 or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise StorageError(
            f"{path} is no manifest of this version (kind {kind:#x}, format {version}, expected {_FORMAT}): give "
            "another -o, or move it away, and all pages are read again"
        )
    for statement in _TABLES.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_KIND}")
    connection.execute(f"PRAGMA user_version = {_FORMAT}")


def _explained(path: Path, error: sqlite3.Error) -> str:
    if "locked" in str(error):
        return f"{path} is held by another run that writes into this folder: wait for its end, or give another -o"
    if isinstance(error, sqlite3.OperationalError):
        return f"{path} cannot be written: {error}"
    return f"{path} is no sound manifest ({error}): move it away, and all pages are read again"


def _values(entry: Entry) -> tuple[Any, ...]:
    size, mtime_ns = (None, None) if entry.stamp is None else (entry.stamp.size, entry.stamp.mtime_ns)
    return (
        *(entry.name, entry.source, entry.page, entry.pages, size, mtime_ns, entry.sha256),
        *(entry.reader, entry.settings, entry.status, entry.settled, entry.confidence, entry.error, entry.seconds),
        *(json.dumps(dict(entry.stages)), json.dumps(dict(entry.row)), entry.call, entry.place),
    )


def _entry(found: tuple[Any, ...] | list[Any]) -> Entry:
    told = dict(zip(_COLUMNS, found, strict=True))
    size, mtime_ns = told.pop("size"), told.pop("mtime_ns")
    told |= {"stages": json.loads(told["stages"]), "row": json.loads(told["row"]), "settled": bool(told["settled"])}
    return Entry(stamp=None if size is None else Stamp(size, mtime_ns), **told)
