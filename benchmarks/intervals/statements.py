"""Intervals of PTB-XL's recordings by what cardiologists stated of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from tqdm import tqdm

from benchmarks.markdown import row
from ecg_flare.ecg.intervals.intervals import QUANTITIES, Intervals
from ecg_flare.ecg.intervals.measure import measure_intervals
from ecg_flare.ecg.ptbxl import load_record, read_database

STATEMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "NORM": ("NORM",),
    "1AVB": ("1AVB",),
    "CLBBB, CRBBB": ("CLBBB", "CRBBB"),
    "LNGQT": ("LNGQT",),
    "AFIB, AFLT": ("AFIB", "AFLT"),
    "SBRAD": ("SBRAD",),
    "STACH": ("STACH",),
}
SHOWN: Final = ("heart_rate_bpm", "pr_ms", "qrs_ms", "qtc_fridericia_ms")


def statements_table(ptbxl: Path) -> str:
    """Return for each statement the median of its recordings' intervals, and the 5th and 95th percentile."""
    measured = [
        ({code for code, _ in entry.scp_codes}, measure_intervals(load_record(ptbxl, entry)))
        for entry in tqdm(read_database(ptbxl), unit="record", disable=None)
    ]
    titles = [f"{QUANTITIES[name][0]}, {QUANTITIES[name][1]}" for name in SHOWN]
    lines = [row("statement", "records", *titles), row(*["---"] * (2 + len(SHOWN)))]
    for title, codes in STATEMENTS.items():
        found = [intervals for stated, intervals in measured if stated & set(codes)]
        lines.append(row(title, len(found), *(_spread(found, name) for name in SHOWN)))
    return "\n".join(lines)


def _spread(found: Sequence[Intervals], name: str) -> str:
    values = [value for one in found if (value := one.values[name]) is not None]
    if not values:
        return "none measured"
    low, middle, high = (float(np.percentile(values, at)) for at in (5, 50, 95))
    missing = f"; {len(found) - len(values)} not measured" if len(values) < len(found) else ""
    return f"{middle:.0f} ({low:.0f} to {high:.0f}){missing}"
