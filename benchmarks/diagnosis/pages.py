"""The held-out recordings printed, scanned and read back: what of a diagnosis is left.

Each page is drawn from the profile `district` (3x4 leads and a rhythm strip, red grid, a flatbed scanner), and read by
the classical segmenter with nothing known of it. A page that is refused gives a recording of nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from benchmarks.diagnosis.example import to_inputs
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.ptbxl import PtbxlEntry, load_record, read_database
from ecg_flare.ecg.record import Recording
from ecg_flare.errors import PageError
from ecg_flare.page.site_profile import load_profile, profile_page
from ecg_flare.storage import read_arrays, write_arrays

PROFILE: Final = "district"
_OPTIONS: Final = ReadingOptions(segmenter="classical", words="off")


@dataclass(frozen=True, eq=False)
class ReadPage:
    """A page that was read: twelve leads, NaN where nothing was found, and the reader's confidence.

    A page that was refused has a confidence of 0, and no lead.
    """

    inputs: Float32[np.ndarray, "12 samples"]
    confidence: float


def read_pages(root: Path, names: Sequence[str], folder: Path, seed: int) -> dict[str, ReadPage]:
    """Print and read the recordings of these names (their `ecg_id`); what `folder` has already is not read again."""
    entries = {f"{entry.ecg_id:05d}": entry for entry in read_database(root)}
    read = {}
    for name in tqdm(names, "reading pages", unit="page", disable=not sys.stderr.isatty()):
        path = folder / f"{PROFILE}-{seed}-{name}.npz"
        if not path.exists():
            found = _read(root, entries[name], seed)
            write_arrays(path, {"inputs": found.inputs, "confidence": np.array(found.confidence)})
        stored = read_arrays(path)
        read[name] = ReadPage(stored["inputs"], float(stored["confidence"]))
    return read


def _read(root: Path, entry: PtbxlEntry, seed: int) -> ReadPage:
    rng = np.random.default_rng([seed, entry.ecg_id])
    page = profile_page(load_record(root, entry), load_profile(PROFILE), rng)
    try:
        result = digitize(page.image, _OPTIONS)
    except PageError:
        return ReadPage(np.zeros((12, 1000), np.float32), 0.0)
    recording = result.recording
    twelve = Recording(np.stack([recording.lead(lead) for lead in LEADS]), recording.fs_hz)
    return ReadPage(to_inputs(twelve), float(result.confidence))
