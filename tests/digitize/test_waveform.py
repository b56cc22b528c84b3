"""The recording redrawn: at 25 mm/s and 10 mm/mV, row by row."""

import re

import numpy as np
import pytest

from ecg_flare.digitize.files.waveform import waveform_svg
from ecg_flare.digitize.result import Digitization


def test_the_drawing_repeats_the_recording(clean_reading: Digitization) -> None:
    svg = waveform_svg(clean_reading, "p1")

    for span in (lead.span for lead in clean_reading.leads):
        assert f">{span.lead} rhythm<" in svg if span.is_rhythm else f">{span.lead}<" in svg
    first = clean_reading.leads[0].span
    samples = clean_reading.recording.lead(first.lead)[round(first.start_s * 500) : round(first.end_s * 500)]
    drawn = re.search(r'class="ecg" d="([^"]*)"', svg)
    assert drawn is not None
    points = np.array([[float(value) for value in pair.split()] for pair in re.split("[ML]", drawn[1]) if pair])
    height = np.nanmax(samples) - np.nanmin(samples)
    assert np.ptp(points[:, 1]) == pytest.approx(10 * height, abs=0.15)  # 10 mm/mV
    assert np.ptp(points[:, 0]) == pytest.approx(25 * len(samples) / 500, abs=0.5)  # 25 mm/s
