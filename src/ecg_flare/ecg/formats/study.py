"""Whose recording it is, and when it was made: told by people, never read from a picture."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final, Literal, cast

from ecg_flare.documents import short
from ecg_flare.errors import ConfigError

Sex = Literal["F", "M", "O", ""]

COLUMNS: Final = ("file", "patient_id", "authority", "patient_name", "birth_date", "sex", "recorded_at")
"""Of a table of patients; `file` and `patient_id` have to be there."""

MAX_ROWS: Final = 1_000_000
_ID: Final = re.compile(r"[^\\\x00-\x1f]{1,64}")
_NAME: Final = re.compile(r"[^\\\x00-\x1f]{0,64}")
_OID: Final = re.compile(r"[0-2](\.(0|[1-9]\d*)){1,30}")


@dataclass(frozen=True)
class Study:
    """Whose recording it is, and when it was made; empty or None for what is not known.

    Attributes:
        patient_id: the hospital's identifier of the patient.
        authority: OID of who gave that identifier.
        patient_name: as DICOM writes names, `Family^Given`.
        birth_date: of the patient.
        sex: F, M, O for another one, or empty.
        recorded_at: when the ECG was recorded, not when its page was read.
        anonymous: nobody may know; formats that ask for a patient then say so.

    Raises ConfigError for an identifier, name or OID that DICOM cannot hold, and for an anonymous patient with an
    identity.
    """

    patient_id: str = ""
    authority: str = ""
    patient_name: str = ""
    birth_date: date | None = None
    sex: Sex = ""
    recorded_at: datetime | None = None
    anonymous: bool = False

    def __post_init__(self) -> None:
        if self.patient_id and not (_ID.fullmatch(self.patient_id) and self.patient_id.strip()):
            raise ConfigError(
                f"patient_id is {short(self.patient_id)}, expected 1 to 64 characters without a backslash"
            )
        if not _NAME.fullmatch(self.patient_name):
            raise ConfigError("patient_name has more than 64 characters, a backslash, or a control character")
        if self.authority and not (_OID.fullmatch(self.authority) and len(self.authority) <= 64):
            raise ConfigError(f"authority is {short(self.authority)}, expected an OID such as 1.2.276.0.76.4.17")
        if self.sex not in ("F", "M", "O", ""):
            raise ConfigError(f"sex is {short(self.sex)}, expected F, M, O, or nothing")
        if self.anonymous and (self.patient_id or self.patient_name or self.birth_date):
            raise ConfigError("an anonymous recording has no patient id, name or birth date: leave one of the two out")


def read_patients(path: Path) -> Mapping[str, Study]:
    """Read a table of patients (CSV in UTF-8, see COLUMNS): for each file of pages, whose it is.

    Raises ConfigError, naming the file and the line, for a table that is missing, lacks a column, names a file twice,
    or holds a value that cannot be used.
    """
    studies: dict[str, Study] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or ()
            if unknown := [name for name in names if name not in COLUMNS]:
                raise ConfigError(f"{path} has a column {short(unknown[0])}; expected {', '.join(COLUMNS)}")
            if missing := [name for name in COLUMNS[:2] if name not in names]:
                raise ConfigError(f"{path} has no column {missing[0]}; expected {', '.join(COLUMNS)}")
            for row in reader:
                where = f"line {reader.line_num} of {path}"
                key, study = _study(row, where)
                if key in studies:
                    raise ConfigError(f"{where} names {short(key)}, which stands in an earlier line, too")
                if len(studies) >= MAX_ROWS:
                    raise ConfigError(f"{path} has more than {MAX_ROWS} lines")
                studies[key] = study
    except OSError as error:
        raise ConfigError(f"the patients' table {path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} is not a CSV table in UTF-8: {error}") from error
    return studies


def parse_time(text: str, what: str) -> datetime:
    """Return a time of ISO 8601, such as 2019-03-31T14:05:00; raises ConfigError, saying `what` it is."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{what} is {short(text)}, expected a time such as 2019-03-31T14:05:00") from None


def _study(row: Mapping[str, str | None], where: str) -> tuple[str, Study]:
    values = {name: (row.get(name) or "").strip() for name in COLUMNS}
    if not values["file"] or not values["patient_id"]:
        raise ConfigError(f"{where} has no {'file' if not values['file'] else 'patient_id'}")
    try:
        born = date.fromisoformat(values["birth_date"]) if values["birth_date"] else None
    except ValueError:
        raise ConfigError(
            f"{where}: birth_date is {short(values['birth_date'])}, expected a date such as 1950-12-24"
        ) from None
    try:
        study = Study(
            patient_id=values["patient_id"],
            authority=values["authority"],
            patient_name=values["patient_name"],
            birth_date=born,
            sex=cast("Sex", values["sex"].upper()),
            recorded_at=parse_time(values["recorded_at"], "recorded_at") if values["recorded_at"] else None,
        )
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    return values["file"], study
