"""A folder of readings, and the pictures that they were read from: which pages there are to review, the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ecg_flare.digitize.files.earlier import EarlierReading, earlier_reading
from ecg_flare.digitize.options import FS_RANGE_HZ
from ecg_flare.digitize.outputs import Outputs
from ecg_flare.documents import Fields
from ecg_flare.ecg.formats.registry import DEFAULT, FORMATS
from ecg_flare.errors import ConfigError, EcgFlareError, ReviewError, StorageError
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.reader import list_pages
from ecg_flare.review.decisions import Review, review_of
from ecg_flare.review.journal import ENDING, journal_path, read_journal

_UNREAD: Final = -1.0
_MAX_WARNINGS: Final = 1000


@dataclass(frozen=True)
class ReviewPage:
    """A page to review.

    Attributes:
        name: of its reading.
        source: the page of its picture; None where that cannot be shown, `problem` says why.
        report: NAME.json; None of a page that was not read.
        problem: why its picture cannot be shown.
        formats: that its recording is written in: its own, or those of the folder where it has none.
    """

    name: str
    source: PageFile | None
    report: Mapping[str, Any] | None
    problem: str = ""
    formats: tuple[str, ...] = DEFAULT

    @property
    def confidence(self) -> float:
        """Of the reading; below that of any reading where there is none."""
        return _UNREAD if self.report is None else float(self.report.get("confidence", 0.0))


@dataclass(frozen=True)
class ReviewFolder:
    """A folder of readings, and folders that the pictures of pages may lie in; nothing else is ever opened."""

    folder: Path
    pictures: tuple[Path, ...] = ()

    @classmethod
    def opened(cls, folder: Path, pictures: Sequence[Path] = ()) -> ReviewFolder:
        """Raises ConfigError where a folder does not exist."""
        for each in (folder, *pictures):
            if not each.is_dir():
                raise ConfigError(f"{each} is no folder; expected a folder of readings, as `ecg-flare digitize` writes")
        return cls(folder.resolve(), tuple(each.resolve() for each in pictures))

    def pages(self) -> tuple[ReviewPage, ...]:
        """Return all pages: those that were not read first, then by their confidence.

        Raises ConfigError where there are none.
        """
        read = list(self._read_pages())
        known = {(page.source.path, page.source.number) for page in read if page.source is not None}
        taken = {page.name for page in read}
        unread = []
        for source in self._all_pictures():
            if (source.path, source.number) not in known:
                name = _free(source.name, taken)
                taken.add(name)
                unread.append(ReviewPage(name, PageFile(source.path, source.number, name), None))
        if not read and not unread:
            raise ConfigError(
                f"{self.folder} holds no reading (NAME.json): write them there with `ecg-flare digitize PAGES -o "
                f"{self.folder}`"
            )
        named = {each for page in read for each in self._formats_of(page)}
        usual = tuple(each for each in FORMATS if each in named) or DEFAULT
        pages = [replace(page, formats=self._formats_of(page) or usual) for page in (*read, *unread)]
        return tuple(sorted(pages, key=lambda page: (page.confidence, page.name)))

    def review_of(self, name: str) -> Review:
        """Return what was decided about a page; raises ReviewError where its journal cannot be trusted."""
        return review_of(read_journal(journal_path(self.folder, name)).decisions)

    def outside(self) -> tuple[Path, ...]:
        """Return the folders, not among those that may be opened, that readings say their pictures lie in."""
        found = (_source_path(page.report).parent for page in self._read_pages() if page.report and page.source is None)
        return tuple(dict.fromkeys(folder for folder in found if folder.is_dir() and not self._holds(folder)))

    def _formats_of(self, page: ReviewPage) -> tuple[str, ...]:
        return EarlierReading(self.folder, page.name, page.report).formats

    def _read_pages(self) -> Iterator[ReviewPage]:
        for path in sorted(self.folder.glob("*.json")):
            if path.name.endswith(ENDING) or path.is_symlink():
                continue
            try:
                report = earlier_reading(self.folder, path.stem).report
            except StorageError:
                continue  # somebody else's JSON
            if report is None:
                continue
            try:
                _check_report(path.stem, report)
            except ReviewError as error:
                yield ReviewPage(path.stem, None, None, f"it is damaged: {error}; read the page again")
                continue
            yield self._located(path.stem, report)

    def _located(self, name: str, report: Mapping[str, Any]) -> ReviewPage:
        try:
            said = _source_path(report)
            number = int(report["source"].get("page", 1))
        except (KeyError, TypeError, ValueError, AttributeError):
            return ReviewPage(name, None, report, f"{name}.json does not say which picture it was read from")
        for choice in (said, *(root / said.name for root in (*self.pictures, self.folder))):
            if choice.is_file() and self._holds(choice):
                return ReviewPage(name, PageFile(choice.resolve(), number, name), report)
        problem = f"the picture {said} is not there"
        if said.is_file():
            problem = f"the picture lies in {said.parent}: start again with --pages {said.parent}"
        return ReviewPage(name, None, report, problem)

    def _holds(self, path: Path) -> bool:
        """Whether a file or folder lies in one of the folders, wherever links lead."""
        real = path.resolve()
        return any(real.is_relative_to(root) for root in (self.folder, *self.pictures))

    def _all_pictures(self) -> tuple[PageFile, ...]:
        if not self.pictures:
            return ()
        try:
            listed = list_pages(self.pictures).pages
        except EcgFlareError:
            return ()  # no page in there: the readings say what is missing
        return tuple(PageFile(page.path.resolve(), page.number, page.name) for page in listed if self._holds(page.path))


def check_written(folder: ReviewFolder, outputs: Outputs) -> None:
    """Raise ConfigError where a page's recording could not be written again as it was: before the first decision."""
    for page in folder.pages():
        if page.source is not None and page.report is not None:
            rate = Fields(page.report.get("recording"), f"{page.name}.json, recording", ReviewError)
            fs_hz = rate.number("fs_hz", *FS_RANGE_HZ)
            try:
                replace(outputs, formats=page.formats).check([page.source.path], fs_hz)
            except ConfigError as error:
                raise ConfigError(f"{page.name} was written as {', '.join(page.formats)}: {error}") from error


def _check_report(name: str, report: Mapping[str, Any]) -> None:
    """Raise ReviewError where a report does not say what a list of pages, and its review, take from it."""
    fields = Fields(report, f"{name}.json", ReviewError)
    fields.number("confidence", 0.0, 1.0)
    fields.each("warnings", _MAX_WARNINGS)
    Fields(report.get("layout"), f"{name}.json, layout", ReviewError).text("name")
    Fields(report.get("recording"), f"{name}.json, recording", ReviewError).number("fs_hz", *FS_RANGE_HZ)
    if "review" in report:
        Fields(report["review"], f"{name}.json, review", ReviewError).text("head")


def _source_path(report: Mapping[str, Any]) -> Path:
    return Path(str(report["source"]["file"])).absolute()


def _free(name: str, taken: set[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
