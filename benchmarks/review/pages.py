"""Rendered pages in a folder, read into another one, with what is true of them kept in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.digitization.pages import printed
from ecg_flare.digitize.files.output import encode_png
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.page import Page
from ecg_flare.page.site_profile import load_profile, profile_page


@dataclass(frozen=True, eq=False)
class DrawnPage:
    """A page of a synthetic person, and the recording that it shows."""

    name: str
    page: Page
    recording: Recording

    def snr_db(self, read: Recording | None) -> float:
        """Signal to noise of a reading, as Kaggle 2025 pools it over what is printed; 0 dB of none."""
        return (
            0.0
            if read is None
            else evaluate_recording(read, printed(self.recording, self.page.truth)).snr_db_kaggle2025
        )


def draw_pages(folder: Path, profile: str, count: int, seed: int) -> list[DrawnPage]:
    """Draw pages of one profile, each of another person, and write their pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        recording = synthesize(rng)
        page = profile_page(recording, load_profile(profile), rng)
        name = f"p{index:02d}"
        (folder / f"{name}.png").write_bytes(encode_png(page.image))
        drawn.append(DrawnPage(name, page, recording))
    return drawn
