"""A recording as a DICOM ECG waveform (PS3.3, A.34.3 12-Lead ECG and A.34.4 General ECG), by pydicom.

A channel a lead of 16-bit samples in microvolts, leads coded by ISO/IEEE 11073-10102 (context group 3001). Missing
samples have the Waveform Padding Value. Identifiers are made of the samples and the patient, so that a page that is
read again gives the same ones.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from ecg_flare import __version__
from ecg_flare.ecg.formats.counts import MISSING_ADU, Counts
from ecg_flare.ecg.formats.study import Study
from ecg_flare.ecg.record import Recording
from ecg_flare.errors import ConfigError, RecordError

if TYPE_CHECKING:
    from pydicom import Dataset

ENDING: Final = ".dcm"
FS_RANGE_HZ: Final = (200.0, 1000.0)
"""What both kinds of ECG waveform allow (PS3.3, A.34.3.4.5 and A.34.4.4.4)."""

LONGEST_12_LEAD: Final = 16_384
"""Samples of a 12-Lead ECG; a longer recording is a General ECG."""

MOST_12_LEAD: Final = 13
"""Channels of a 12-Lead ECG; a recording of more leads is a General ECG, which has up to 24."""

NO_DATE: Final = datetime(1900, 1, 1)
"""Of anonymous recordings: a date that the standard asks for and that nobody may know (PS3.15, E.1)."""

_LEADS: Final[Mapping[str, tuple[str, str]]] = {
    "I": ("2:1", "Lead I"),
    "II": ("2:2", "Lead II"),
    "III": ("2:61", "Lead III"),
    "aVR": ("2:62", "aVR, augmented voltage, right"),
    "aVL": ("2:63", "aVL, augmented voltage, left"),
    "aVF": ("2:64", "aVF, augmented voltage, foot"),
    **{f"V{number}": (f"2:{number + 2}", f"Lead V{number}") for number in range(1, 8)},
    **{f"V{number}R": (f"2:{number + 8}", f"Lead V{number}R") for number in range(3, 7)},
    "V8": ("2:66", "Lead V8"),
    "V9": ("2:67", "Lead V9"),
}
_MICROVOLT: Final = ("uV", "UCUM", "microvolt")


def check_dicom(fs_hz: float, study: Study) -> None:
    """Raise ConfigError where DICOM cannot hold recordings of this rate, or lacks what it has to say."""
    if not FS_RANGE_HZ[0] <= fs_hz <= FS_RANGE_HZ[1]:
        raise ConfigError(
            f"DICOM holds ECGs of {FS_RANGE_HZ[0]:g} to {FS_RANGE_HZ[1]:g} samples a second, and {fs_hz:g} are asked "
            "for: give another --fs"
        )
    if study.recorded_at is None and not study.anonymous:
        raise ConfigError(
            "DICOM has to say when an ECG was recorded: give --recorded-at, a column recorded_at in the patients' "
            "table, or --anonymous"
        )


def write_dicom(recording: Recording, study: Study) -> bytes:
    """Return the recording as a DICOM file; ConfigError as `check_dicom`, RecordError for one without samples."""
    check_dicom(recording.fs_hz, study)
    if recording.n_samples == 0:
        raise RecordError("A recording without samples cannot be written as DICOM.")
    counts = Counts.of(recording)
    dataset = _identified(counts, study)
    is_12_lead = recording.n_samples <= LONGEST_12_LEAD and len(recording.lead_names) <= MOST_12_LEAD
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.9.1.1" if is_12_lead else "1.2.840.10008.5.1.4.1.1.9.1.2"
    dataset.WaveformSequence = [_waveform(recording, counts)]
    file = io.BytesIO()
    _with_head(dataset).save_as(file, enforce_file_format=True)
    return file.getvalue()


def _identified(counts: Counts, study: Study) -> Dataset:
    """Whose recording it is, when it was made, by what."""
    from pydicom import Dataset
    from pydicom.uid import generate_uid

    when = study.recorded_at or NO_DATE
    day, time = when.strftime("%Y%m%d"), when.strftime("%H%M%S")
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    seed = [counts.digest, study.patient_id, study.authority, day, time]
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(dataset, name, generate_uid(entropy_srcs=[name, *seed]))
    dataset.PatientID = study.patient_id
    if study.authority:
        dataset.IssuerOfPatientID = study.authority
    dataset.PatientName = study.patient_name
    dataset.PatientBirthDate = "" if study.birth_date is None else study.birth_date.strftime("%Y%m%d")
    dataset.PatientSex = study.sex
    if study.anonymous:
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = "written without any patient data"
    dataset.StudyDate = dataset.ContentDate = day
    dataset.StudyTime = dataset.ContentTime = time
    dataset.AcquisitionDateTime = day + time
    dataset.ReferringPhysicianName = dataset.StudyID = dataset.AccessionNumber = ""
    dataset.Modality = "ECG"
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.Manufacturer = "ecg_flare"
    dataset.ManufacturerModelName = "read from a page"
    dataset.SoftwareVersions = __version__
    dataset.AcquisitionContextSequence = []
    return dataset


def _waveform(recording: Recording, counts: Counts) -> Dataset:
    from pydicom import Dataset

    group = Dataset()
    group.WaveformOriginality = "DERIVED"
    group.NumberOfWaveformChannels = len(recording.lead_names)
    group.NumberOfWaveformSamples = recording.n_samples
    group.SamplingFrequency = recording.fs_hz
    group.MultiplexGroupLabel = "RHYTHM"
    group.ChannelDefinitionSequence = [_channel(lead, counts.uv_per_count) for lead in recording.lead_names]
    group.WaveformBitsAllocated = 16
    group.WaveformSampleInterpretation = "SS"
    group.WaveformPaddingValue = MISSING_ADU.to_bytes(2, "little", signed=True)
    group.WaveformData = counts.values.T.astype("<i2").tobytes()
    return group


def _channel(lead: str, uv_per_count: float) -> Dataset:
    from pydicom import Dataset
    from pydicom.valuerep import DSfloat

    channel = Dataset()
    value, meaning = _LEADS[lead]
    channel.ChannelLabel = lead
    channel.ChannelSourceSequence = [_code(value, "MDC", meaning)]
    channel.ChannelSensitivity = DSfloat(uv_per_count, auto_format=True)
    channel.ChannelSensitivityUnitsSequence = [_code(*_MICROVOLT)]
    channel.ChannelSensitivityCorrectionFactor = 1
    channel.ChannelBaseline = 0
    channel.ChannelSampleSkew = 0
    channel.WaveformBitsStored = 16
    return channel


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    from pydicom import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _with_head(dataset: Dataset) -> Dataset:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset
