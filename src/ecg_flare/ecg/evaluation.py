"""Recordings that were read against the true ones: by lead, by page, the fifth percentile, the worst pages.

SNR, correlation and error are those of ecg/metrics.py. A record that was not read at all counts as a page of 0 dB and
no coverage, so that leaving hard pages out does not help.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.metrics import RecordingScore, evaluate_recording
from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.errors import RecordError

WORST_PAGES: Final = 5


@dataclass(frozen=True)
class Summary:
    """One quantity over pages or over a lead's recordings: median, mean, 5th percentile, and how many there are."""

    median: float
    mean: float
    p5: float
    count: int


@dataclass(frozen=True)
class Row:
    """Scores of a set of recordings, or of one lead over them; decibels, Pearson's r, mV, fraction."""

    snr_db_kaggle2025: Summary
    snr_db_physionet2024: Summary
    pcc: Summary
    rmse_mv: Summary
    coverage: Summary


@dataclass(frozen=True)
class Evaluation:
    """Scores of all pages: together, by lead, each by itself, and which are worst.

    `missing` names the true records without a reading, which count as 0 dB in `pages`; `unexpected` the readings
    without a true record, which count nowhere. `worst` are the names of the lowest Kaggle SNRs, the lowest first.
    """

    pages: Row
    leads: Mapping[str, Row]
    scores: tuple[RecordingScore, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    worst: tuple[str, ...]

    def to_json(self) -> str:
        """Write everything as JSON; numbers that are not defined (an empty lead, no error at all) become null."""
        return json.dumps(_finite(asdict(self)), indent=2)

    def table(self) -> str:
        """Return the scores as text, a row for the pages and one a lead."""
        header = f"{'':8}{'SNR K25 dB':>22}{'SNR P24 dB':>22}{'PCC':>9}{'RMSE mV':>9}{'covered':>9}{'n':>6}"
        under = f"{'':8}{'median / mean / p5':>22}{'median / mean / p5':>22}{'median':>9}{'median':>9}{'mean':>9}"
        rows = [_line("pages", self.pages), *(_line(lead, row) for lead, row in self.leads.items())]
        scores = {score.name: score.snr_db_kaggle2025 for score in self.scores}
        worst = ", ".join(f"{name} ({scores.get(name, 0.0):.1f} dB)" for name in self.worst)
        lines = [header, under, *rows, f"worst pages: {worst}"]
        if self.missing:
            lines.append(f"not read: {', '.join(self.missing)}")
        if self.unexpected:
            lines.append(f"without truth, left out: {', '.join(self.unexpected)}")
        return "\n".join(lines)


def evaluate(pred: Path, truth: Path) -> Evaluation:
    """Compare WFDB records: two folders, matched by name, or two single records (with or without .hea).

    Raises RecordError if `truth` holds no record, or a record of either cannot be read.
    """
    true_paths, read_paths = _records(truth), _records(pred)
    if not true_paths:
        raise RecordError(f"{truth} holds no WFDB record (NAME.hea); give the folder of the true recordings.")
    if _is_single(truth) and _is_single(pred):
        read_paths = dict(zip(true_paths, read_paths.values(), strict=False))
    pairs = [(name, read_wfdb(true_paths[name]), read_paths.get(name)) for name in sorted(true_paths)]
    scored = [(name, recording, read_wfdb(path) if path else None) for name, recording, path in pairs]
    unexpected = tuple(sorted(set(read_paths) - set(true_paths)))
    return evaluate_recordings(scored, unexpected)


def evaluate_recordings(
    recordings: Sequence[tuple[str, Recording, Recording | None]], unexpected: tuple[str, ...] = ()
) -> Evaluation:
    """Compare recordings in memory: (name, truth, reading or None) a page. Raises RecordError if there is none."""
    if not recordings:
        raise RecordError("There is no recording to compare.")
    scores = tuple(evaluate_recording(read, truth) for _, truth, read in recordings if read is not None)
    names = [name for name, _, read in recordings if read is not None]
    missing = tuple(name for name, _, read in recordings if read is None)
    by_name = {name: score.snr_db_kaggle2025 for name, score in zip(names, scores, strict=True)}
    by_name.update(dict.fromkeys(missing, 0.0))
    worst = tuple(sorted(by_name, key=lambda name: (by_name[name], name))[:WORST_PAGES])
    pages = _row([_page_numbers(score) for score in scores] + [(0.0, 0.0, 0.0, np.nan, 0.0)] * len(missing))
    leads = {lead: _row(numbers) for lead in LEADS if (numbers := _lead_numbers(scores, lead))}
    named = tuple(replace(score, name=name) for name, score in zip(names, scores, strict=True))
    return Evaluation(pages, leads, named, missing, unexpected, worst)


Numbers = tuple[float, float, float, float, float]


def _page_numbers(score: RecordingScore) -> Numbers:
    return score.snr_db_kaggle2025, score.snr_db_physionet2024, score.pcc, score.rmse_mv, score.coverage


def _lead_numbers(scores: Sequence[RecordingScore], lead: str) -> list[Numbers]:
    return [
        (row.snr_db_kaggle2025, row.snr_db_physionet2024, row.pcc, row.rmse_mv, row.coverage)
        for score in scores
        for row in score.leads
        if row.lead == lead
    ]


def _row(numbers: Sequence[Numbers]) -> Row:
    return Row(*(_summary([values[k] for values in numbers]) for k in range(5)))


def _summary(values: Sequence[float]) -> Summary:
    known = np.array([value for value in values if not np.isnan(value)])
    if not len(known):
        return Summary(float("nan"), float("nan"), float("nan"), 0)
    # an infinite SNR (no error at all) is kept out of the interpolation between neighbours
    p5 = float(np.percentile(known, 5, method="lower" if np.isinf(known).any() else "linear"))
    return Summary(float(np.median(known)), float(known.mean()), p5, len(known))


def _is_single(path: Path) -> bool:
    return not path.is_dir()


def _records(path: Path) -> dict[str, Path]:
    if path.is_dir():
        return {header.stem: header for header in sorted(path.glob("*.hea"))}
    header = path if path.suffix == ".hea" else path.with_name(path.name + ".hea")
    if not header.is_file():
        raise RecordError(f"{path} is neither a folder nor a WFDB record: there is no {header}.")
    return {header.stem: header}


def _line(name: str, row: Row) -> str:
    def three(summary: Summary) -> str:
        return f"{summary.median:6.2f} /{summary.mean:6.2f} /{summary.p5:6.2f}"

    return (
        f"{name:8}{three(row.snr_db_kaggle2025):>22}{three(row.snr_db_physionet2024):>22}"
        f"{row.pcc.median:9.4f}{row.rmse_mv.median:9.4f}{row.coverage.mean:9.3f}{row.coverage.count:6d}"
    )


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
