"""report.html of a run: all in one file, or in parts of PAGES_A_PART pages, the worst first.

The one file holds the pictures of its pages, too, so that it can be mailed. Parts show the overlays beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import cv2

from ecg_flare.digitize.archive.manifest import Article, Entry, Manifest
from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.files.batch import REPORT_NAME
from ecg_flare.digitize.files.earlier import OVERLAY_ENDING, remove_file
from ecg_flare.digitize.files.html import HEAD, PageEntry, counts_line, document, embedded
from ecg_flare.storage import write_atomically

PAGES_A_PART: Final = 100


def write_report(manifest: Manifest, out: Path) -> Path:
    """Write the report on the pages of this run; returns its first part. Raises StorageError where that fails."""
    counts = manifest.counts(CONFIDENT)
    line = counts_line(counts.pages, counts.failed, counts.withheld, counts.unsure)
    parts = max(1, -(-counts.pages // PAGES_A_PART))
    ordered = (_page_entry(entry, article) for entry, article in manifest.worst_first())
    for number in range(1, parts + 1):
        entries = list(islice(ordered, PAGES_A_PART))
        if parts == 1:
            entries = [_with_picture(entry, out) for entry in entries]
        _write(out / part_name(number), document(entries, line, _links(entries, number, parts)))
    for stale in _further_parts(out, parts):
        remove_file(stale)
    return out / REPORT_NAME


def part_name(number: int) -> str:
    """Name of a part's file, from 1 on."""
    stem, _, ending = REPORT_NAME.rpartition(".")
    return REPORT_NAME if number == 1 else f"{stem}-{number}.{ending}"


def _page_entry(entry: Entry, article: Article) -> PageEntry:
    order = -1.0 if entry.confidence is None else entry.confidence
    return PageEntry(entry.name, order, article.row, article.article)


def _with_picture(entry: PageEntry, out: Path) -> PageEntry:
    """The page with its overlay inside, where the file is still there."""
    file = f"{entry.title}{OVERLAY_ENDING}"
    picture = cv2.imread(str(out / file)) if (out / file).is_file() else None
    if picture is None:
        return entry
    inside = embedded(entry.title, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
    article = entry.article.replace(f'src="{file}"', f'src="{inside}"')
    return PageEntry(entry.title, entry.order, entry.row, article)


def _links(entries: list[PageEntry], number: int, parts: int) -> str:
    """Where this part stands among the others; nothing where it is the only one."""
    if parts == 1:
        return ""
    others = {"first": 1, "previous": number - 1, "next": number + 1, "last": parts}
    links = " · ".join(
        f'<a href="{part_name(other)}">{name}</a>' for name, other in others.items() if 1 <= other <= parts != number
    )
    least, most = (f"{max(0.0, entries[at].order):.0%}" for at in (0, -1))
    return f"<p>Part {number} of {parts}, confidence {least} to {most}: {links}</p>"


def _further_parts(out: Path, parts: int) -> Iterator[Path]:
    """Parts of an earlier, longer report."""
    while (path := out / part_name(parts := parts + 1)).is_file():
        with path.open("rb") as file:
            if file.read(len(HEAD)) == HEAD.encode():
                yield path


def _write(path: Path, html: str) -> None:
    write_atomically(path, lambda file: file.write(html.encode()))
