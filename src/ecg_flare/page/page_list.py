"""Which pages a batch or a folder has, what their results are called, and which files were left out, and why."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import Final

from ecg_flare.errors import ConfigError
from ecg_flare.page.formats import (
    NAMES,
    PAGE_SUFFIXES,
    SUFFIXES,
    format_of,
    read_head,
    unread_format_of,
    why_not_read,
)

OUR_OWN: Final = (".overlay.png", ".mask.png")
"""Endings of pictures that this package writes beside pages."""

_MAX_NAMED: Final = 5
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class PageFile:
    """One page of a file.

    Attributes:
        path: the file.
        number: the page in it, from 1.
        name: what its results are called: letters, digits, - and _, unlike that of any other page of the batch.
    """

    path: Path
    number: int
    name: str

    @property
    def title(self) -> str:
        """The file's name, and the page's number beyond the first."""
        return self.path.name if self.number == 1 else f"{self.path.name}, page {self.number}"


@dataclass(frozen=True)
class LeftOut:
    """A file of a folder or glob that is not read as a page.

    Attributes:
        path: the file.
        why: the end of a sentence that begins with its name.
        is_picture: whether it looks like a page that somebody meant to be read.
    """

    path: Path
    why: str
    is_picture: bool = False


@dataclass(frozen=True)
class FoundFiles:
    """Files of pages, and what was left out of the same folders and globs."""

    files: tuple[Path, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class PageList:
    """Pages, and what was left out of the same folders and globs."""

    pages: tuple[PageFile, ...]
    left_out: tuple[LeftOut, ...] = ()


def find_files(inputs: Sequence[str | Path]) -> FoundFiles:
    """Files that the inputs name: files as they are, folders' images and PDFs, globs' matches; none twice.

    A file that does not exist is kept: reading it says so, and the rest of the batch goes on.

    Raises:
        ConfigError: a folder or glob has no page, a folder may not be read, or there are no inputs at all.
    """
    found: dict[Path, LeftOut | None] = {}
    for given in inputs:
        for path, left in _expand(given):
            if left is None or path not in found:
                found[path] = left
    files = tuple(path for path, left in found.items() if left is None)
    left_out = tuple(left for left in found.values() if left is not None)
    if not files:
        raise ConfigError("no pages were given; name image files, PDFs, folders or globs")
    return FoundFiles(files, left_out)


def left_out_lines(left_out: Sequence[LeftOut]) -> list[str]:
    """What was left out, for people: a line for each reason, with the number of files and the first names."""
    by_reason: dict[str, list[str]] = {}
    for left in left_out:
        by_reason.setdefault(left.why, []).append(left.path.name)
    return [f"{_some(names)}{':' if len(names) > 1 else ''} {why}" for why, names in by_reason.items()]


def look_at(path: Path) -> LeftOut | None:
    """Why a file that a folder or glob holds is not read as a page; None where it is."""
    if path.is_dir():
        return LeftOut(path, "is a folder, whose files are not looked at: name it, too")
    if not path.is_file():  # opening a pipe would wait for whoever writes into it
        is_picture = path.suffix.lower() in PAGE_SUFFIXES
        return LeftOut(path, "is no regular file, or a link to nothing", is_picture=is_picture)
    if path.name.startswith("."):
        return LeftOut(path, "is hidden")
    if path.name.lower().endswith(OUR_OWN):
        return LeftOut(path, "is an overlay or a mask that ecg-flare writes")
    if path.suffix.lower() in PAGE_SUFFIXES:
        return None
    try:
        head = read_head(path)
    except OSError as error:
        return LeftOut(path, f"cannot be opened: {error.strerror}")
    kind = format_of(head)
    if kind is not None:
        why = f"is {kind} by its content, under another ending: rename it to {SUFFIXES[kind][0]}"
        return LeftOut(path, why, is_picture=True)
    if unread_format_of(head, path.suffix):
        return LeftOut(path, why_not_read(head, path.suffix), is_picture=True)
    return LeftOut(path, f"is no page ({NAMES})")


def name_pages(files: Iterable[tuple[Path, int]]) -> tuple[PageFile, ...]:
    """Name every page of files with so many pages: stem, stem-p2, and stem-2 where another file has the stem."""
    return tuple(name_each(files))


def name_each(files: Iterable[tuple[Path, int]]) -> Iterator[PageFile]:
    """Like `name_pages`, one page after another: a file is asked for when the pages before it are named."""
    taken: set[str] = set()
    for path, count in files:
        stem = _UNSAFE.sub("_", path.stem).strip("_") or "page"
        for number in range(1, count + 1):
            wanted = stem if count == 1 else f"{stem}-p{number}"
            name, serial = wanted, 2
            while name.lower() in taken:  # some file systems don't tell A from a
                name, serial = f"{wanted}-{serial}", serial + 1
            taken.add(name.lower())
            yield PageFile(path, number, name)


def _expand(given: str | Path) -> list[tuple[Path, LeftOut | None]]:
    path = Path(given)
    if path.is_dir():
        try:
            inside = sorted(path.iterdir())
        except PermissionError as error:
            raise ConfigError(f"the folder {path} may not be read: permission denied") from error
        return _some_pages(inside, f"the folder {path} has no page: expected {', '.join(sorted(PAGE_SUFFIXES))}")
    if not path.exists() and has_magic(str(given)):
        pattern = str(path.relative_to(path.anchor)) if path.anchor else str(path)
        matches = sorted(Path(path.anchor).glob(pattern))
        return _some_pages(matches, f"no page matches {given}" if matches else f"nothing matches {given}")
    return [(path, None)]


def _some_pages(paths: Sequence[Path], else_say: str) -> list[tuple[Path, LeftOut | None]]:
    looked = [(path, look_at(path)) for path in paths]
    left_out = [left for _, left in looked if left is not None]
    if len(left_out) == len(looked):
        raise ConfigError("; ".join([else_say, *left_out_lines(left_out)]))
    return looked


def _some(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    shown = ", ".join(names[:_MAX_NAMED])
    more = len(names) - _MAX_NAMED
    return f"{len(names)} files ({shown}{f' and {more} more' if more > 0 else ''})"
