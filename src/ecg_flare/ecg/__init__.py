"""What an ECG is: leads, recordings, rhythm and shape, and how a reading is scored. No pictures, no learning."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "artefacts": ("Artefacts", "artefact_leads"),
    "evaluation": ("Evaluation", "evaluate", "evaluate_recordings"),
    "leads": ("CABRERA", "CHEST_LEADS", "LEADS", "LIMB_LEADS", "limb_leads", "normalize_lead_name"),
    "metrics": (
        "RecordingScore",
        "align",
        "evaluate_recording",
        "pcc",
        "rmse_mv",
        "snr_db_kaggle2025",
        "snr_db_physionet2024",
    ),
    "ptbxl": ("PtbxlEntry", "load_record", "read_database"),
    "record": ("Recording", "read_wfdb", "resample", "write_wfdb"),
    "rhythm": ("Rhythm", "beat_times"),
    "synthetic": ("Patient", "draw_patient", "synthesize"),
}

if TYPE_CHECKING:
    from ecg_flare.ecg.artefacts import Artefacts, artefact_leads
    from ecg_flare.ecg.evaluation import Evaluation, evaluate, evaluate_recordings
    from ecg_flare.ecg.leads import CABRERA, CHEST_LEADS, LEADS, LIMB_LEADS, limb_leads, normalize_lead_name
    from ecg_flare.ecg.metrics import (
        RecordingScore,
        align,
        evaluate_recording,
        pcc,
        rmse_mv,
        snr_db_kaggle2025,
        snr_db_physionet2024,
    )
    from ecg_flare.ecg.ptbxl import PtbxlEntry, load_record, read_database
    from ecg_flare.ecg.record import Recording, read_wfdb, resample, write_wfdb
    from ecg_flare.ecg.rhythm import Rhythm, beat_times
    from ecg_flare.ecg.synthetic import Patient, draw_patient, synthesize
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = [
    "CABRERA",
    "CHEST_LEADS",
    "LEADS",
    "LIMB_LEADS",
    "Artefacts",
    "Evaluation",
    "Patient",
    "PtbxlEntry",
    "Recording",
    "RecordingScore",
    "Rhythm",
    "align",
    "artefact_leads",
    "beat_times",
    "draw_patient",
    "evaluate",
    "evaluate_recording",
    "evaluate_recordings",
    "limb_leads",
    "load_record",
    "normalize_lead_name",
    "pcc",
    "read_database",
    "read_wfdb",
    "resample",
    "rmse_mv",
    "snr_db_kaggle2025",
    "snr_db_physionet2024",
    "synthesize",
    "write_wfdb",
]
