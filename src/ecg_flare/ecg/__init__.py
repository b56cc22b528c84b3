"""What an ECG is: leads, recordings, rhythm and shape, and how a reading is scored. No pictures, no learning."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "artefacts": ("Artefacts", "artefact_leads"),
    "evaluation": ("Evaluation", "evaluate", "evaluate_recordings"),
    "formats.registry": ("write_formats",),
    "formats.study": ("Study", "read_patients"),
    "intervals.intervals": ("Intervals",),
    "intervals.measure": ("measure_intervals",),
    "leads": (
        "ALL_LEADS",
        "CABRERA",
        "CHEST_LEADS",
        "EXTRA_LEADS",
        "LEADS",
        "LIMB_LEADS",
        "limb_leads",
        "normalize_lead_name",
    ),
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
    from ecg_flare.ecg.formats.registry import write_formats
    from ecg_flare.ecg.formats.study import Study, read_patients
    from ecg_flare.ecg.intervals.intervals import Intervals
    from ecg_flare.ecg.intervals.measure import measure_intervals
    from ecg_flare.ecg.leads import (
        ALL_LEADS,
        CABRERA,
        CHEST_LEADS,
        EXTRA_LEADS,
        LEADS,
        LIMB_LEADS,
        limb_leads,
        normalize_lead_name,
    )
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
    "ALL_LEADS",
    "CABRERA",
    "CHEST_LEADS",
    "EXTRA_LEADS",
    "LEADS",
    "LIMB_LEADS",
    "Artefacts",
    "Evaluation",
    "Intervals",
    "Patient",
    "PtbxlEntry",
    "Recording",
    "RecordingScore",
    "Rhythm",
    "Study",
    "align",
    "artefact_leads",
    "beat_times",
    "draw_patient",
    "evaluate",
    "evaluate_recording",
    "evaluate_recordings",
    "limb_leads",
    "load_record",
    "measure_intervals",
    "normalize_lead_name",
    "pcc",
    "read_database",
    "read_patients",
    "read_wfdb",
    "resample",
    "rmse_mv",
    "snr_db_kaggle2025",
    "snr_db_physionet2024",
    "synthesize",
    "write_formats",
    "write_wfdb",
]
