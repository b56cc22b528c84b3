"""A page under review as the browser shows it: JSON of what was read, decided, and can be decided."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import cv2
import numpy as np
from jaxtyping import Float64

from ecg_flare.digitize.confidence import lead_confidence
from ecg_flare.digitize.leads.by_hand import places_of
from ecg_flare.digitize.leads.repeated_beats import beat_samples
from ecg_flare.digitize.result import Digitization
from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.stretches import unbroken
from ecg_flare.page.layout import layout_names
from ecg_flare.review.decisions import Decision
from ecg_flare.review.open_page import OpenPage

FLATNESS_PX: Final = 0.15
"""Points that lie this near to the line between their neighbours are not sent."""


def page_view(open_page: OpenPage) -> dict[str, Any]:
    """All that the browser shows of a page; places are in pixels of `page`, corners in those of `picture`."""
    result = open_page.result
    height, width = open_page.corrected.image.shape[:2]
    view: dict[str, Any] = {
        "name": open_page.page.name,
        "title": open_page.source.title,
        "head": str(open_page.journal.head),
        "offered": open_page.offered,
        "error": open_page.error,
        "unsaved": open_page.unsaved,
        "saved": open_page.is_saved,
        "withheld": open_page.withheld,
        "picture": {"width": width, "height": height},
        "layouts": layout_names(),
        "corrections": _corrections_view(open_page),
        "history": list(_history(open_page)),
        "can_undo": bool(open_page.review.made) and not open_page.offered,
        "can_redo": bool(open_page.review.undone) and not open_page.offered,
        "confirmed": open_page.is_confirmed,
    }
    return view | (_unread_view(width, height) if result is None else _reading_view(open_page, result))


def _corrections_view(open_page: OpenPage) -> dict[str, Any]:
    corrections = open_page.corrections
    return {
        "turn": corrections.turned_deg,
        "corners": corrections.corners,
        "speed": corrections.speed,
        "gain": corrections.gain,
        "chest_gain": corrections.chest_gain,
        "layout": corrections.layout,
        "ruler": corrections.ruler is not None,
        "rows": corrections.rows is not None,
    }


def _unread_view(width: int, height: int) -> dict[str, Any]:
    """Of a page that cannot be read the picture itself is shown."""
    return {"page": {"width": width, "height": height, "turned_deg": 0}, "rows": [], "leads": [], "warnings": []}


def _reading_view(open_page: OpenPage, result: Digitization) -> dict[str, Any]:
    calibration, checks = result.calibration, result.checks
    image = result.page.image
    return {
        "page": {
            "width": int(image.shape[1]),
            "height": int(image.shape[0]),
            "turned_deg": result.page.turned_deg,
            "homography": result.page.homography.tolist(),
        },
        "confidence": round(result.confidence, 3),
        "warnings": [*open_page.notes, *result.warnings],
        "layout": {"name": result.layout, "confidence": round(result.layout_confidence, 2)},
        "calibration": {
            "px_per_mm_x": calibration.px_per_mm.x,
            "px_per_mm_y": calibration.px_per_mm.y,
            "method": calibration.method,
            "speed": calibration.speed_mm_per_s,
            "speed_source": calibration.speed_source,
            "gain": calibration.gain_mm_per_mv,
            "gain_source": calibration.gain_source,
            "chest_gain": calibration.chest_gain_mm_per_mv,
            "chest_gain_source": calibration.chest_gain_source,
        },
        "checks": {
            "einthoven": _rounded(checks.einthoven),
            "allowed_einthoven": _rounded(checks.allowed_einthoven),
            "goldberger": _rounded(checks.goldberger),
            "allowed_goldberger": _rounded(checks.allowed_goldberger),
            "rhythm": _rounded(checks.rhythm_correlation),
            "passed": checks.passed,
            "heart_rate_bpm": heart_rate_bpm(result.recording),
            "expected_db": round(result.signal.expected_db, 1),
        },
        "rows": [{"line": list(_line(polyline))} for polyline in result.polylines],
        "leads": list(_leads(open_page, result)),
        "fs_hz": result.recording.fs_hz,
    }


def heart_rate_bpm(recording: Recording) -> int | None:
    """The median rate of all beats, in beats a minute; None of fewer than three beats."""
    beats = beat_samples(recording)
    if len(beats) < 3:
        return None
    return round(60.0 * recording.fs_hz / float(np.median(np.diff(beats))))


def _leads(open_page: OpenPage, result: Digitization) -> Iterator[dict[str, Any]]:
    spans = [lead.span for lead in result.leads]
    confirmed = frozenset() if open_page.offered else open_page.review.confirmed
    for (row, place), number in places_of(spans).items():
        lead = result.leads[number]
        span = lead.span
        samples = result.recording.lead(span.lead)[span.samples(result.recording.fs_hz)]
        yield {
            "row": row,
            "place": place,
            "lead": span.lead,
            "title": span.title,
            "left": round(span.left_px, 2),
            "right": round(span.right_px, 2),
            "start_s": round(span.start_s, 4),
            "end_s": round(span.end_s, 4),
            "guessed": span.guessed,
            "gaps": lead.gaps,
            "coverage": round(lead.coverage, 3),
            "confidence": round(lead_confidence(result.confidence, lead.coverage, lead.gaps, lead.shared), 3),
            "confirmed": (row, place) in confirmed,
            "samples_uv": [round(1000 * float(each)) if np.isfinite(each) else None for each in samples],
        }


def _line(polyline: Float64[np.ndarray, "k 2"]) -> Iterator[list[list[float]]]:
    """Yield the unbroken pieces of a row's line, without points that change nothing to the eye."""
    for first, last in unbroken(np.isfinite(polyline).all(axis=1)):
        points = polyline[first:last].astype(np.float32).reshape(-1, 1, 2)
        yield np.round(cv2.approxPolyDP(points, FLATNESS_PX, False)[:, 0].astype(float), 2).tolist()


def _history(open_page: OpenPage) -> Iterator[dict[str, Any]]:
    made = set(open_page.review.made)
    for number, decision in enumerate(open_page.journal.decisions):
        yield {
            "number": number + 1,
            "what": decision.what,
            "says": said(decision),
            "who": decision.who,
            "when": decision.when,
            "why": decision.why,
            "stands": number in made,
        }


def said(decision: Decision) -> str:
    """A decision in a few words."""
    value = decision.value
    match decision.what:
        case "turn":
            return "turn measured" if value is None else f"turned by {value['deg']} degrees"
        case "speed" | "gain" | "chest_gain" as what:
            unit = "mm/s" if what == "speed" else "mm/mV"
            name = what.replace("_", " ")
            return f"{name} measured" if value is None else f"{name} {value:g} {unit}"
        case "layout":
            return "layout measured" if value is None else f"layout {value}"
        case "names":
            return "named " + ", ".join(each["lead"] for each in value)
        case "rows":
            return "rows measured" if value is None else f"{len(value)} rows"
        case "borders":
            return f"moved {len(value)} border{'s' * (len(value) != 1)}"
        case "line":
            return f"line of row {value['row'] + 1} {value.get('how') or 'drawn'}"
        case "unreadable":
            return f"stretch of row {value['row'] + 1} unreadable"
        case "ruler":
            return "scale measured" if value is None else f"a ruler of {value['mm']:g} mm"
        case "corners":
            return "corners measured" if value is None else "corners set"
        case "confirm":
            return f"confirmed {len(value)} lead{'s' * (len(value) != 1)}" if value else "confirmation taken back"
    return decision.what.replace("_", " ")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)
