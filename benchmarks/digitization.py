"""How well pages are read: the targets of digitization beside what is measured, and beside a perfect trace.

    python -m benchmarks.digitization [--pages 100] [--only ROW]... [--segmenter bundled|classical]... [--json]

Every row but the last prints PTB-XL recordings of a fold that trains nothing, in layouts, grids, inks and typefaces
drawn from a seed, degrades them, and reads them with nothing given. The last row reads 25 pages that ECGMiner drew
from LUDB, beside what ECGMiner itself made of them. SNR and correlation are those of ecg/metrics.py, pooled over a
page, against the samples that the page prints. `ceiling` is the SNR of a perfect trace that is read with one value a
pixel column, the mean of the line in it. `confident wrong` counts pages whose layout, speed or gain is wrong and
whose confidence is at or above the level below which a warning is shown. Seconds are of this process's CPU.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

import click
import numpy as np
from tqdm import tqdm

from ecg_flare.digitize.pipeline import CONFIDENT, Digitization, digitize
from ecg_flare.digitize.segment import Segmenter, load_segmenter
from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.metrics import evaluate_recording, snr_db_kaggle2025
from ecg_flare.ecg.ptbxl import in_folds, load_record, read_database
from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.errors import EcgFlareError
from ecg_flare.page.degrade import apply
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.site_profile import SiteProfile, load_profile, parse_profile
from ecg_flare.page.truth import PageTruth

SEED: Final = 20_250_711
HELD_OUT_FOLD: Final = 9
WORST: Final = 5
LUDB: Final = "ludb"

STYLE: Final = """
style:
  layout:
    choice:
      {{3x4: 2, 3x4+1R: 4, 3x4+2R: 1, 3x4+3R: 1.5, 3x4-cabrera: 0.5, 3x4-cabrera+1R: 0.5, 6x2: 1.5, 6x2+1R: 1, 12x1: 2}}
  paper: {{choice: {{a4: 1, letter: 1}}}}
  dpi: {dpi}
  speed_mm_per_s: {{choice: {{25: 0.9, 50: 0.1}}}}
  gain_mm_per_mv: {{choice: {{10: 0.85, 5: 0.15}}}}
  rhythm_leads: [{{choice: {{II: 0.6, V1: 0.3, V5: 0.1}}}}]
  pulse: {{choice: {{left: 0.65, right: 0.35}}}}
  shift_x_mm: {{uniform: [-3, 3]}}
  grid:
    kind: fine+coarse
    colour: {{choice: {{red: 3, pink: 2, orange: 1, blue: 1, green: 1, grey: 1, brown: 1}}}}
    strength: {{uniform: [0.6, 1.0]}}
    phase_x_mm: {{uniform: [0, 5]}}
    phase_y_mm: {{uniform: [0, 5]}}
  ink:
    width_mm: {{uniform: [0.22, 0.45]}}
    grey: {{uniform: [0, 70]}}
    blue: {{choice: {{0: 0.8, 0.6: 0.2}}}}
  text:
    font: {{choice: {{sans: 1, serif: 1, serif-bold: 1, mono: 1}}}}
    labels: {{choice: {{above: 1, below: 1, beside: 1}}}}
    separator: {{choice: {{none: 3, ticks: 1, line: 1, dashes: 1}}}}
"""
SCAN: Final = """
degradations:
  - {kind: photocopy, probability: 0.5, paper_grey: {uniform: [215, 250]}, grain: {uniform: [0, 6]}}
  - {kind: rotation, angle_deg: {uniform: [-5, 5]}}
  - {kind: defocus, sigma_mm: {uniform: [0.03, 0.08]}}
  - {kind: noise, luma: {uniform: [1, 5]}, chroma: {uniform: [0, 2]}}
  - {kind: jpeg, quality: {uniform: [60, 92]}}
