"""The formats that recordings are written in, by name."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ecg_flare.ecg.formats import aecg, csv_table, dicom, edf, fhir, mat
from ecg_flare.ecg.formats.study import Study
from ecg_flare.ecg.record import Recording, write_wfdb
from ecg_flare.errors import ConfigError

INSTALL: Final = "pip install 'ecg_flare[formats]'"


@dataclass(frozen=True)
class Format:
    """A format: its name, the endings of its files, and what writes them.

    Attributes:
        name: for people and options.
        endings: of its files, the one that readers look for first.
        write: a recording, whose it is, and a name -> the files' content by ending.
        package: a library that has to be installed.
        of_a_patient: it files a recording under a patient, and is not written without one.
    """

    name: str
    endings: tuple[str, ...]
    write: Callable[[Recording, Study, str], Mapping[str, bytes]]
    package: str = ""
    of_a_patient: bool = False


def _one_file(ending: str, write: Callable[[Recording, Study], bytes]) -> Callable[..., Mapping[str, bytes]]:
    return lambda recording, study, _: {ending: write(recording, study)}


def _write_wfdb(recording: Recording, study: Study, name: str) -> Mapping[str, bytes]:
    """The WFDB library writes the header and the samples in place, so they are written elsewhere first."""
    with tempfile.TemporaryDirectory() as scratch:
        write_wfdb(replace(recording, patient_id=study.patient_id), Path(scratch), name)
        return {ending: (Path(scratch) / f"{name}{ending}").read_bytes() for ending in (".dat", ".hea")}


def _write_csv(recording: Recording, study: Study) -> bytes:
    return csv_table.csv_text(recording).encode()


FORMATS: Final[Mapping[str, Format]] = {
    one.name: one
    for one in (
        Format("wfdb", (".hea", ".dat"), _write_wfdb),
        Format("csv", (csv_table.ENDING,), _one_file(csv_table.ENDING, _write_csv)),
        Format("dicom", (dicom.ENDING,), _one_file(dicom.ENDING, dicom.write_dicom), "pydicom", of_a_patient=True),
        Format("fhir", (fhir.ENDING,), _one_file(fhir.ENDING, fhir.write_fhir), of_a_patient=True),
        Format("aecg", (aecg.ENDING,), _one_file(aecg.ENDING, aecg.write_aecg), of_a_patient=True),
        Format("edf", (edf.ENDING,), _one_file(edf.ENDING, edf.write_edf), "edfio"),
        Format("mat", (mat.ENDING,), _one_file(mat.ENDING, mat.write_mat)),
    )
}
DEFAULT: Final = ("wfdb", "csv")


def endings(names: Sequence[str]) -> tuple[str, ...]:
    """Return the endings of the files of formats; of each format the one that readers look for first."""
    return tuple(ending for name in names for ending in FORMATS[name].endings)


def checked_formats(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of formats without repeats, in the order of FORMATS.

    Raises ConfigError for an unknown one, for none, and for one whose library is not installed.
    """
    if unknown := [name for name in names if name not in FORMATS]:
        raise ConfigError(f"unknown format {unknown[0]!r}; there are {', '.join(FORMATS)}")
    if not names:
        raise ConfigError(f"no format is named; there are {', '.join(FORMATS)}")
    for name in names:
        package = FORMATS[name].package
        if package and find_spec(package) is None:
            raise ConfigError(f"the format {name} needs {package}, which is not installed ({INSTALL})")
    return tuple(name for name in FORMATS if name in names)


def check_study(names: Sequence[str], study: Study, fs_hz: float) -> None:
    """Raise ConfigError where a format cannot be written of this study at this rate."""
    filed = [name for name in names if FORMATS[name].of_a_patient]
    if filed and not study.patient_id and not study.anonymous:
        raise ConfigError(
            f"{' and '.join(filed)} file a recording under its patient, and no patient is named: give --patient-id, "
            "--patients, or --anonymous"
        )
    if "dicom" in names:
        dicom.check_dicom(fs_hz, study)
    if "edf" in names and not study.patient_id.isascii():
        raise ConfigError(f"EDF holds patient ids in ASCII alone, and {study.patient_id!r} is not")


def write_formats(recording: Recording, study: Study, names: Sequence[str], record_name: str) -> dict[str, bytes]:
    """Return ending -> content of a recording's files, in the order in which they are to be written.

    Raises ConfigError as `checked_formats` and `check_study`, RecordError where a format cannot hold the recording.
    """
    names = checked_formats(names)
    check_study(names, study, recording.fs_hz)
    files: dict[str, bytes] = {}
    for name in reversed(names):
        files |= FORMATS[name].write(recording, study, record_name)
    return files
