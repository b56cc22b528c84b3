"""A folder of pages looked over before it trains anything: what is wrong with it, page by page, and what to do.

Reading is `page_folder`'s own, so that what passes here can be read in a job. Beyond that come the mistakes
that can be read and still spoil a training: a wrong resolution, traces drawn too thin, one page under two patients.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from ecg_flare.errors import PageError, SiteDataError
from ecg_flare.page.image_files import open_image
from ecg_flare.page.page_list import LeftOut, PageFile, left_out_lines
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM, TRACE_WIDTH_PX, Label
from ecg_flare.task.inspection import CaseFacts, Finding, Inspection, too_few_patients
from ecg_flare.task.traces.page_case import PageCase
from ecg_flare.task.traces.page_folder import PATIENTS_FILE, PageFolder, ReadPage

_MM_PER_INCH: Final = 25.4
_LONG_SIDE_MM: Final = (60.0, 500.0)
_SAME_RESOLUTION: Final = 0.05
# What scanners' and viewers' software writes where it knows nothing.
_DEFAULT_DPI: Final = (72, 96)
_TRACE_WIDTHS_PX: Final = (TRACE_WIDTH_PX / 2, TRACE_WIDTH_PX * 2.5)
_MAX_OF_ONE_PATIENT: Final = 0.5
_ENOUGH_TO_TELL: Final = 10
# Measured on rendered pages (docs/site.md): image, mask and nnU-Net's compressed arrays, with a third to spare.
_CACHE_BYTES_PER_PX: Final = 12
# Truths and records that are written beside pages.
_BESIDE_PAGES: Final = (".json", ".csv", ".hea", ".dat")
# Grey values by which a trace differs from its page at the least.
_LEAST_CONTRAST: Final = 5.0
_SAY_WHOSE: Final = (
    f"give {PATIENTS_FILE} (columns page, patient_id) a row for it, or --patient-pattern; "
    "if each page is of another patient, say --each-page-a-patient"
)


@dataclass(frozen=True)
class PageFacts(CaseFacts):
    """A page that can be read; its name is that of the image's file, with the page in it.

    Attributes:
        digest: of the page as the network sees it.
        px_per_mm: of the image.
        width_mm, height_mm: of the paper, if the resolution is right.
    """

    digest: str
    px_per_mm: float
    width_mm: float
    height_mm: float


def inspect_pages(
    source: PageFolder, site: str, watch: Callable[[Sequence[PageFile]], Iterable[PageFile]] = lambda pages: pages
) -> Inspection:
    """Read every page of the site's folder and say what is wrong.

    `watch` may show how far it is: it gives the pages that it is given. Raises SiteDataError where the folder or its
    table of patients cannot be read at all.
    """
    listed, table = source.pages(site), source.patient_table(site)
    pages: list[PageFacts] = []
    findings: list[Finding] = []
    for page in watch(listed.pages):
        if not _is_distinguished(source, page, table):
            findings.append(Finding(page.title, "nothing says whose page it is", _SAY_WHOSE, stops=True))
            continue
        try:
            read = source.read(page, table)
        except SiteDataError as error:
            findings.append(Finding(page.title, error.what, error.remedy, stops=True))
            continue
        facts = _facts(page, read)
        pages.append(facts)
        findings += _page_findings(page, read, facts)
    findings += [
        *_names(listed.pages),
        *_patients(pages, whole=len(pages) == len(listed.pages)),
        *_duplicates(pages),
        *_left_out(listed.left_out),
        *_absent(listed.pages, table),
    ]
    area_mm2 = sum(page.width_mm * page.height_mm for page in pages)
    cache_bytes = int(area_mm2 * NORMALIZED_PX_PER_MM**2 * _CACHE_BYTES_PER_PX)
    return Inspection.of(len(listed.pages), pages, findings, cache_bytes)


def _is_distinguished(source: PageFolder, page: PageFile, table: Mapping[str, str] | None) -> bool:
    try:
        source.patient(page, table)
    except SiteDataError:
        return False
    return True


def _facts(page: PageFile, read: ReadPage) -> PageFacts:
    case = read.case
    height_mm, width_mm = (side / NORMALIZED_PX_PER_MM for side in case.mask.shape)
    digest = hashlib.sha256(np.ascontiguousarray(case.image).data).hexdigest()
    return PageFacts(page.title, case.patient_id, digest, read.px_per_mm, width_mm, height_mm)


def _page_findings(page: PageFile, read: ReadPage, facts: PageFacts) -> Iterator[Finding]:
    for note in read.notes:
        yield Finding(page.title, note, "", stops=False)
    long_side = max(facts.width_mm, facts.height_mm)
    if not _LONG_SIDE_MM[0] <= long_side <= _LONG_SIDE_MM[1]:
        yield Finding(
            page.title,
            f"at {_resolution(facts.px_per_mm)} the page would be {long_side:.0f} mm long",
            "check the resolution that you gave (--dpi)",
            stops=True,
        )
    stated = _stated_dpi(page)
    if stated and abs(stated / (facts.px_per_mm * _MM_PER_INCH) - 1) > _SAME_RESOLUTION:
        yield Finding(
            page.title,
            f"the file says {stated:.0f} dpi, it is read at {_resolution(facts.px_per_mm)}",
            "check which is right; pages of other resolutions belong into a folder of their own",
            stops=False,
        )
    if facts.px_per_mm < NORMALIZED_PX_PER_MM * (1 - _SAME_RESOLUTION):
        yield Finding(
            page.title,
            f"{_resolution(facts.px_per_mm)} is coarser than what the network sees "
            f"({_resolution(NORMALIZED_PX_PER_MM)})",
            "scan at 200 dpi or more",
            stops=False,
        )
    yield from _trace_findings(page, read.case)


def _trace_findings(page: PageFile, case: PageCase) -> Iterator[Finding]:
    trace = case.mask == Label.TRACE
    if not trace.any():
        yield Finding(
            page.title,
            "no trace is left in its mask at the network's resolution",
            f"draw the traces (value 1) 0.75 mm wide: {TRACE_WIDTH_PX} pixels at {_resolution(NORMALIZED_PX_PER_MM)}",
            stops=True,
        )
        return
    width_px = _thickness_px(trace)
    least, most = _TRACE_WIDTHS_PX
    if not least <= width_px <= most:
        yield Finding(
            page.title,
            f"its traces are drawn {width_px / NORMALIZED_PX_PER_MM:.2g} mm thick",
            "draw them about 0.75 mm thick, whatever the pen was",
            stops=False,
        )
    grey = cv2.cvtColor(case.image, cv2.COLOR_RGB2GRAY)
    if abs(float(grey[trace].mean()) - float(grey[~trace].mean() if not trace.all() else 0)) < _LEAST_CONTRAST:
        yield Finding(
            page.title,
            "under the trace of its mask the page is as bright as elsewhere",
            "check that the mask is that of this page, and lies on its lines",
            stops=False,
        )


def _thickness_px(trace: np.ndarray) -> float:
    """Median height of the trace's vertical runs: its thickness, as most of a trace is nearly level."""
    columns = np.pad(trace.T.astype(np.int8), ((0, 0), (1, 1)))
    steps = np.diff(columns.ravel())
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return float(np.median(ends - starts))