"""
PHOTO: Final = """
degradations:
  - {kind: curl, probability: 0.3, amplitude_mm: {uniform: [0.2, 1.0]}}
  - {kind: perspective}
  - {kind: light}
  - {kind: shadow}
  - {kind: defocus, sigma_mm: {uniform: [0.05, 0.12]}}
  - {kind: noise, luma: {uniform: [2, 6]}, chroma: {uniform: [1, 4]}}
  - {kind: jpeg, quality: {uniform: [60, 90]}}
"""


@dataclass(frozen=True)
class Target:
    """What a row is to reach: median and 5th percentile of the SNR, correlation, seconds a page; None where open."""

    snr_db: float | None = None
    p5_db: float | None = None
    pcc: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Setting:
    """A row of the table: how its pages are made (None: the LUDB pages), and its target."""

    profile: SiteProfile | None
    target: Target


@dataclass(frozen=True)
class PageResult:
    """One page: what it scored, and whether what was found is right."""

    name: str
    snr_db: float
    pcc: float
    ceiling_db: float
    confidence: float
    right: bool
    seconds: Mapping[str, float]
    peer_db: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class RowResult:
    """One row, measured."""

    row: str
    segmenter: str
    pages: int
    read: int
    snr_db: float
    p5_db: float
    pcc: float
    ceiling_db: float
    peer_db: float | None
    peer_p5_db: float | None
    right: int
    confident: int
    confident_wrong: int
    seconds: float
    stages: Mapping[str, float]
    target: Target
    worst: tuple[str, ...]


@cache
def settings() -> Mapping[str, Setting]:
    """The rows by name."""

    def made(name: str, dpi: str, degradations: str) -> SiteProfile:
        return parse_profile(STYLE.format(dpi=dpi) + degradations, f"benchmark row {name}", name)

    return {
        "clean-200": Setting(made("clean-200", "200", ""), Target(24, 18, 0.995, 2)),
        "clean-300": Setting(made("clean-300", "300", ""), Target(28, 20, 0.998, 4)),
        "scan": Setting(made("scan", "200", SCAN), Target(21, 15, 0.99, 2)),
        "photo": Setting(made("photo", "{uniform: [150, 220]}", PHOTO), Target(17, 10, 0.97, 5)),
        "broad": Setting(load_profile("broad"), Target()),
        LUDB: Setting(None, Target(22, 17, 0.99, 2)),
    }


def made_page(row: str, index: int, data: Path) -> tuple[Page, Recording, float]:
    """Return page `index` of a row, the samples that it prints, and the SNR of a perfect trace on it."""
    profile = settings()[row].profile
    assert profile is not None
    entries = in_folds(read_database(data / "ptbxl"), {HELD_OUT_FOLD})
    rng = np.random.default_rng([SEED, sorted(settings()).index(row), index])
    recording = load_record(data / "ptbxl", entries[int(rng.integers(len(entries)))])
    page = render_page(recording, profile.draw_style(rng), rng)
    truth = printed(recording, page.truth)
    ceiling = snr_db_kaggle2025(column_means(page.truth, truth), truth.signal_mv, truth.fs_hz)
    for degradation in profile.draw_degradations(rng):
        page = apply(page, degradation)
    return page, truth, ceiling


def printed(recording: Recording, truth: PageTruth) -> Recording:
    """Return the recording with NaN where the page does not print it, the longest stretch of each lead kept."""
    signal = np.full_like(recording.signal_mv, np.nan)
    for trace in sorted(truth.traces, key=lambda trace: trace.end_s - trace.start_s):
        row = LEADS.index(trace.lead)
        first, last = round(trace.start_s * recording.fs_hz), round(trace.end_s * recording.fs_hz)
        signal[row] = np.nan
        signal[row, first:last] = recording.signal_mv[row, first:last]
    return replace(recording, signal_mv=signal)


def column_means(truth: PageTruth, recording: Recording) -> np.ndarray:
    """Return the signal of a perfect trace: the mean of every line in each pixel column, then PCHIP."""
    from scipy.interpolate import PchipInterpolator

    signal = np.full_like(recording.signal_mv, np.nan)
    for trace in sorted(truth.traces, key=lambda trace: trace.end_s - trace.start_s):
        x, y = trace.polyline[:, 0], trace.polyline[:, 1]
        columns = np.arange(np.ceil(x[0]), np.floor(x[-1]) + 1)
        parts = (np.arange(16) + 0.5) / 16 - 0.5
        means = np.interp(columns[:, None] + parts, x, y).mean(axis=1)
        back = PchipInterpolator(columns, means)(np.clip(x, columns[0], columns[-1]))
        upwards = 1.0 if trace.inverted else -1.0
        first = round(trace.start_s * recording.fs_hz)
        row = LEADS.index(trace.lead)
        signal[row] = np.nan
        signal[row, first : first + len(back)] = upwards * back / (truth.px_per_mm_y * truth.gain_mm_per_mv)
    return signal


@cache
def _segmenter(name: str) -> Segmenter:
    return load_segmenter(name)


def read_one(task: tuple[str, str, int, str]) -> PageResult:
    """Make (or load) one page and read it; a page that is refused scores 0 dB."""
    row, segmenter, index, data = task
    reader = _segmenter(segmenter)
    if row == LUDB:
        return _read_ludb(index, Path(data), reader)
    page, truth, ceiling = made_page(row, index, Path(data))
    name = f"{row}/{index}"
    begun = time.process_time()
    try:
        found = digitize(page.image, segmenter=reader)
    except EcgFlareError as error:
        spent = {"all": time.process_time() - begun}
        return PageResult(name, 0.0, 0.0, ceiling, 0.0, False, spent, error=f"{type(error).__name__}: {error}")
    seconds = {**found.seconds, "all": time.process_time() - begun}
    right = _is_right(found, page.truth.layout, page.truth.speed_mm_per_s, page.truth.gain_mm_per_mv)
    score = evaluate_recording(found.recording, truth)
    return PageResult(name, score.snr_db_kaggle2025, score.pcc, ceiling, found.confidence, right, seconds)


def _read_ludb(index: int, data: Path, segmenter: Segmenter) -> PageResult:
    import cv2

    folder = data / "ludb_pages"
    peer = np.load(folder / "ecgminer_output.npz")
    name, peer_mv = str(peer["ids"][index]), peer["signal_mv"][index].T.astype(np.float32)
    whole = read_wfdb(folder / "wfdb" / name)
    truth = replace(whole, signal_mv=np.where(np.isfinite(peer_mv), whole.signal_mv, np.nan))
    peer_db = evaluate_recording(replace(truth, signal_mv=peer_mv), truth).snr_db_kaggle2025
    image = cv2.cvtColor(cv2.imread(str(folder / "png" / f"{name}.png")), cv2.COLOR_BGR2RGB)
    begun = time.process_time()
    found = digitize(image, segmenter=segmenter)
    seconds = {**found.seconds, "all": time.process_time() - begun}
    score = evaluate_recording(found.recording, truth)
    right = _is_right(found, "3x4+1R", 25.0, 10.0)
    return PageResult(
        f"ludb/{name}", score.snr_db_kaggle2025, score.pcc, float("nan"), found.confidence, right, seconds, peer_db
    )


def _is_right(found: Digitization, layout: str, speed: float, gain: float) -> bool:
    calibration = found.calibration
    return (
        found.layout == layout
        and abs(calibration.speed_mm_per_s / speed - 1) < 0.03
        and abs(calibration.gain_mm_per_mv / gain - 1) < 0.03
    )


def measure(row: str, segmenter: str, n_pages: int, data: Path, jobs: int) -> RowResult:
    """Read the pages of one row with one segmenter."""
    count = min(n_pages, 25) if row == LUDB else n_pages
    tasks = [(row, segmenter, index, str(data)) for index in range(count)]
    results = list(tqdm(_run(tasks, jobs), total=count, desc=f"{row} {segmenter}", leave=False, disable=None))
    return _summarize(row, segmenter, results)


def _run(tasks: Sequence[tuple[str, str, int, str]], jobs: int) -> Iterator[PageResult]:
    if jobs == 1:
        yield from map(read_one, tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(read_one, tasks)


def _summarize(row: str, segmenter: str, results: Sequence[PageResult]) -> RowResult:
    snr = np.array([result.snr_db for result in results])
    peers = [result.peer_db for result in results if result.peer_db is not None]
    confident = [result for result in results if result.confidence >= CONFIDENT]
    stages = sorted({stage for result in results for stage in result.seconds})
    worst = sorted(results, key=lambda result: result.snr_db)[:WORST]
    return RowResult(
        row=row,
        segmenter=segmenter,
        pages=len(results),
        read=sum(result.error is None for result in results),
        snr_db=float(np.median(snr)),
        p5_db=float(np.percentile(snr, 5)),
        pcc=float(np.median([result.pcc for result in results])),
        ceiling_db=float(np.median([result.ceiling_db for result in results])),
        peer_db=float(np.median(peers)) if peers else None,
        peer_p5_db=float(np.percentile(peers, 5)) if peers else None,
        right=sum(result.right for result in results),
        confident=len(confident),
        confident_wrong=sum(not result.right for result in confident),
        seconds=float(np.median([result.seconds["all"] for result in results])),
        stages={stage: float(np.median([result.seconds.get(stage, 0.0) for result in results])) for stage in stages},
        target=settings()[row].target,
        worst=tuple(f"{result.name} {result.snr_db:.1f} dB {result.error or ''}".strip() for result in worst),
    )


def table(rows: Sequence[RowResult]) -> str:
    """The rows as text, each figure beside its target."""

    def both(value: float, target: float | None, digits: int) -> str:
        return f"{value:.{digits}f}" + (f" ({target:g})" if target is not None else "")

    head = ("row", "segmenter", "pages", "SNR dB", "p5 dB", "PCC", "s a page", "ceiling", "ECGMiner", "right", "wrong*")
    body = [
        (
            result.row,
            result.segmenter,
            str(result.pages),
            both(result.snr_db, result.target.snr_db, 1),
            both(result.p5_db, result.target.p5_db, 1),
            both(result.pcc, result.target.pcc, 4),
            both(result.seconds, result.target.seconds, 2),
            "" if np.isnan(result.ceiling_db) else f"{result.ceiling_db:.1f}",
            "" if result.peer_db is None else f"{result.peer_db:.1f} / {result.peer_p5_db:.1f}",
            f"{result.right}/{result.pages}",
            f"{result.confident_wrong}/{result.confident}",
        )
        for result in rows
    ]
    widths = [max(len(line[k]) for line in (head, *body)) for k in range(len(head))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in (head, *body)]
    lines.append("in brackets: the target; wrong*: confident and wrong, of all that are confident")
    for result in rows:
        stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in result.stages.items() if name != "all")
        lines.append(f"{result.row} {result.segmenter}: seconds: {stages}; worst: {'; '.join(result.worst)}")
    return "\n".join(lines)


def _data_root() -> Path:
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("ECG_FLARE_DATA", default))


@click.command()
@click.option("--pages", default=100, show_default=True, type=click.IntRange(1), help="Pages a row.")
@click.option("--only", multiple=True, type=click.Choice(list(settings())), help="This row alone; may be repeated.")
@click.option("--segmenter", multiple=True, default=("bundled", "classical"), show_default=True)
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1, 2), help="Processes.")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
def main(pages: int, only: tuple[str, ...], segmenter: tuple[str, ...], jobs: int, as_json: bool) -> None:
    """Measure how well pages are read."""
    names = only or tuple(settings())
    data = _data_root()
    rows = [measure(row, name, pages, data, jobs) for row in names for name in segmenter]
    click.echo(json.dumps([asdict(row) for row in rows], indent=2) if as_json else table(rows))


if __name__ == "__main__":
    main()
