"""A reading as somebody else may look into it: for a bug tracker, without what is printed or written on the page.

Only what stands beside a line that was read stays on the page, with the pulses. All else that was drawn, names and
dates first, is covered by the paper's own colours. That takes labels and grid away, too: what nobody can tell from a
name is not shown.
"""

from __future__ import annotations

import io
import json
import platform
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from ecg_flare import __version__
from ecg_flare.digitize.files.output import encode_png
from ecg_flare.digitize.result import Digitization
from ecg_flare.page.raster import Label
from ecg_flare.review.open_page import OpenPage
from ecg_flare.storage import write_atomically

BESIDE_MM: Final = 1.5
"""Of a line: its strokes, and the paper between them."""

PRINT_RIM_MM: Final = 1.0
PRINTED: Final = 0.3
"""Probability of print from which it is covered beside a line, too."""

WIDEST_STROKE_MM: Final = 3.0
"""Of letters and of handwriting: what is covered is closed over this width."""

NAMED_PACKAGES: Final = ("numpy", "opencv-python-headless", "pillow", "scipy", "torch", "nnunetv2", "onnxruntime")


@dataclass(frozen=True)
class Bundle:
    """What was written: the file, and what it holds."""

    path: Path
    files: tuple[str, ...]


def write_bundle(opened: OpenPage, path: Path, *, with_print: bool = False) -> Bundle:
    """Write a page's reading into a ZIP file: page.png, reading.json, decisions.json, versions.json.

    Without `with_print` nothing is on the page but what stands beside lines, and no name, path or reason is in the
    rest. A page that cannot be read is covered whole. Raises StorageError where the file cannot be written.
    """
    page = _picture(opened) if with_print else blanked(opened)
    files: dict[str, bytes] = {
        "page.png": encode_png(page),
        "reading.json": _json(_reading(opened, with_print=with_print)),
        "decisions.json": _json(_decisions(opened, with_print=with_print)),
        "versions.json": _json(_versions()),
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    write_atomically(path, lambda file: file.write(data.getvalue()))
    return Bundle(path, tuple(files))


def blanked(opened: OpenPage) -> UInt8[np.ndarray, "h w 3"]:
    """Return the upright page with everything covered that does not stand beside a line that was read."""
    picture = _picture(opened)
    result = opened.result
    unit = 8.0 if result is None else result.calibration.px_per_mm.finer
    covered = _closed(picture, WIDEST_STROKE_MM * unit)
    if result is None:
        return covered
    shown = _beside_lines(result, picture.shape[:2]) & ~_printed(opened, picture.shape[:2], unit)
    return np.where(shown[:, :, None], picture, covered)


def _picture(opened: OpenPage) -> UInt8[np.ndarray, "h w 3"]:
    return opened.corrected.image if opened.result is None else opened.result.page.image


def _closed(picture: UInt8[np.ndarray, "h w 3"], width_px: float) -> UInt8[np.ndarray, "h w 3"]:
    """Cover all strokes narrower than this, dark or light, and smooth what is left: no letter's shape stays."""
    side = 2 * max(1, round(width_px / 2)) + 1
    closed = cv2.morphologyEx(picture, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    small = (max(1, picture.shape[1] // side), max(1, picture.shape[0] // side))
    coarse = cv2.resize(closed, small, interpolation=cv2.INTER_AREA)
    smooth: UInt8[np.ndarray, "h w 3"] = cv2.resize(coarse, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return smooth


def _beside_lines(result: Digitization, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    drawn = np.zeros(shape, np.uint8)
    width = max(1, round(2 * BESIDE_MM * result.calibration.px_per_mm.finer))
    for line in result.polylines:
        known = line[np.isfinite(line).all(axis=1)]
        steps = np.flatnonzero(np.diff(known[:, 0]) > BESIDE_MM * result.calibration.px_per_mm.x) + 1
        for piece in np.split(known, steps):
            cv2.polylines(drawn, [np.round(piece).astype(np.int32)], False, 1, width)
    return drawn > 0


def _printed(opened: OpenPage, shape: tuple[int, int], unit: float) -> Bool[np.ndarray, "h w"]:
    _, seen = opened.corrected.probabilities(opened.corrections)
    printed = cv2.resize(seen.probabilities[Label.PRINT], shape[::-1], interpolation=cv2.INTER_LINEAR) > PRINTED
    side = 2 * round(PRINT_RIM_MM * unit) + 1
    near: Bool[np.ndarray, "h w"] = cv2.dilate(printed.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return near


def _reading(opened: OpenPage, *, with_print: bool) -> dict[str, Any]:
    from ecg_flare.digitize.files.output import make_report

    if opened.result is None:
        return {"error": "the page cannot be read" if not with_print else opened.error}
    report = dict(make_report(opened.result, opened.source))
    if not with_print:
        report["source"] = {"file": f"page{opened.source.path.suffix}", "page": opened.source.number}
        report["name"] = "page"
        report["print"] = []
    return report


def _decisions(opened: OpenPage, *, with_print: bool) -> list[dict[str, Any]]:
    """All decisions; without their reasons, which may name a patient, and without who decided."""
    plain: list[dict[str, Any]] = [{"what": each.what, "value": each.value} for each in opened.journal.decisions]
    if with_print:
        for entry, each in zip(plain, opened.journal.decisions, strict=True):
            entry |= {"who": each.who, "when": each.when, "why": each.why}
    return plain


def _versions() -> dict[str, Any]:
    installed = {str(each.metadata["Name"]).lower(): each.version for each in distributions()}
    packages = {name: installed[name] for name in NAMED_PACKAGES if name in installed}
    return {
        "ecg_flare": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": packages,
    }


def _json(value: Mapping[str, Any] | list[dict[str, Any]]) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
