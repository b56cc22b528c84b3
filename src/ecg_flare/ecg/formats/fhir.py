"""A recording as an HL7 FHIR R4 Observation: one component a lead, each with SampledData.

Codes are those of the specification's own example of a 12-lead ECG (ISO/IEEE 11073-10101, MDC_ECG_ELEC_POTL). A sample
that is missing is "E", as the type SampledData asks for.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

from ecg_flare.ecg.formats.counts import MISSING_ADU, Counts
from ecg_flare.ecg.formats.study import Study
from ecg_flare.ecg.record import Recording

ENDING: Final = ".fhir.json"
MDC: Final = "urn:iso:std:iso:11073:10101"
UCUM: Final = "http://unitsofmeasure.org"

_ECG: Final = (131328, "MDC_ECG_ELEC_POTL")
_LEADS: Final[Mapping[str, int]] = {
    "I": 1,
    "II": 2,
    "III": 61,
    "aVR": 62,
    "aVL": 63,
    "aVF": 64,
    **{f"V{number}": number + 2 for number in range(1, 8)},
    **{f"V{number}R": number + 8 for number in range(3, 7)},
    "V8": 66,
    "V9": 67,
}
"""Added to the code of the electric potential."""

_GENDER: Final = {"F": "female", "M": "male", "O": "other"}
_NAMESPACE: Final = uuid.UUID("3f0c8a52-7f0e-5c4e-9d5e-0d1a4f4c7b11")


def write_fhir(recording: Recording, study: Study) -> bytes:
    """Return the recording as a FHIR Observation in JSON; leads that have no sample at all are left out."""
    counts = Counts.of(recording)
    observation: dict[str, Any] = {
        "resourceType": "Observation",
        "id": str(uuid.uuid5(_NAMESPACE, f"{counts.digest} {study.patient_id} {study.authority}")),
        "status": "preliminary",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "procedure",
                        "display": "Procedure",
                    }
                ]
            }
        ],
        "code": {"coding": [_coding(*_ECG)], "text": f"{len(recording.lead_names)}-lead ECG, read from a page"},
        "component": [
            _component(lead, row, recording.fs_hz, counts.uv_per_count)
            for lead, row in zip(recording.lead_names, counts.values.tolist(), strict=True)
            if any(value != MISSING_ADU for value in row)
        ],
    }
    if study.patient_id:
        observation["contained"] = [_patient(study)]
        observation["subject"] = {"reference": "#patient"}
    if study.recorded_at is not None:
        observation["effectiveDateTime"] = _moment(study)
    return (json.dumps(observation, indent=1, ensure_ascii=False) + "\n").encode()


def _patient(study: Study) -> dict[str, Any]:
    identifier = {"value": study.patient_id}
    if study.authority:
        identifier["system"] = f"urn:oid:{study.authority}"
    patient: dict[str, Any] = {"resourceType": "Patient", "id": "patient", "identifier": [identifier]}
    if study.patient_name:
        family, _, given = study.patient_name.partition("^")
        patient["name"] = [{"family": family, **({"given": given.split("^")} if given else {})}]
    if study.sex:
        patient["gender"] = _GENDER[study.sex]
    if study.birth_date is not None:
        patient["birthDate"] = study.birth_date.isoformat()
    return patient


def _moment(study: Study) -> str:
    """The time of recording; FHIR asks for a zone with a time of day, so a time without one is given as its day."""
    when = study.recorded_at
    assert when is not None
    return when.date().isoformat() if when.tzinfo is None else when.isoformat(timespec="seconds")


def _component(lead: str, row: list[int], fs_hz: float, uv_per_count: float) -> dict[str, Any]:
    number, name = _ECG
    return {
        "code": {"coding": [_coding(number + _LEADS[lead], f"{name}_{lead.upper()}")], "text": lead},
        "valueSampledData": {
            "origin": {"value": 0, "unit": "uV", "system": UCUM, "code": "uV"},
            "period": 1000.0 / fs_hz,
            "factor": uv_per_count,
            "dimensions": 1,
            "data": " ".join("E" if value == MISSING_ADU else str(value) for value in row),
        },
    }


def _coding(code: int, display: str) -> dict[str, str]:
    return {"system": MDC, "code": str(code), "display": display}
