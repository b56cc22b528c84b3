"""Which pages of a folder's files have a mask or a truth, and which files are no pages to train on.

A PDF, GIF, WebP or JPEG 2000 without a mask is left out where another file of the folder has one: a manual or a logo
often lies beside scans, and so does the PDF that a scan was exported from. PNG, JPEG, TIFF and BMP are taken for scans,
and reading one without a mask says what is missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ecg_flare.page.formats import PDF, SUFFIXES
from ecg_flare.page.page_list import LeftOut, PageFile, PageList
from ecg_flare.page.reader import count_pages

MASK_ENDING: Final = ".mask.png"
MASK_FOLDER: Final = "masks"

_OFTEN_NO_SCAN: Final = frozenset(suffix for kind in (PDF, "GIF", "WEBP", "JPEG2000") for suffix in SUFFIXES[kind])


@dataclass(frozen=True)
class _File:
    """A file's pages, and those of them that have a mask or a truth of their own."""

    path: Path
    pages: tuple[PageFile, ...]
    drawn: tuple[PageFile, ...]

    @property
    def may_be_left_out(self) -> bool:
        return not self.drawn and _is_often_no_scan(self.path)


def drawn_pages(files: Sequence[Path]) -> PageList:
    """The pages to train on, and what was left out.

    Of a file of several pages, those without a mask and without a truth are left out where another one has it.
    """
    scans = {path.stem: path for path in files if not _is_often_no_scan(path)}
    looked = [_look_at(path, {} if path in scans.values() else scans) for path in files]
    some_drawn = any(file.drawn for file in looked)
    pages: list[PageFile] = []
    left_out: list[LeftOut] = []
    for file in looked:
        if file.may_be_left_out and some_drawn:
            left_out.append(_left_out_whole(file, scans))
            continue
        kept = file.drawn or file.pages[:1]  # reading the first one says what is missing
        pages += kept
        left_out += [_left_out_page(page, len(file.pages)) for page in file.pages if page not in kept]
    return PageList(tuple(pages), tuple(left_out))


def mask_files(page: PageFile) -> tuple[Path, ...]:
    """Where a page's mask may be; that of a file's first page may be named as the file."""
    return tuple(path for stem in _stems(page) for path in _masks_of(page.path.parent, stem))


def _look_at(path: Path, scans: Mapping[str, Path]) -> _File:
    """A file's pages. Masks that are named as one of these scans are the scan's."""
    count = count_pages(path)
    pages = tuple(PageFile(path, n, path.stem if count == 1 else f"{path.stem}-p{n}") for n in range(1, count + 1))
    return _File(path, pages, tuple(page for page in pages if _is_drawn(page, scans)))


def _is_drawn(page: PageFile, scans: Mapping[str, Path]) -> bool:
    folder = page.path.parent
    own = [stem for stem in _stems(page) if stem not in scans]
    files = [path for stem in own for path in _masks_of(folder, stem)]
    if page.name in own:
        files.append(folder / f"{page.name}.json")
    return any(path.exists() for path in files)


def _stems(page: PageFile) -> list[str]:
    return [page.name, *([page.path.stem] if page.number == 1 and page.name != page.path.stem else [])]


def _masks_of(folder: Path, stem: str) -> tuple[Path, Path]:
    return folder / f"{stem}{MASK_ENDING}", folder / MASK_FOLDER / f"{stem}.png"


def _is_often_no_scan(path: Path) -> bool:
    return path.suffix.lower() in _OFTEN_NO_SCAN


def _left_out_whole(file: _File, scans: Mapping[str, Path]) -> LeftOut:
    first = file.pages[0]
    scan = scans.get(file.path.stem)
    why = f"has no mask: {first.name}{MASK_ENDING}"
    if scan is not None:
        why = f"has no mask of its own: what is named {file.path.stem} belongs to {scan.name}"
    return LeftOut(file.path, why, is_picture=True)


def _left_out_page(page: PageFile, count: int) -> LeftOut:
    why = f"has no mask for page {page.number} of {count}: {page.name}{MASK_ENDING}"
    return LeftOut(page.path, why, is_picture=True)
