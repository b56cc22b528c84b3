"""Which pages a batch has, and what their results are called."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import Final

from ecg_flare.errors import ConfigError

PDF_SUFFIX: Final = ".pdf"
SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", PDF_SUFFIX})

_OUR_OWN: Final = (".overlay.png", ".mask.png")  # written by this package beside pages
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


def find_files(inputs: Sequence[str | Path]) -> tuple[Path, ...]:
    """Files that the inputs name: files as they are, folders' images and PDFs, globs' matches; none twice.

    A file that does not exist is kept: reading it says so, and the rest of the batch goes on.

    Raises:
        ConfigError: a folder or glob has no page, a folder may not be read, or there are no inputs at all.
    """
    found: dict[Path, None] = {}
    for given in inputs:
        for path in _expand(given):
            found.setdefault(path)
    if not found:
        raise ConfigError("no pages were given; name image files, PDFs, folders or globs")
    return tuple(found)


def name_pages(files: Iterable[tuple[Path, int]]) -> tuple[PageFile, ...]:
    """Name every page of files with so many pages: stem, stem-p2, and stem-2 where another file has the stem."""
    taken: set[str] = set()
    pages = []
    for path, count in files:
        stem = _UNSAFE.sub("_", path.stem).strip("_") or "page"
        for number in range(1, count + 1):
            wanted = stem if count == 1 else f"{stem}-p{number}"
            name, serial = wanted, 2
            while name.lower() in taken:  # some file systems don't tell A from a
                name, serial = f"{wanted}-{serial}", serial + 1
            taken.add(name.lower())
            pages.append(PageFile(path, number, name))
    return tuple(pages)


def _expand(given: str | Path) -> list[Path]:
    path = Path(given)
    if path.is_dir():
        try:
            inside = sorted(each for each in path.iterdir() if _is_page(each))
        except PermissionError as error:
            raise ConfigError(f"the folder {path} may not be read: permission denied") from error
        if not inside:
            raise ConfigError(f"the folder {path} has no page: expected {', '.join(sorted(SUFFIXES))}")
        return inside
    if not path.exists() and has_magic(str(given)):
        pattern = str(path.relative_to(path.anchor)) if path.anchor else str(path)
        inside = [match for match in sorted(Path(path.anchor).glob(pattern)) if _is_page(match)]
        if not inside:
            raise ConfigError(f"nothing matches {given}")
        return inside
    return [path]


def _is_page(path: Path) -> bool:
    return (
        path.suffix.lower() in SUFFIXES
        and not path.name.startswith(".")
        and not path.name.lower().endswith(_OUR_OWN)
        and path.is_file()
    )
