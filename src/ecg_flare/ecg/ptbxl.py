"""The PTB-XL database: which records there are, whose and from where, and their signals.

PTB-XL (Wagner et al. 2020, "PTB-XL, a large publicly available electrocardiography dataset", Scientific Data 7:154) has
a table, `ptbxl_database.csv`, with a row a recording, and the recordings as WFDB records at 500 and 100 Hz. Its `site`
column says where a recording was made, its `strat_fold` to which of ten folds, whole patients each, it belongs.
"""

import csv
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ecg_flare.documents import short
from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.errors import RecordError

DATABASE_FILE: Final = "ptbxl_database.csv"
UNKNOWN: Final = "unknown"
"""Site of a recording whose site is not recorded."""

_COLUMNS: Final = ("ecg_id", "patient_id", "site", "device", "strat_fold", "scp_codes", "filename_hr")

# As Python prints a dict; evaluating it would let deep nesting through to the interpreter's limits.
_SCP_CODE: Final = re.compile(r"'([^'\\]{1,40})': (\d{1,4}(?:\.\d{1,9})?)")
_SCP_CODES: Final = re.compile(rf"\{{(?:{_SCP_CODE.pattern}(?:, {_SCP_CODE.pattern})*)?\}}")


@dataclass(frozen=True)
class PtbxlEntry:
    """One row of the table: a recording of a patient at a site.

    `patient_id` and `site` are whole numbers as text (site "unknown" if the table has none); `scp_codes` pairs each
    statement (NORM, AFIB, ...) with its likelihood in per cent; `path` is the 500 Hz record below the database's
    folder, without an ending.
    """

    ecg_id: int
    patient_id: str
    site: str
    device: str
    strat_fold: int
    scp_codes: tuple[tuple[str, float], ...]
    path: str


def read_database(root: Path) -> tuple[PtbxlEntry, ...]:
    """Read the table in the database's folder, ordered as it is.

    Raises RecordError if the table is missing, lacks a column or has a row that cannot be read.
    """
    table = root / DATABASE_FILE
    try:
        with table.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise RecordError(f"{table} has no column {missing}; expected the table of PTB-XL 1.0.1 or later.")
            return tuple(_entry(row, table, reader.line_num) for row in reader)
    except OSError as error:
        raise RecordError(
            f"Cannot read {table} ({error.strerror}); give the folder of PTB-XL, which holds it beside records500/."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordError(f"{table} is not a CSV table in UTF-8 ({error}); fetch it again.") from error


def load_record(root: Path, entry: PtbxlEntry) -> Recording:
    """Read an entry's recording, 12 leads at 500 Hz in mV; RecordError names the file if it is missing or corrupt."""
    header = root / f"{entry.path}.hea"
    if not header.is_file():
        raise RecordError(
            f"PTB-XL record {entry.ecg_id} is missing: no file {header}. Download records500/ into {root}, "
            f"or leave the record out of {DATABASE_FILE}."
        )
    return replace(read_wfdb(header), patient_id=entry.patient_id)


def at_sites(entries: Iterable[PtbxlEntry], sites: Collection[str]) -> tuple[PtbxlEntry, ...]:
    """Return the entries recorded at any of the sites."""
    return tuple(entry for entry in entries if entry.site in sites)


def in_folds(entries: Iterable[PtbxlEntry], folds: Collection[int]) -> tuple[PtbxlEntry, ...]:
    """Return the entries of any of the folds (1 to 10)."""
    return tuple(entry for entry in entries if entry.strat_fold in folds)


def _entry(row: dict[str, str], table: Path, line: int) -> PtbxlEntry:
    try:
        return PtbxlEntry(
            ecg_id=int(row["ecg_id"]),
            patient_id=_whole_number(row["patient_id"]),
            site=_whole_number(row["site"]) if row["site"].strip() else UNKNOWN,
            device=" ".join(row["device"].split()),
            strat_fold=int(row["strat_fold"]),
            scp_codes=_scp_codes(row["scp_codes"]),
            path=_relative_path(row["filename_hr"]),
        )
    except (ValueError, OverflowError, TypeError, AttributeError) as error:
        raise RecordError(f"Line {line} of {table} cannot be read: {error}.") from error


def _whole_number(text: str) -> str:
    # The table was written by pandas, which turned identifiers into floats: "15709.0".
    value = float(text)
    if not value.is_integer():
        raise ValueError(f"expected a whole number, found {text!r}")
    return str(int(value))


def _scp_codes(text: str) -> tuple[tuple[str, float], ...]:
    if not _SCP_CODES.fullmatch(text):
        raise ValueError(f"expected scp_codes as {{'statement': likelihood}}, found {short(text)}")
    return tuple((code, float(likelihood)) for code, likelihood in _SCP_CODE.findall(text))


def _relative_path(text: str) -> str:
    path = Path(text)
    if not text or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"expected a record below the database's folder, found {text!r}")
    return text
