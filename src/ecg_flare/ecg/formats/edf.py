"""A recording as EDF+, by edfio.

Source: Kemp and Olivan 2003, "European data format 'plus' (EDF+), an EDF alike standard format for the exchange of
physiological data", Clinical Neurophysiology 114:1755.

EDF has no word for a missing sample. It is the smallest digital value, -32768, and an annotation "not recorded: LEAD"
stands over each stretch of them; so do the samples that fill the last data record.
"""

from __future__ import annotations

import io
import re
import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from ecg_flare.ecg.formats.counts import MISSING_ADU, Counts
from ecg_flare.ecg.formats.study import Study
from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.stretches import unbroken
from ecg_flare.errors import RecordError

if TYPE_CHECKING:
    from edfio import EdfAnnotation, EdfSignal, Patient

ENDING: Final = ".edf"
NOT_RECORDED: Final = "not recorded"
MAX_RECORD_BYTES: Final = 61_440
"""Of a data record, as EDF recommends."""

PATIENT_BYTES: Final = 62
"""Of the header's 80 for the patient, beside sex, birth date and spaces."""

YEARS: Final = range(1985, 2085)
"""That EDF can write. A recording of another year has no date, and an annotation says it."""


def write_edf(recording: Recording, study: Study) -> bytes:
    """Return the recording as an EDF+ file; RecordError for one without samples."""
    from edfio import Edf, EdfAnnotation
    from edfio import Recording as Session

    if recording.n_samples == 0:
        raise RecordError("A recording without samples cannot be written as EDF.")
    counts = Counts.of(recording)
    size = _record_samples(recording)
    filled = np.full((len(counts.values), -(-recording.n_samples // size) * size), MISSING_ADU, np.int16)
    filled[:, : recording.n_samples] = counts.values
    when = study.recorded_at
    annotations = list(_gaps(recording, filled))
    if when is not None and when.year not in YEARS:
        annotations.append(EdfAnnotation(0.0, None, f"recorded at {when.isoformat(timespec='seconds')}"))
        when = None
    edf = Edf(
        [_signal(lead, row, recording.fs_hz, counts.uv_per_count) for lead, row in _named(recording, filled)],
        patient=_patient(study),
        recording=Session(startdate=None if when is None else when.date(), equipment_code="ecg_flare"),
        starttime=(when or datetime(1985, 1, 1)).time().replace(microsecond=0, tzinfo=None),
        data_record_duration=size / recording.fs_hz,
        annotations=annotations,
    )
    file = io.BytesIO()
    edf.write(file)
    return file.getvalue()


def _record_samples(recording: Recording) -> int:
    """How many samples of a lead a data record holds: those of a second, or of the largest part that it can."""
    most = MAX_RECORD_BYTES // (2 * (len(recording.lead_names) + 1))
    return max(1, min(round(recording.fs_hz), most))


def _named(recording: Recording, rows: np.ndarray) -> list[tuple[str, np.ndarray]]:
    return list(zip(recording.lead_names, rows, strict=True))


def _signal(lead: str, row: np.ndarray, fs_hz: float, uv_per_count: float) -> EdfSignal:
    from edfio import EdfSignal

    return EdfSignal.from_digital(
        row,
        fs_hz,
        label=f"ECG {lead}",
        physical_dimension="uV",
        physical_range=(-32768 * uv_per_count, 32767 * uv_per_count),
        digital_range=(-32768, 32767),
    )


def _gaps(recording: Recording, rows: np.ndarray) -> list[EdfAnnotation]:
    from edfio import EdfAnnotation

    return [
        EdfAnnotation(first / recording.fs_hz, (last - first) / recording.fs_hz, f"{NOT_RECORDED}: {lead}")
        for lead, row in _named(recording, rows)
        for first, last in unbroken(row == MISSING_ADU)
    ]


def _patient(study: Study) -> Patient:
    from edfio import Patient

    code = _subfield(study.patient_id)
    return Patient(
        code=code,
        sex=study.sex if study.sex in ("F", "M") else "X",
        birthdate=study.birth_date,
        name=_subfield(study.patient_name)[: PATIENT_BYTES - len(code)],
    )


def _subfield(text: str) -> str:
    """Return text as EDF+ can hold it: ASCII without spaces; X for nothing."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[\s^]", "_", plain) or "X"
