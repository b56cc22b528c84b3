"""What a page's reading leaves on disk: NAME.hea, NAME.dat, NAME.csv or other formats, NAME.overlay.png, NAME.json.

Every file is written beside its place and renamed into it. NAME.json comes last, and until then it says that the page
is unfinished: where it says "written", the rest stands. A reading below WRITTEN leaves NAME.overlay.png and NAME.json
alone, for a person to look at, and no recording: one of an earlier reading is removed. Files that no earlier reading
wrote are neither overwritten nor removed (`files.earlier`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from ecg_flare import __version__
from ecg_flare.digitize.confidence import WRITTEN, lead_confidence
from ecg_flare.digitize.files.earlier import OVERLAY_ENDING, WITHHELD, earlier_reading
from ecg_flare.digitize.leads.lead_reading import LeadReading
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.reading_intervals import intervals_report
from ecg_flare.digitize.result import Digitization
from ecg_flare.digitize.words.findings import Finding
from ecg_flare.digitize.words.statements import Statement
from ecg_flare.ecg.formats.registry import DEFAULT, write_formats
from ecg_flare.errors import StorageError
from ecg_flare.page.page_list import PageFile
from ecg_flare.storage import write_atomically, write_json


def write_result(
    result: Digitization,
    overlay: UInt8[np.ndarray, "h w 3"],
    folder: Path,
    page: PageFile,
    *,
    options: ReadingOptions | None = None,
    review: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:
    """Write all files of a page's reading, and return its report.

    Below a confidence of WRITTEN the recording is withheld, unless `options.force`: none of its files is written.
    Those of an earlier reading are removed, as they would be overwritten; those of others stay, and the report's
    `reason` names them. `options.outputs` says in which formats a recording is written, and whose it is. `review`,
    where a person reviewed the page, is the report's section of that name.

    Raises StorageError where the folder cannot be written, or where a file would be overwritten that no earlier reading
    wrote; RecordError where a format cannot hold the recording, ConfigError where it lacks a patient.
    """
    options = options or ReadingOptions()
    outputs = options.outputs
    earlier = earlier_reading(folder, page.name)
    report = make_report(result, page, force=options.force, formats=outputs.formats)
    report = report if review is None else {**report, "review": review}
    if report["recording"]["status"] == WITHHELD:
        report = _naming_others(report, earlier.foreign_files(outputs.formats))
        files: dict[str, bytes] = {}
    else:
        earlier.check_free(outputs.formats)
        files = write_formats(result.recording, outputs.study_of(page), outputs.formats, page.name)
    picture = encode_png(overlay)
    if files or earlier.has_recording:
        earlier.mark_unfinished(report)
    earlier.remove_recording(but=outputs.formats if files else ())
    for ending, data in files.items():
        _write_bytes(folder / f"{page.name}{ending}", data)
    _write_bytes(folder / f"{page.name}{OVERLAY_ENDING}", picture)
    write_json(earlier.report_file, report)
    return report


def _naming_others(report: Mapping[str, Any], others: Sequence[Path]) -> Mapping[str, Any]:
    """The report of a recording that is withheld, with the recordings of others that stand where its would."""
    if not others:
        return report
    names = ", ".join(path.name for path in others)
    reason = f"{report['recording']['reason']}; beside it {names} of another source stay: they are not of this reading"
    return {**report, "recording": {**report["recording"], "reason": reason}}


def withheld_reason(confidence: float) -> str | None:
    """Return why no recording is written of a reading of this confidence, or None where one is."""
    if confidence >= WRITTEN:
        return None
    return (
        f"the confidence is {confidence:.2f}, below {WRITTEN:g}: no recording was written; look at the overlay, then "
        "say what is known of the page (--layout, --speed, --gain), or write it all the same with --force"
    )


def make_report(
    result: Digitization, page: PageFile, *, force: bool = False, formats: Sequence[str] = DEFAULT
) -> Mapping[str, Any]:
    """What was found on a page, how, and how surely, as JSON holds it. Lengths in pixels are of the upright page.

    Two readings of a page with the same settings give the same report: how long they took does not stand in it.

    `force`: the recording is written whatever its confidence; `formats`: in these formats.
    """
    calibration = result.calibration
    withheld = None if force else withheld_reason(result.confidence)
    return {
        "ecg_flare": __version__,
        "source": {"file": str(page.path), "page": page.number},
        "name": page.name,
        "confidence": round(result.confidence, 3),
        "warnings": list(result.warnings),
        "layout": {
            "name": result.layout,
            "confidence": round(result.layout_confidence, 3),
            "columns": result.columns,
        },
        "calibration": {
            "px_per_mm_x": round(calibration.px_per_mm.x, 5),
            "px_per_mm_y": round(calibration.px_per_mm.y, 5),
            "method": calibration.method,
            "confidence": calibration.confidence,
            "speed_mm_per_s": calibration.speed_mm_per_s,
            "speed_source": calibration.speed_source,
            "gain_mm_per_mv": calibration.gain_mm_per_mv,
            "gain_source": calibration.gain_source,
            "chest_gain_mm_per_mv": calibration.chest_gain_mm_per_mv,
            "chest_gain_source": calibration.chest_gain_source,
        },
        "print": [*map(_print_report, calibration.printed.statements), *map(_print_report, result.findings)],
        "geometry": {
            "rotation_deg": round(result.page.rotation_deg, 3),
            "turned_deg": result.page.turned_deg,
            "width_px": int(result.page.image.shape[1]),
            "height_px": int(result.page.image.shape[0]),
            "homography": result.page.homography.tolist(),
            "flattened_mm": None if result.page.flattened_mm is None else round(result.page.flattened_mm, 2),
            "enlarged": result.page.enlarged,
        },
        "recording": {
            "status": "written" if withheld is None else WITHHELD,
            "reason": withheld,
            "formats": list(formats) if withheld is None else [],
            "fs_hz": result.recording.fs_hz,
            "n_samples": result.recording.n_samples,
            "duration_s": result.recording.duration_s,
        },
        "intervals": intervals_report(result, withheld=withheld is not None),
        "leads": [_lead_report(lead, result.confidence) for lead in result.leads],
        "checks": {**asdict(result.checks), "passed": result.checks.passed},
        "signal": {
            "confidence": round(result.signal.value, 3),
            "expected_db": round(result.signal.expected_db, 1),
            "noise": {source: round(share, 5) for source, share in result.signal.shares.items()},
        },
    }


def _print_report(said: Statement | Finding) -> dict[str, Any]:
    """Something that the page prints; not the line of print, which may hold a name."""
    return {
        "kind": said.kind,
        "value": said.value,
        "score": round(said.word.score, 3),
        "box_px": [round(edge, 1) for edge in said.word.box_px],
    }


def _lead_report(lead: LeadReading, page_confidence: float) -> dict[str, Any]:
    span = lead.span
    confidence = lead_confidence(page_confidence, lead.coverage, lead.gaps, lead.shared)
    return {
        "lead": span.lead,
        "row": span.row,
        "start_s": round(span.start_s, 4),
        "end_s": round(span.end_s, 4),
        "left_px": round(span.left_px, 2),
        "right_px": round(span.right_px, 2),
        "is_rhythm": span.is_rhythm,
        "guessed": span.guessed,
        "coverage": round(lead.coverage, 4),
        "gaps": lead.gaps,
        "shared": round(lead.shared, 4),
        "confidence": round(confidence, 3),
    }


def encode_png(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """An RGB image as the bytes of a PNG file."""
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 4])
    if not done:
        raise StorageError(f"an image of {image.shape[1]} x {image.shape[0]} pixels could not be encoded as PNG")
    return bytes(data)


def _write_bytes(path: Path, data: bytes) -> None:
    write_atomically(path, lambda file: file.write(data))
