"""Recordings of fifteen leads and more in every format: each lead keeps its name, its code and its samples."""

import csv
import io
import json
import xml.etree.ElementTree as ET
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from ecg_flare.ecg.formats.aecg import NAMESPACE
from ecg_flare.ecg.formats.registry import write_formats
from ecg_flare.ecg.formats.study import Study
from ecg_flare.ecg.leads import ALL_LEADS, EXTRA_LEADS
from ecg_flare.ecg.record import Recording, read_wfdb

WHO = Study(patient_id="4711", recorded_at=datetime(2019, 3, 31, 14, 5, 7))


@pytest.fixture(scope="module")
def recording() -> Recording:
    """All leads for two seconds, in whole microvolts."""
    counts = np.random.default_rng(5).integers(-2000, 2000, size=(len(ALL_LEADS), 1000))
    return Recording((counts / 1000).astype(np.float32), 500.0, ALL_LEADS)


def microvolts(recording: Recording) -> np.ndarray:
    return np.rint(recording.signal_mv * 1000.0).astype(int)


def written(recording: Recording, name: str) -> bytes:
    (content,) = write_formats(recording, WHO, (name,), "scan").values()
    return content


def test_wfdb_gives_back_every_lead(recording: Recording, tmp_path: Path) -> None:
    for ending, content in write_formats(recording, WHO, ("wfdb",), "scan").items():
        (tmp_path / f"scan{ending}").write_bytes(content)
    back = read_wfdb(tmp_path / "scan")
    assert (back.lead_names, back.left_out) == (ALL_LEADS, ())
    np.testing.assert_array_equal(microvolts(back), microvolts(recording))


def test_dicom_is_a_general_ecg_with_the_standard_s_codes(recording: Recording) -> None:
    pydicom = pytest.importorskip("pydicom")
    codes = pytest.importorskip("pydicom.sr.codedict").codes.cid3001
    dataset = pydicom.dcmread(io.BytesIO(written(recording, "dicom")))
    assert dataset.SOPClassUID.name == "General ECG Waveform Storage"
    np.testing.assert_array_equal(dataset.waveform_array(0).T, microvolts(recording))
    channels = dataset.WaveformSequence[0].ChannelDefinitionSequence
    assert [channel.ChannelLabel for channel in channels] == list(ALL_LEADS)
    for lead, channel in zip(EXTRA_LEADS, channels[12:], strict=True):
        source, known = channel.ChannelSourceSequence[0], getattr(codes, f"Lead{lead}")
        assert (source.CodeValue, source.CodingSchemeDesignator, source.CodeMeaning) == known[:3]


def test_fhir_codes_are_those_of_dicom_on_the_potential_s(recording: Recording) -> None:
    """MDC_ECG_ELEC_POTL is 131328, and the code of a lead is added to it: 2:11 of DICOM is 131339."""
    codes = pytest.importorskip("pydicom.sr.codedict").codes.cid3001
    components = json.loads(written(recording, "fhir"))["component"]
    assert [part["code"]["text"] for part in components] == list(ALL_LEADS)
    for lead, part in zip(EXTRA_LEADS, components[12:], strict=True):
        (coding,) = part["code"]["coding"]
        assert int(coding["code"]) - 131328 == int(getattr(codes, f"Lead{lead}").value.split(":")[1])
        assert coding["display"] == f"MDC_ECG_ELEC_POTL_{lead}"


def test_aecg_names_every_lead(recording: Recording) -> None:
    root = ET.fromstring(written(recording, "aecg"))
    found = [code.get("code") for code in root.iter(f"{{{NAMESPACE}}}code")]
    assert [code for code in found if code and code.startswith("MDC_ECG_LEAD_")] == [
        f"MDC_ECG_LEAD_{lead.upper()}" for lead in ALL_LEADS
    ]


def test_edf_as_pyedflib_reads_it(recording: Recording, tmp_path: Path) -> None:
    pyedflib = pytest.importorskip("pyedflib")
    path = tmp_path / "scan.edf"
    path.write_bytes(written(recording, "edf"))
    with pyedflib.EdfReader(str(path)) as edf:
        assert edf.getSignalLabels() == [f"ECG {lead}" for lead in ALL_LEADS]
        digital = np.stack([edf.readSignal(row, digital=True) for row in range(len(ALL_LEADS))])
    np.testing.assert_array_equal(digital, microvolts(recording))


def test_csv_and_mat_name_every_lead(recording: Recording) -> None:
    from scipy.io import loadmat

    header, first, *_ = csv.reader(io.StringIO(written(recording, "csv").decode()))
    assert header == ["time_s", *ALL_LEADS]
    np.testing.assert_allclose([float(cell) for cell in first[1:]], recording.signal_mv[:, 0], atol=1e-4)
    mat = loadmat(io.BytesIO(written(recording, "mat")))
    assert [str(name[0]) for name in mat["lead_names"].ravel()] == list(ALL_LEADS)
    np.testing.assert_array_equal(np.rint(mat["signal_mv"] * 1000), microvolts(recording))