def _stated_dpi(page: PageFile) -> float | None:
    """The resolution in the image's head, where it is one that somebody meant."""
    try:
        with open_image(page.path, page.path, page=page.number) as image:
            stated = float(image.info["dpi"][0])
    except (PageError, KeyError, TypeError, ValueError, ZeroDivisionError, IndexError):
        return None
    return stated if stated > 1 and round(stated) not in _DEFAULT_DPI else None


def _names(pages: Sequence[PageFile]) -> Iterator[Finding]:
    by_name: dict[str, list[str]] = defaultdict(list)
    for page in pages:
        by_name[re.sub(r"[^a-z0-9._-]", "-", page.name.lower())].append(page.title)
    for names in by_name.values():
        if len(names) > 1:
            yield Finding(
                names[0],
                f"its name is the same as that of {', '.join(names[1:])} but for ending, case or special characters",
                "rename all but one, or remove copies",
                stops=True,
            )


def _patients(pages: Sequence[PageFacts], *, whole: bool) -> Iterator[Finding]:
    counts = Counter(page.patient_id for page in pages)
    if len(counts) < 2 and (whole or not pages):
        yield too_few_patients(len(counts), "pages")
    elif counts and max(counts.values()) > _MAX_OF_ONE_PATIENT * len(pages) and len(pages) >= _ENOUGH_TO_TELL:
        patient, count = counts.most_common(1)[0]
        yield Finding(
            "",
            f"{count} of {len(pages)} pages are of one patient, {patient!r}",
            "check how patients are distinguished (--patient-pattern)",
            stops=False,
        )


def _duplicates(pages: Sequence[PageFacts]) -> Iterator[Finding]:
    by_digest: dict[str, list[PageFacts]] = defaultdict(list)
    for page in pages:
        by_digest[page.digest].append(page)
    for same in by_digest.values():
        if len(same) < 2:
            continue
        others = ", ".join(page.name for page in same[1:])
        if len({page.patient_id for page in same}) > 1:
            yield Finding(
                same[0].name,
                f"the same picture as {others}, under another patient",
                "keep one: a patient counted twice is hidden half as well, and may train and validate at once",
                stops=True,
            )
        else:
            yield Finding(same[0].name, f"the same picture as {others}", "keep one", stops=False)


def _left_out(left_out: Sequence[LeftOut]) -> Iterator[Finding]:
    """A finding for each picture that is no page of the folder, and one for each kind of other files."""
    for left in left_out:
        if left.is_picture:
            yield Finding(left.path.name, f"left out: it {left.why}", "", stops=False)
    others = [left for left in left_out if not left.is_picture and left.path.suffix.lower() not in _BESIDE_PAGES]
    for line in left_out_lines(others):
        yield Finding("", f"left out: {line}", "", stops=False)


def _absent(pages: Sequence[PageFile], table: Mapping[str, str] | None) -> Iterator[Finding]:
    stems = {page.name for page in pages} | {page.path.stem for page in pages}
    absent = sorted(page for page in table or () if page not in stems)
    if absent:
        yield Finding(
            "",
            f"{PATIENTS_FILE} names {len(absent)} pages that are not there, {absent[0]!r} first",
            "copy them, or strike their rows",
            stops=False,
        )


def _resolution(px_per_mm: float) -> str:
    return f"{px_per_mm * _MM_PER_INCH:.0f} dpi"
