"""The directories of a TIFF (revision 6.0, section 2; BigTIFF) looked over before any library builds something of them.

Libraries need not read a directory alike: of a tag that stands twice one may take the first and another the last, and
so see a stamp where the other decodes a poster. And each number of a table of strips becomes several
objects in Python: a table of twenty megabytes would fill the memory.
"""

import struct
from typing import IO, Final, NamedTuple

from ecg_flare.errors import PageError

MAX_VALUES: Final = 200_000
"""Numbers in one tag: a page of 8,000 rows, one a strip, has 8,000."""

MAX_PAGES: Final = 10_000
"""Pages of one file."""

_OPAQUE: Final = (1, 2, 6, 7)  # bytes, text and raw data are never taken apart into numbers


class _Form(NamedTuple):
    """How a TIFF writes its numbers: byte order, and struct codes of an offset, a count of entries and an entry."""

    order: str
    offset: str
    entries: str
    entry: str


def check_directories(file: IO[bytes], name: str, *, page: int) -> int:
    """Refuse a TIFF whose directories, up to that of `page` (from 1), repeat a tag or hold endless tables.

    Gives how many there are up to that one; 0 for a file that is no TIFF. One that is cut short is left to whoever
    decodes it. Raises PageError.
    """
    file.seek(0)
    form, offset = _read_header(file)
    seen: set[int] = set()
    while form is not None and offset and offset not in seen and len(seen) < page:
        seen.add(offset)
        offset = _check_directory(file, offset, form, name)
    return len(seen)


def _read_header(file: IO[bytes]) -> tuple[_Form | None, int]:
    start = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or len(start) < 16:
        return None, 0
    (version,) = struct.unpack_from(order + "H", start, 2)
    if version == 43:
        return _Form(order, "Q", "Q", "HHQ8x"), struct.unpack_from(order + "Q", start, 8)[0]
    return _Form(order, "I", "H", "HHI4x"), struct.unpack_from(order + "I", start, 4)[0]


def _check_directory(file: IO[bytes], offset: int, form: _Form, name: str) -> int:
    """Check one directory; gives where the next one is, 0 where there is none."""
    file.seek(offset)
    size = struct.calcsize(form.order + form.entry)
    (count,) = _unpack(file, form.order + form.entries) or (0,)
    if count > MAX_VALUES:
        raise PageError(f"{name} is damaged: a directory of {count} tags, expected at most {MAX_VALUES}")
    data = file.read(count * size)
    tags = set()
    for tag, kind, values in struct.iter_unpack(form.order + form.entry, data[: len(data) // size * size]):
        if tag in tags:
            raise PageError(f"{name} is damaged: its tag {tag} stands twice; save it again as TIFF or PNG")
        if values > MAX_VALUES and kind not in _OPAQUE:
            raise PageError(
                f"{name} has a tag {tag} of {values} numbers, more than {MAX_VALUES}: save it in larger strips, or as "
                "PNG"
            )
        tags.add(tag)
    return int((_unpack(file, form.order + form.offset) or (0,))[0])


def _unpack(file: IO[bytes], form: str) -> tuple[int, ...] | None:
    data = file.read(struct.calcsize(form))
    return struct.unpack(form, data) if len(data) == struct.calcsize(form) else None
