"""What is wrong with a WFDB header that wfdb cannot parse: the line, its text, and what to do.

A header is a record line, `NAME SIGNALS FS SAMPLES`, and a line a signal, `FILE FORMAT GAIN(BASELINE)/UNITS RESOLUTION
ZERO FIRST CHECKSUM BLOCK NAME` (header(5) of the WFDB manual). wfdb says "invalid syntax" at best, and takes what
follows a field that it does not understand for the signal's name. The fields from the resolution on may be left out
before a name: `r.dat 16 1000/mV Resp` is in order.
"""

import re
from pathlib import Path
from typing import Final

from ecg_flare.documents import short
from ecg_flare.ecg.leads import normalize_lead_name

_RECORD: Final = re.compile(r"[-\w]+(/\d+)?\s+\d+(\s|$)", re.ASCII)
_FILE: Final = re.compile(r"~?[-\w]*\.?\w*", re.ASCII)
_FORMAT: Final = re.compile(r"\d+(x\d+)?(:\d+)?(\+\d+)?")
_GAIN: Final = re.compile(r"-?\d*\.?\d*(e[+-]?\d+)?(\(-?\d+\))?(/\S+)?")
_WHOLE: Final = re.compile(r"-?\d+")
_NUMBERS: Final = ("resolution", "zero", "first value", "checksum", "block size")


def header_fault(path: Path) -> str | None:
    """What is wrong with the header and what to do, in a sentence; None where its lines look as they should."""
    data = path.read_bytes()
    if b"\0" in data:
        return "it is not text in ASCII but UTF-16 or no text at all: save it as plain text"
    text = data.decode("utf-8-sig", errors="replace")
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not lines:
        return "it is empty: fetch it again"
    number, record = lines[0]
    if not _RECORD.match(record):
        return (
            f"line {number} is {short(record)}, expected 'NAME SIGNALS FS SAMPLES' with a NAME of letters, digits, - "
            "and _: correct it, and rename the files if the name has other characters"
        )
    if "/" in record.split()[0]:
        return None
    expected, signals = int(record.split()[1]), lines[1:]
    for number, line in signals[:expected]:
        if fault := signal_fault(line):
            return f"line {number}, {short(line)}: {fault}"
    if len(signals) < expected:
        return f"it says {expected} signals and has lines for {len(signals)}: fetch it again"
    return None


def signal_fault(line: str) -> str | None:
    """What is wrong with a signal's line, and what to do; None where its fields look as they should."""
    fields = line.split(None, 8)
    if not _FILE.fullmatch(fields[0]):
        return (
            f"the file is {short(fields[0])}, expected letters, digits, - and _ with one dot at most: rename the file "
            "and correct the line"
        )
    if len(fields) < 2 or not _FORMAT.fullmatch(fields[1]):
        found = short(fields[1]) if len(fields) > 1 else "missing"
        return (
            f"the format is {found}, expected a number such as 16 (a file's name may hold no space): correct the line"
        )
    if len(fields) > 2 and not _GAIN.fullmatch(fields[2]):
        return f"the gain is {short(fields[2])}, expected a number such as 1000(0)/mV: give the gain of the recorder"
    for name, (place, field) in zip(_NUMBERS, enumerate(fields[3:8], 3), strict=False):
        if _WHOLE.fullmatch(field):
            continue
        if holds_fields(" ".join(fields[place:])):
            return f"the {name} is {short(field)}, expected a whole number: correct the line"
        return None  # the signal's name: the fields before it are left out
    return None


def holds_fields(name: str) -> bool:
    """Whether a signal's name is fields of a lead's line and, last, the lead's own name.

    >>> holds_fields("nan 0 0 V6"), holds_fields("Lead V6"), holds_fields("Resp 2")
    (True, False, False)
    """
    words = name.split()
    return len(words) > 1 and normalize_lead_name(name) is None and normalize_lead_name(words[-1]) is not None
