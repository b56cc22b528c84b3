"""The pages of each row: rendered from PTB-XL recordings, or ECGMiner's own pages of LUDB recordings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float64, UInt8

from benchmarks.digitization.extra_leads import with_extra_leads
from benchmarks.digitization.rows import LUDB, rows
from ecg_flare.ecg.leads import EXTRA_LEADS
from ecg_flare.ecg.metrics import evaluate_recording, snr_db_kaggle2025
from ecg_flare.ecg.ptbxl import PtbxlEntry, in_folds, load_record, read_database
from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.page.degrade import apply
from ecg_flare.page.layout import Layout, load_layout
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.reader import read_page
from ecg_flare.page.render import render_page
from ecg_flare.page.truth import LeadTrace, PageTruth

HELD_OUT_FOLD: Final = 9
LUDB_PAGES: Final = 25
LUDB_PX_PER_S, LUDB_PX_PER_MV = 193.8, 74.4
REPEATED: Final = 0.91  # of a recording that is repeated: rows of 6 or 10 s begin at another place of it each
COLUMN_PARTS: Final = 16  # a column's mean is taken over this many places of the line
_STREAMS: Final = {
    **{"broad": 0, "clean-200": 1, "clean-300": 2, "photo": 4, "scan": 5, "mixed": 6, "phone": 7},
    **{"fewer": 8, "fifteen": 9, "strips": 10, "speed-gain": 11, "fax": 12, "no-pulses": 13},
}


@dataclass(frozen=True, eq=False)
class BenchmarkPage:
    """One page and all that is known of it.

    `truth` holds the samples that the page prints, NaN elsewhere; `whole` is the recording itself; `ceiling_db` is the
    SNR of a perfect trace with one value a pixel column before any damage; `peer_db` that of ECGMiner's own output,
    where there is one. `given_layout` is what the reader is told of the layout.
    """

    image: UInt8[np.ndarray, "h w 3"]
    truth: Recording
    whole: Recording
    layout: str
    speed_mm_per_s: float
    gain_mm_per_mv: float
    chest_gain_mm_per_mv: float
    ceiling_db: float
    kind: str
    peer_db: float | None = None
    given_layout: str = "auto"


def make_page(row: str, seed: int, index: int, data: Path) -> BenchmarkPage:
    """Return page `index` of a row; `data` is the folder of the real records. LUDB pages know no seed."""
    return _ludb_page(index, data / "ludb_pages") if row == LUDB else _rendered_page(row, seed, index, data / "ptbxl")


def _rendered_page(row: str, seed: int, index: int, ptbxl: Path) -> BenchmarkPage:
    entries = held_out(ptbxl)
    rng = np.random.default_rng([seed, _STREAMS[row], index])
    recording = load_record(ptbxl, entries[int(rng.integers(len(entries)))])
    kind = rows()[row].draw_kind(rng)
    profile, style = kind.profile, kind.profile.draw_style(rng)
    recording = as_asked(recording, load_layout(style.layout), style.rhythm_leads)
    page = render_page(recording, style, rng)
    truth = printed(recording, page.truth)
    ceiling = snr_db_kaggle2025(column_means(page.truth, truth), truth.signal_mv, truth.fs_hz)
    for degradation in profile.draw_degradations(rng):
        page = apply(page, degradation)
    known = page.truth
    return BenchmarkPage(
        image=page.image,
        truth=truth,
        whole=recording,
        layout=known.layout,
        speed_mm_per_s=known.speed_mm_per_s,
        gain_mm_per_mv=known.gain_mm_per_mv,
        chest_gain_mm_per_mv=known.chest_gain_mm_per_mv,
        ceiling_db=ceiling,
        kind=profile.name,
        given_layout=style.layout if kind.layout_is_given else "auto",
    )


def as_asked(recording: Recording, layout: Layout, rhythm_leads: Sequence[str] = ()) -> Recording:
    """Return the recording with all that a page shows: PTB-XL has no more than 10 s, and no extra leads.

    It is repeated as often as the layout's last stretch needs, with a period that no row has and a slope that joins its
    ends; extra leads are made up (extra_leads.py).
    """
    if {*layout.leads, *rhythm_leads} & set(EXTRA_LEADS):
        recording = with_extra_leads(recording)
    ends_s = max(segment.start_s + segment.duration_s for row in layout.rows for segment in row)
    if ends_s <= recording.duration_s + 1e-9:
        return recording
    period = recording.signal_mv[:, : round(REPEATED * recording.n_samples)]
    period = period - np.linspace(0, 1, period.shape[1], dtype=np.float32) * (period[:, -1:] - period[:, :1])
    samples = np.arange(math.ceil(ends_s * recording.fs_hz)) % period.shape[1]
    return replace(recording, signal_mv=period[:, samples])


@cache
def held_out(ptbxl: Path) -> tuple[PtbxlEntry, ...]:
    """Return the PTB-XL records of the fold that trains nothing."""
    return in_folds(read_database(ptbxl), {HELD_OUT_FOLD})


def printed(recording: Recording, truth: PageTruth) -> Recording:
    """Return the recording with NaN where the page does not print it.

    Of a lead that goes on at a later time in another row, each row has a zero of its own, its median: the page does not
    say how far one row's zero lies from the next one's.
    """
    signal = np.full_like(recording.signal_mv, np.nan)
    for trace in sorted(truth.traces, key=lambda trace: trace.end_s - trace.start_s):
        row = recording.lead_names.index(trace.lead)
        first, last = round(trace.start_s * recording.fs_hz), round(trace.end_s * recording.fs_hz)
        part = recording.signal_mv[row, first:last]
        signal[row, first:last] = part - np.median(part) if _goes_on(trace, truth) else part
    return replace(recording, signal_mv=signal)


def _goes_on(trace: LeadTrace, truth: PageTruth) -> bool:
    """Whether the lead of a trace stands in another row at another time as well."""
    others = (other for other in truth.traces if other.lead == trace.lead and other.row != trace.row)
    return any(other.start_s >= trace.end_s or other.end_s <= trace.start_s for other in others)


def column_means(truth: PageTruth, recording: Recording) -> Float64[np.ndarray, "leads samples"]:
    """Return the signal of a perfect trace: each line's mean in every pixel column, then PCHIP, at its true zero."""
    signal = np.full(recording.signal_mv.shape, np.nan)
    for trace in sorted(truth.traces, key=lambda trace: trace.end_s - trace.start_s):
        back = read_by_columns(trace.polyline[:, 0], trace.polyline[:, 1])
        upwards = 1.0 if trace.inverted else -1.0
        row, first = recording.lead_names.index(trace.lead), round(trace.start_s * recording.fs_hz)
        part = slice(first, first + len(back))
        millivolt = upwards * back / (truth.px_per_mm_y * truth.gain_of(trace.lead))
        signal[row, part] = millivolt + np.mean(recording.signal_mv[row, part] - millivolt)
    return signal


