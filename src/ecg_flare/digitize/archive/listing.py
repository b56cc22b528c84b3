"""Which pages of a batch are to be read, and which stand already as they would be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecg_flare.digitize.archive.identity import file_digest
from ecg_flare.digitize.archive.manifest import FAILED, Entry, Manifest, Stamp
from ecg_flare.page.page_list import PageFile, name_each
from ecg_flare.page.reader import count_pages


@dataclass(frozen=True)
class Reader:
    """Who reads: the version of the code, the digest of its settings, and whether a report is wanted."""

    version: str
    settings: str
    html: bool


@dataclass(frozen=True)
class ToRead:
    """A page that is to be read.

    Attributes:
        page: the page.
        pages: how many its file has.
        place: its place in the order of the run.
        stamp, sha256: of its file; None where it cannot be read.
    """

    page: PageFile
    pages: int
    place: int
    stamp: Stamp | None
    sha256: str | None


def to_read(files: Sequence[Path], out: Path, manifest: Manifest, reader: Reader) -> Iterator[ToRead | None]:
    """One item a page of the files, in their order: None for a page that stands, which is listed in the manifest.

    A page stands where it was read from the same bytes by the same reader, and its report is in the folder. A page that
    could not be read stands, too, where its file was the reason.
    """
    looked = _Files(manifest)
    for place, page in enumerate(name_each((path, looked.pages(path)) for path in files)):
        known = manifest.find(page.name)
        if known is not None and _by_same_reader(known, page, reader) and _stands(known, out, manifest, reader):
            stamp = looked.stamp(page.path)
            if stamp is not None and (stamp == known.stamp or looked.sha256(page.path) == known.sha256):
                manifest.keep(page.name, stamp, place)
                yield None
                continue
        stamp, sha256 = looked.stamp(page.path), looked.sha256(page.path)
        yield ToRead(page, looked.pages(page.path), place, stamp, sha256)


def _by_same_reader(known: Entry, page: PageFile, reader: Reader) -> bool:
    place = (known.source, known.page) == (str(page.path), page.number)
    return place and (known.reader, known.settings) == (reader.version, reader.settings)


def _stands(known: Entry, out: Path, manifest: Manifest, reader: Reader) -> bool:
    there = known.settled if known.status == FAILED else (out / f"{known.name}.json").exists()
    return there and (not reader.html or manifest.has_article(known.name))


class _Files:
    """What is known of a file, looked up once for all of its pages."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._path: Path | None = None
        self._stamp: Stamp | None = None
        self._sha256: str | None = None
        self._pages: int | None = None

    def pages(self, path: Path) -> int:
        stamp = self.stamp(path)
        if self._pages is None:
            known = None if stamp is None else self._manifest.pages_in(str(path), stamp)
            self._pages = count_pages(path) if known is None else known
        return self._pages

    def stamp(self, path: Path) -> Stamp | None:
        if path != self._path:
            self._path, self._sha256, self._pages = path, None, None
            try:
                found = path.stat()
                self._stamp = Stamp(found.st_size, found.st_mtime_ns)
            except OSError:
                self._stamp = None
        return self._stamp

    def sha256(self, path: Path) -> str | None:
        if self.stamp(path) is not None and self._sha256 is None:
            try:
                self._sha256 = file_digest(path) if path.is_file() else None
            except OSError:
                return None
        return self._sha256
