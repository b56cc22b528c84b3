"""The patients of the sites, each with a few fixed windows of the own pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from ecg_flare.page.raster import Label
from ecg_flare.task.traces.page_case import PageCase


@dataclass(frozen=True, eq=False)
class Patient:
    """One patient's windows, over all of the pages.

    Attributes:
        site: whose patient.
        name: within the site.
        images: RGB.
        masks: label of each pixel.
    """

    site: str
    name: str
    images: UInt8[np.ndarray, "n 3 h w"]
    masks: UInt8[np.ndarray, "n h w"]


def draw_patients(
    pages: Mapping[str, Iterable[PageCase]], *, windows: int, window_px: tuple[int, int], on_a_trace: float, seed: int
) -> list[Patient]:
    """Every patient of every site, with so many windows of each of the own pages, drawn once for all rounds.

    A window lies anywhere on its page, but is centred on a trace with the chance `on_a_trace`.
    """
    found = []
    for number, (site, cases) in enumerate(sorted(pages.items())):
        rng = np.random.default_rng([seed, number])
        by_patient: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for case in cases:
            by_patient.setdefault(case.patient_id, []).extend(_windows(case, windows, window_px, on_a_trace, rng))
        for name, drawn in sorted(by_patient.items()):
            images = np.stack([image.transpose(2, 0, 1) for image, _ in drawn])
            found.append(Patient(site, name, images, np.stack([mask for _, mask in drawn])))
    return found


def _windows(
    case: PageCase, count: int, window_px: tuple[int, int], on_a_trace: float, rng: np.random.Generator
) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]]:
    height, width = window_px
    room = np.maximum(np.array(case.mask.shape) - window_px, 0)
    ink = np.argwhere(case.mask == Label.TRACE)
    for _ in range(count):
        top, left = rng.integers(0, room + 1)
        if len(ink) and rng.random() < on_a_trace:
            top, left = np.clip(rng.choice(ink) - np.array(window_px) // 2, 0, room)
        window = slice(top, top + height), slice(left, left + width)
        short = [(0, size - part) for size, part in zip(window_px, case.mask[window].shape, strict=True)]
        yield (
            np.pad(case.image[window], [*short, (0, 0)], mode="edge"),
            np.pad(case.mask[window], short),
        )
