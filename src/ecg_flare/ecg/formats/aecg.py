"""A recording as HL7 aECG, the annotated ECG of ANSI/HL7 V3 ECG R1-2004 (PORT_MT020001).

The format has no word for a missing sample. What was recorded together becomes one sequence set with its own time:
leads that a page prints one after another stand in sets that follow each other.
"""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET
from datetime import timedelta
from typing import Final

import numpy as np

from ecg_flare.ecg.formats.counts import Counts
from ecg_flare.ecg.formats.study import Study
from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.stretches import unbroken
from ecg_flare.errors import RecordError

ENDING: Final = ".aecg.xml"
NAMESPACE: Final = "urn:hl7-org:v3"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
MDC_OID: Final = "2.16.840.1.113883.6.24"
ACT_CODE_OID: Final = "2.16.840.1.113883.5.4"
CPT_OID: Final = "2.16.840.1.113883.6.12"
GENDER_OID: Final = "2.16.840.1.113883.5.1"

_GENDER: Final = {"F": "F", "M": "M", "O": "UN"}
_UUIDS: Final = uuid.UUID("6f4a3a0e-8f3a-5d0b-9a43-6b6a0a1f6c02")


def write_aecg(recording: Recording, study: Study) -> bytes:
    """Return the recording as an aECG document; RecordError for one without any sample."""
    counts = Counts.of(recording)
    stretches = _stretches(recording)
    if not stretches:
        raise RecordError("A recording without samples cannot be written as aECG.")
    root = ET.Element("AnnotatedECG", {"xmlns": NAMESPACE, "xmlns:xsi": XSI, "type": "Observation"})
    _add(root, "id", root=str(uuid.uuid5(_UUIDS, f"{counts.digest} {study.patient_id} {study.authority}")))
    _add(root, "code", code="93000", codeSystem=CPT_OID, codeSystemName="CPT-4")
    _add_time(root, recording, study)
    event = _add(_add(root, "componentOf"), "timepointEvent")
    assignment = _add(_add(event, "componentOf"), "subjectAssignment")
    _add_subject(_add(_add(assignment, "subject"), "trialSubject"), study)
    _add(_add(_add(assignment, "componentOf"), "clinicalTrial"), "id", nullFlavor="NA")
    series = _add(_add(root, "component"), "series")
    _add(series, "code", code="RHYTHM", codeSystem=ACT_CODE_OID)
    _add_time(series, recording, study)
    for (first, last), leads in stretches.items():
        sequences = _add(_add(series, "component"), "sequenceSet")
        _add_clock(sequences, first / recording.fs_hz, recording.fs_hz)
        for lead in leads:
            digits = counts.values[recording.lead_names.index(lead), first:last]
            _add_lead(sequences, lead, digits, counts.uv_per_count)
    ET.indent(root, " ")
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _stretches(recording: Recording) -> dict[tuple[int, int], list[str]]:
    """First sample and the one after the last -> the leads recorded there without a gap; whole ones first."""
    found: dict[tuple[int, int], list[str]] = {}
    for lead, signal in zip(recording.lead_names, recording.signal_mv, strict=True):
        for stretch in unbroken(np.isfinite(signal)):
            found.setdefault(stretch, []).append(lead)
    return dict(sorted(found.items(), key=lambda one: (one[0][0] - one[0][1], one[0])))


def _add(parent: ET.Element, name: str, **attributes: str) -> ET.Element:
    return ET.SubElement(parent, name, attributes)


def _add_time(parent: ET.Element, recording: Recording, study: Study) -> None:
    """When it was recorded, from its first sample to its end."""
    if study.recorded_at is None:
        _add(parent, "effectiveTime", nullFlavor="UNK")
        return
    time = _add(parent, "effectiveTime")
    _add(time, "low", value=study.recorded_at.strftime("%Y%m%d%H%M%S.%f")[:-3])
    end = study.recorded_at + timedelta(seconds=recording.duration_s)
    _add(time, "high", value=end.strftime("%Y%m%d%H%M%S.%f")[:-3])


def _add_subject(subject: ET.Element, study: Study) -> None:
    if not study.patient_id:
        _add(subject, "id", nullFlavor="MSK" if study.anonymous else "UNK")
        return
    _add(subject, "id", **({"root": study.authority} if study.authority else {}), extension=study.patient_id)
    if not (study.patient_name or study.sex or study.birth_date):
        return
    person = _add(subject, "subjectDemographicPerson")
    if study.patient_name:
        family, _, given = study.patient_name.partition("^")
        name = _add(person, "name")
        _add(name, "family").text = family
        if given:
            _add(name, "given").text = given.replace("^", " ")
    if study.sex:
        _add(person, "administrativeGenderCode", code=_GENDER[study.sex], codeSystem=GENDER_OID)
    if study.birth_date is not None:
        _add(person, "birthTime", value=study.birth_date.strftime("%Y%m%d"))


def _add_clock(sequences: ET.Element, start_s: float, fs_hz: float) -> None:
    sequence = _add(_add(sequences, "component"), "sequence", classCode="OBS")
    _add(sequence, "code", code="TIME_RELATIVE", codeSystem=ACT_CODE_OID)
    value = _add(sequence, "value")
    value.set("xsi:type", "GLIST_PQ")
    _add(value, "head", value=f"{start_s:.9g}", unit="s")
    _add(value, "increment", value=f"{1.0 / fs_hz:.12g}", unit="s")


def _add_lead(sequences: ET.Element, lead: str, digits: np.ndarray, uv_per_count: float) -> None:
    sequence = _add(_add(sequences, "component"), "sequence", classCode="OBS")
    _add(sequence, "code", code=f"MDC_ECG_LEAD_{lead.upper()}", codeSystem=MDC_OID)
    value = _add(sequence, "value")
    value.set("xsi:type", "SLIST_PQ")
    _add(value, "origin", value="0", unit="uV")
    _add(value, "scale", value=f"{uv_per_count:.12g}", unit="uV")
    _add(value, "digits").text = " ".join(map(str, digits.tolist()))
