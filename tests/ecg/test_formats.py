"""Formats, read back by libraries of others: equal to a sample, and with the patient that was named."""

import io
import json
import xml.etree.ElementTree as ET
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecg_flare.ecg.formats.aecg import NAMESPACE, XSI
from ecg_flare.ecg.formats.registry import FORMATS, check_study, checked_formats, write_formats
from ecg_flare.ecg.formats.study import Study, read_patients
from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.errors import ConfigError, RecordError

WHO = Study(
    patient_id="4711",
    authority="1.2.276.0.76.4.17",
    patient_name="Müller^Änne",
    birth_date=date(1950, 12, 24),
    sex="F",
    recorded_at=datetime(2019, 3, 31, 14, 5, 7),
)
NOBODY = Study(anonymous=True)


@pytest.fixture(scope="module")
def whole() -> Recording:
    """Twelve leads all the time, in whole microvolts, so that nothing is lost in rounding."""
    recording = synthesize(np.random.default_rng(1), duration_s=10.0)
    return Recording((np.rint(recording.signal_mv * 1000) / 1000).astype(np.float32), recording.fs_hz)


@pytest.fixture(scope="module")
def page(whole: Recording) -> Recording:
    """What a page of 3x4+1R prints, with a gap in V6, and 7 samples less than ten seconds."""
    signal = np.full((12, whole.n_samples - 7), np.nan, np.float32)
    for row in range(12):
        stretch = slice(row // 3 * 1250, (row // 3 + 1) * 1250)
        signal[row, stretch] = whole.signal_mv[row, : signal.shape[1]][stretch]
    signal[1] = whole.signal_mv[1, : signal.shape[1]]
    signal[11, 4000:4050] = np.nan
    return Recording(signal, whole.fs_hz)


def written(recording: Recording, name: str, study: Study = WHO) -> bytes:
    files = write_formats(recording, study, (name,), "scan")
    (content,) = files.values()
    return content


def microvolts(recording: Recording) -> np.ndarray:
    """Samples by lead, as whole numbers; the missing ones are -32768."""
    return np.where(np.isfinite(recording.signal_mv), np.rint(recording.signal_mv * 1000.0), -32768).astype(int)


@pytest.fixture(params=["whole", "page"])
def recording(request: pytest.FixtureRequest) -> Recording:
    found: Recording = request.getfixturevalue(request.param)
    return found


def test_dicom_as_pydicom_reads_it(recording: Recording) -> None:
    pydicom = pytest.importorskip("pydicom")
    dataset = pydicom.dcmread(io.BytesIO(written(recording, "dicom")))
    np.testing.assert_array_equal(dataset.waveform_array(0).T, microvolts(recording))
    group = dataset.WaveformSequence[0]
    assert (group.SamplingFrequency, group.NumberOfWaveformSamples) == (500, recording.n_samples)
    assert int.from_bytes(group.WaveformPaddingValue, "little", signed=True) == -32768
    assert [channel.ChannelLabel for channel in group.ChannelDefinitionSequence] == list(LEADS)
    units = {channel.ChannelSensitivityUnitsSequence[0].CodeValue for channel in group.ChannelDefinitionSequence}
    assert units == {"uV"}
    assert (dataset.SOPClassUID.name, dataset.Modality) == ("12-lead ECG Waveform Storage", "ECG")
    assert (str(dataset.PatientName), dataset.PatientID, dataset.PatientSex) == ("Müller^Änne", "4711", "F")
    assert (dataset.PatientBirthDate, dataset.AcquisitionDateTime) == ("19501224", "20190331140507")
    assert dataset.IssuerOfPatientID == "1.2.276.0.76.4.17"


def test_dicom_leads_have_the_codes_of_the_standard_s_context_group(whole: Recording) -> None:
    pydicom = pytest.importorskip("pydicom")
    codes = pytest.importorskip("pydicom.sr.codedict").codes.cid3001
    dataset = pydicom.dcmread(io.BytesIO(written(whole, "dicom")))
    names = ("LeadI", "LeadII", "LeadIII", "AvrAugmentedVoltageRight", "AvlAugmentedVoltageLeft")
    names += ("AvfAugmentedVoltageFoot", *(f"LeadV{number}" for number in range(1, 7)))
    for channel, name in zip(dataset.WaveformSequence[0].ChannelDefinitionSequence, names, strict=True):
        source, known = channel.ChannelSourceSequence[0], getattr(codes, name)
        assert (source.CodeValue, source.CodingSchemeDesignator, source.CodeMeaning) == known[:3]


def test_dicom_as_ecgdatakit_reads_it(whole: Recording, tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    found = parsed(written(whole, "dicom"), tmp_path / "a.dcm")
    assert [lead.label for lead in found.leads] == list(LEADS)
    np.testing.assert_allclose(1000 * np.stack([lead.samples for lead in found.leads]), microvolts(whole), atol=1e-6)
    assert found.leads[0].sampling_rate == 500


def test_a_page_that_is_read_again_has_the_same_identifiers(whole: Recording) -> None:
    pydicom = pytest.importorskip("pydicom")
    first, again = (pydicom.dcmread(io.BytesIO(written(whole, "dicom"))) for _ in range(2))
    other = pydicom.dcmread(io.BytesIO(written(whole, "dicom", Study("4712", recorded_at=WHO.recorded_at))))
    assert first.SOPInstanceUID == again.SOPInstanceUID
    assert len({first.SOPInstanceUID, first.StudyInstanceUID, first.SeriesInstanceUID, other.SOPInstanceUID}) == 4
    assert written(whole, "dicom") == written(whole, "dicom")


def test_a_long_recording_is_a_general_ecg_in_dicom() -> None:
    pydicom = pytest.importorskip("pydicom")
    dataset = pydicom.dcmread(io.BytesIO(written(Recording(np.zeros((12, 16_385), np.float32), 500.0), "dicom")))
    assert dataset.SOPClassUID.name == "General ECG Waveform Storage"


def test_a_signal_beyond_32_mv_keeps_its_height() -> None:
    pydicom = pytest.importorskip("pydicom")
    signal = np.zeros((12, 1000), np.float32)
    signal[3, 500] = -65.0
    group = pydicom.dcmread(io.BytesIO(written(Recording(signal, 500.0), "dicom"))).waveform_array(0)
    assert group[500, 3] / 1000 == pytest.approx(-65.0, rel=1e-4)


def test_fhir_as_its_own_model_reads_it(recording: Recording) -> None:
    model = pytest.importorskip("fhir.resources.R4B.observation")
    observation = model.Observation.model_validate_json(written(recording, "fhir"))
    rows = microvolts(recording)
    for component, lead, row in zip(observation.component, LEADS, rows, strict=True):
        data = component.valueSampledData
        assert (component.code.text, data.dimensions, float(data.period)) == (lead, 1, 2.0)
        assert (float(data.origin.value), data.origin.code, float(data.factor)) == (0.0, "uV", 1.0)
        assert [-32768 if word == "E" else int(word) for word in data.data.split()] == row.tolist()
    patient = observation.contained[0]
    assert observation.subject.reference == "#patient"
    assert (patient.identifier[0].value, patient.identifier[0].system) == ("4711", "urn:oid:1.2.276.0.76.4.17")
    assert (patient.name[0].family, patient.name[0].given, patient.gender) == ("Müller", ["Änne"], "female")
    assert (patient.birthDate, str(observation.effectiveDateTime)[:10]) == (date(1950, 12, 24), "2019-03-31")


def test_fhir_codes_are_those_of_the_specification_s_example(whole: Recording) -> None:
    """https://hl7.org/fhir/R4/observation-example-sample-data.html: MDC codes of the leads I, II and III."""
    components = json.loads(written(whole, "fhir"))["component"]
    codes = {one["code"]["text"]: one["code"]["coding"][0]["code"] for one in components}
    assert [codes[lead] for lead in ("I", "II", "III")] == ["131329", "131330", "131389"]


def test_fhir_gives_a_time_of_day_only_with_its_zone(whole: Recording) -> None:
    zone = timezone(timedelta(hours=1))
    known = Study("1", recorded_at=datetime(2019, 3, 31, 14, 5, tzinfo=zone))
    assert json.loads(written(whole, "fhir", known))["effectiveDateTime"] == "2019-03-31T14:05:00+01:00"
    assert json.loads(written(whole, "fhir", WHO))["effectiveDateTime"] == "2019-03-31"


def test_fhir_leaves_out_a_lead_that_nobody_recorded(whole: Recording) -> None:
    signal = whole.signal_mv.copy()
    signal[4] = np.nan
    components = json.loads(written(Recording(signal, 500.0), "fhir"))["component"]
    assert [one["code"]["text"] for one in components] == [lead for lead in LEADS if lead != "aVL"]


def parsed(content: bytes, path: Path) -> Any:
    parser = pytest.importorskip("ecgdatakit.parsing")
    path.write_bytes(content)
    return parser.FileParser().parse(path)


def test_aecg_as_ecgdatakit_reads_it(whole: Recording, tmp_path: Path) -> None:
    found = parsed(written(whole, "aecg"), tmp_path / "a.xml")
    assert [lead.label for lead in found.leads] == list(LEADS)
    np.testing.assert_allclose(1000 * np.stack([lead.samples for lead in found.leads]), microvolts(whole), atol=1e-6)
    assert {(lead.sampling_rate, lead.units) for lead in found.leads} == {(500, "mV")}
    assert (found.patient.patient_id, found.patient.last_name, found.patient.sex) == ("4711", "Müller", "F")
    assert found.recording.date == WHO.recorded_at


def test_aecg_has_a_set_of_leads_for_each_stretch_of_time(page: Recording) -> None:
    names = {"h": NAMESPACE}
    back = np.full(page.signal_mv.shape, -32768)
    sets = ET.fromstring(written(page, "aecg")).findall("h:component/h:series/h:component/h:sequenceSet", names)
    for one in sets:
        clock, *leads = one.findall("h:component/h:sequence", names)
        assert clock.find("h:code", names).get("code") == "TIME_RELATIVE"
        assert clock.find("h:value", names).get(f"{{{XSI}}}type") == "GLIST_PQ"
        first = round(float(clock.find("h:value/h:head", names).get("value")) * 500)
        assert float(clock.find("h:value/h:increment", names).get("value")) == pytest.approx(0.002)
        for lead in leads:
            row = [f"MDC_ECG_LEAD_{name.upper()}" for name in LEADS].index(lead.find("h:code", names).get("code"))
            digits = [int(word) for word in lead.find("h:value/h:digits", names).text.split()]
            back[row, first : first + len(digits)] = digits
    np.testing.assert_array_equal(back, microvolts(page))
    assert len(sets) == 7  # II; four columns; V6 before and after its gap
    assert all(len(one.findall("h:component", names)) > 1 for one in sets)


def test_edf_as_pyedflib_reads_it(recording: Recording, tmp_path: Path) -> None:
    pytest.importorskip("edfio")
    pyedflib = pytest.importorskip("pyedflib")
    path = tmp_path / "a.edf"
    path.write_bytes(written(recording, "edf"))
    rows = microvolts(recording)
    with pyedflib.EdfReader(str(path)) as file:
        assert file.getSignalLabels() == [f"ECG {lead}" for lead in LEADS]
        assert set(file.getSampleFrequencies()) == {500.0}
        for row in range(12):
            digital = file.readSignal(row, digital=True)
            np.testing.assert_array_equal(digital[: recording.n_samples], rows[row])
            assert (digital[recording.n_samples :] == -32768).all()
            np.testing.assert_allclose(file.readSignal(row)[: recording.n_samples], rows[row], atol=1e-6)
        onsets, lengths, texts = file.readAnnotations()
        assert (file.getPatientCode(), file.getStartdatetime()) == ("4711", WHO.recorded_at)
        assert (file.getSex(), file.getBirthdate()) == ("Female", "24 dec 1950")
    gaps = {
        (text, round(onset * 500), round(length * 500))
        for onset, length, text in zip(onsets, lengths, texts, strict=True)
    }
    if recording.n_samples == 5000:
        assert gaps == set()
    else:
        assert ("not recorded: I", 1250, 3750) in gaps
        assert ("not recorded: V6", 4000, 50) in gaps
        assert ("not recorded: II", 4993, 7) in gaps


def test_edf_tells_a_year_that_it_cannot_write(whole: Recording, tmp_path: Path) -> None:
    pytest.importorskip("edfio")
    pyedflib = pytest.importorskip("pyedflib")
    (tmp_path / "a.edf").write_bytes(written(whole, "edf", Study("1", recorded_at=datetime(1978, 5, 4, 3, 2, 1))))
    with pyedflib.EdfReader(str(tmp_path / "a.edf")) as file:
        assert "recorded at 1978-05-04T03:02:01" in file.readAnnotations()[2]


def test_mat_as_scipy_reads_it(recording: Recording) -> None:
    loadmat = pytest.importorskip("scipy.io").loadmat
    found = loadmat(io.BytesIO(written(recording, "mat")), squeeze_me=True)
    np.testing.assert_array_equal(found["signal_mv"].astype(np.float32), recording.signal_mv)
    assert (found["fs_hz"], found["units"], found["patient_id"]) == (500.0, "mV", "4711")
    assert found["lead_names"].tolist() == list(LEADS)


def test_wfdb_keeps_samples_and_patient(recording: Recording, tmp_path: Path) -> None:
    for ending, content in write_formats(recording, WHO, ("wfdb",), "scan").items():
        (tmp_path / f"scan{ending}").write_bytes(content)
    found = read_wfdb(tmp_path / "scan")
    np.testing.assert_array_equal(found.signal_mv, recording.signal_mv)
    assert found.patient_id == "4711"


@pytest.mark.parametrize("name", [name for name, one in FORMATS.items() if one.of_a_patient])
def test_what_is_filed_under_a_patient_needs_one_or_the_word_anonymous(whole: Recording, name: str) -> None:
    if name == "dicom":
        pytest.importorskip("pydicom")
    with pytest.raises(ConfigError, match="no patient is named: give --patient-id"):
        write_formats(whole, Study(), (name,), "scan")
    assert written(whole, name, NOBODY) != written(whole, name)


def test_an_anonymous_dicom_says_so_and_has_no_date(whole: Recording) -> None:
    pydicom = pytest.importorskip("pydicom")
    dataset = pydicom.dcmread(io.BytesIO(written(whole, "dicom", NOBODY)))
    assert (dataset.PatientIdentityRemoved, dataset.PatientID, str(dataset.PatientName)) == ("YES", "", "")
    assert dataset.StudyDate == "19000101"


@pytest.mark.parametrize(
    ("study", "fs_hz", "names", "message"),
    [
        (Study("1"), 500.0, ("dicom",), "--recorded-at"),
        (WHO, 150.0, ("dicom",), "200 to 1000 samples a second, and 150"),
        (Study("ü1"), 500.0, ("edf",), "ASCII"),
        (Study(), 500.0, ("fhir", "aecg"), "fhir and aecg"),
    ],
)
def test_what_a_format_lacks_is_said(study: Study, fs_hz: float, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_study(names, study, fs_hz)
    check_study(("wfdb", "csv", "mat"), study, fs_hz)


def test_unknown_formats_and_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="unknown format 'scp'"):
        checked_formats(["csv", "scp"])
    with pytest.raises(ConfigError, match="no format"):
        checked_formats([])
    assert checked_formats(["csv", "wfdb", "csv"]) == ("wfdb", "csv")
    monkeypatch.setattr("ecg_flare.ecg.formats.registry.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"dicom needs pydicom.*pip install 'ecg_flare\[formats\]'"):
        checked_formats(["dicom"])
    with pytest.raises(ConfigError, match="edf needs edfio"):
        write_formats(Recording(np.zeros((12, 9), np.float32), 500.0), Study(), ("edf",), "scan")


@pytest.mark.parametrize("name", ["aecg", "edf", "wfdb"])
def test_an_empty_recording_is_refused(name: str) -> None:
    if name == "edf":
        pytest.importorskip("edfio")
    with pytest.raises(RecordError):
        write_formats(Recording(np.zeros((12, 0), np.float32), 500.0), WHO, (name,), "scan")


def test_a_table_of_patients_is_read(tmp_path: Path) -> None:
    table = tmp_path / "patients.csv"
    table.write_text(
        "file,patient_id,patient_name,birth_date,sex,recorded_at\n"
        "a.png,17,Roe^Jane,1961-02-03,f,2001-01-02T03:04\n"
        "b.pdf,18,,,,\n"
    )
    assert read_patients(table) == {
        "a.png": Study("17", "", "Roe^Jane", date(1961, 2, 3), "F", datetime(2001, 1, 2, 3, 4)),
        "b.pdf": Study("18"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,patient\na.png,1\n", "column 'patient'"),
        ("file\na.png\n", "no column patient_id"),
        ("file,patient_id\na.png,\n", "line 2 .* no patient_id"),
        ("file,patient_id\na.png,1\na.png,2\n", "line 3 .* earlier line"),
        ("file,patient_id,sex\na.png,1,x\n", "sex is 'X'"),
        ("file,patient_id,birth_date\na.png,1,3.2.1961\n", "birth_date is '3.2.1961'"),
        ("file,patient_id,recorded_at\na.png,1,noon\n", "recorded_at is 'noon'"),
        ("file,patient_id\na.png,1\\2\n", "without a backslash"),
        ("file,patient_id,authority\na.png,1,clinic\n", "an OID such as"),
    ],
)
def test_a_fault_in_the_table_is_said_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "patients.csv"
    table.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_patients(table)


def test_a_table_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_patients(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_bytes(b"file,patient_id\n\xff,1\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_patients(tmp_path / "a.csv")


def test_nobody_is_anonymous_and_known() -> None:
    with pytest.raises(ConfigError, match="leave one of the two out"):
        Study("1", anonymous=True)
