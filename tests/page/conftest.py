"""Recordings and styles that are easy to reason about."""

import numpy as np
import pytest

from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.record import Recording
from ecg_flare.page.style import GridStyle, PageStyle, PrintStyle


@pytest.fixture(scope="session")
def waves() -> Recording:
    """Ten seconds at 400 Hz of gentle sines, each lead with its own frequency."""
    times_s = np.arange(4000) / 400
    signal = [0.3 * np.sin(2 * np.pi * (0.3 + 0.05 * index) * times_s + index) for index in range(len(LEADS))]
    return Recording(np.array(signal, dtype=np.float32), 400.0)


@pytest.fixture(scope="session")
def bare() -> PageStyle:
    """Traces on white paper and nothing else."""
    return PageStyle(
        layout="3x4",
        dpi=120.0,
        pulse="none",
        grid=GridStyle(kind="none"),
        text=PrintStyle(header=False, footer=False),
    )