def read_by_columns(x: Float64[np.ndarray, " n"], y: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return y at x as it comes back from the line's mean in each whole pixel column."""
    from scipy.interpolate import PchipInterpolator

    columns = np.arange(np.ceil(x[0]), np.floor(x[-1]) + 1)
    parts = (np.arange(COLUMN_PARTS) + 0.5) / COLUMN_PARTS - 0.5
    means = np.interp(columns[:, None] + parts, x, y).mean(axis=1)
    back: Float64[np.ndarray, " n"] = PchipInterpolator(columns, means)(np.clip(x, columns[0], columns[-1]))
    return back


def _ludb_page(index: int, folder: Path) -> BenchmarkPage:
    peer = np.load(folder / "ecgminer_output.npz")
    name, peer_mv = str(peer["ids"][index]), peer["signal_mv"][index].T.astype(np.float32)
    whole = read_wfdb(folder / "wfdb" / name)
    truth = replace(whole, signal_mv=np.where(np.isfinite(peer_mv), whole.signal_mv, np.nan))
    peer_db = evaluate_recording(replace(truth, signal_mv=peer_mv), truth).snr_db_kaggle2025
    x = np.arange(truth.n_samples) * LUDB_PX_PER_S / truth.fs_hz
    perfect = np.stack([read_by_columns(x, lead * LUDB_PX_PER_MV) / LUDB_PX_PER_MV for lead in whole.signal_mv])
    perfect[~np.isfinite(truth.signal_mv)] = np.nan
    ceiling = snr_db_kaggle2025(perfect, truth.signal_mv, truth.fs_hz)
    image = read_page(PageFile(folder / "png" / f"{name}.png", 1, name)).image
    return BenchmarkPage(image, truth, whole, "3x4+1R", 25.0, 10.0, 10.0, ceiling, LUDB, peer_db)
