"""Recordings that were read against the true ones: by lead, by page, the fifth percentile, the worst pages.

SNR, correlation and error are those of ecg/metrics.py. A record that was not read at all counts as a page of 0 dB and
no coverage, so that leaving hard pages out does not help.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from ecg_flare.ecg.leads import ALL_LEADS
from ecg_flare.ecg.metrics import LeadScore, RecordingScore, evaluate_recording
from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.errors import RecordError

WORST_PAGES: Final = 5
_NEARLY_ALL: Final = 0.95


@dataclass(frozen=True)
class Summary:
    """One quantity over pages or over a lead's recordings: median, mean, 5th percentile, and how many there are."""

    median: float
    mean: float
    p5: float
    count: int


@dataclass(frozen=True)
class Row:
    """Scores of a set of recordings, or of one lead over them; decibels, Pearson's r, mV, fraction.

    The two `read_` ratios leave out what was not read, where it stands for nothing (`metrics.LeadScore`).
    """

    snr_db_kaggle2025: Summary
    snr_db_physionet2024: Summary
    pcc: Summary
    rmse_mv: Summary
    coverage: Summary
    read_snr_db_kaggle2025: Summary
    read_snr_db_physionet2024: Summary


@dataclass(frozen=True)
class Evaluation:
    """Scores of all pages: together, by lead, each by itself, and which are worst.

    `missing` names the true records without a reading, which count as 0 dB in `pages`; `unexpected` the readings
    without a true record, which count nowhere. `worst` are the names of the lowest Kaggle SNRs, the lowest first.
    `failed` says why a file could not be used, by its path: a reading counts as missing then, a true record nowhere.
    """

    pages: Row
    leads: Mapping[str, Row]
    scores: tuple[RecordingScore, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    worst: tuple[str, ...]
    failed: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Write everything as JSON; numbers that are not defined (an empty lead, no error at all) become null."""
        return json.dumps(_finite(asdict(self)), indent=2)

    def table(self) -> str:
        """Return the scores as text, a row for the pages and one a lead."""
        header = f"{'':8}{'SNR K25 dB':>22}{'SNR P24 dB':>22}{'PCC':>9}{'RMSE mV':>9}{'covered':>9}{'n':>6}"
        under = f"{'':8}{'median / mean / p5':>22}{'median / mean / p5':>22}{'median':>9}{'median':>9}{'mean':>9}"
        rows = [
            _line("pages", self.pages),
            _read_line(self.pages),
            *(_line(lead, row) for lead, row in self.leads.items()),
        ]
        scores = {score.name: score.snr_db_kaggle2025 for score in self.scores}
        worst = ", ".join(f"{name} ({scores.get(name, 0.0):.1f} dB)" for name in self.worst)
        lines = [header, under, *rows, f"worst pages: {worst}"]
        if self.pages.coverage.mean < _NEARLY_ALL:
            lines.append(
                f"{self.pages.coverage.mean:.0%} of the true samples were read. What was not read, or not printed, "
                "counts as 0 mV in K25 and lowers P24 by its share; the row 'read' leaves it out. Challenges compare "
                "with what is printed: `ecg-flare render` writes that beside a page."
            )
        if self.missing:
            lines.append(f"not read: {', '.join(self.missing)}")
        if self.unexpected:
            lines.append(f"without truth, left out: {', '.join(self.unexpected)}")
        lines += [f"cannot be used: {path}: {why}" for path, why in self.failed.items()]
        return "\n".join(lines)


def evaluate(pred: Path, truth: Path) -> Evaluation:
    """Compare WFDB records: two folders, matched by name, or two single records (with or without .hea).

    A record that cannot be read stops none of the others; see `Evaluation.failed`. Raises RecordError if `truth` holds
    no record that can be read and has a sample.
    """
    true_paths, read_paths = _records(truth), _records(pred)
    if not true_paths:
        raise RecordError(f"{truth} holds no WFDB record (NAME.hea); give the folder of the true recordings.")
    if _is_single(truth) and _is_single(pred):
        read_paths = dict(zip(true_paths, read_paths.values(), strict=False))
    failed: dict[str, str] = {}
    scored = []
    for name in sorted(true_paths):
        true = _read(true_paths[name], failed)
        if true is not None and not np.isfinite(true.signal_mv).any():
            failed[str(true_paths[name])] = "no lead has a finite sample: there is nothing to compare with"
        elif true is not None:
            scored.append((name, true, _read(read_paths[name], failed) if name in read_paths else None))
    if not scored:
        raise RecordError(f"{truth} holds no record to compare with: {' '.join(failed.values())}")
    unexpected = tuple(sorted(set(read_paths) - set(true_paths)))
    return replace(evaluate_recordings(scored, unexpected), failed=failed)


def _read(header: Path, failed: dict[str, str]) -> Recording | None:
    try:
        return read_wfdb(header)
    except RecordError as error:
        failed[str(header)] = str(error)
        return None


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
    pages = _row([_numbers(score) for score in scores] + [(0.0, 0.0, 0.0, np.nan, 0.0, np.nan, np.nan)] * len(missing))
    leads = {lead: _row(numbers) for lead in ALL_LEADS if (numbers := _lead_numbers(scores, lead))}
    named = tuple(replace(score, name=name) for name, score in zip(names, scores, strict=True))
    return Evaluation(pages, leads, named, missing, unexpected, worst)


Numbers = tuple[float, float, float, float, float, float, float]


def _numbers(score: RecordingScore | LeadScore) -> Numbers:
    return (
        *(score.snr_db_kaggle2025, score.snr_db_physionet2024, score.pcc, score.rmse_mv, score.coverage),
        *(score.read_snr_db_kaggle2025, score.read_snr_db_physionet2024),
    )


def _lead_numbers(scores: Sequence[RecordingScore], lead: str) -> list[Numbers]:
    return [_numbers(row) for score in scores for row in score.leads if row.lead == lead]


def _row(numbers: Sequence[Numbers]) -> Row:
    return Row(*(_summary([values[k] for values in numbers]) for k in range(7)))


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
    return (
        f"{name:8}{_three(row.snr_db_kaggle2025):>22}{_three(row.snr_db_physionet2024):>22}"
        f"{row.pcc.median:9.4f}{row.rmse_mv.median:9.4f}{row.coverage.mean:9.3f}{row.coverage.count:6d}"
    )


def _read_line(row: Row) -> str:
    kaggle, physionet = (_three(summary) for summary in (row.read_snr_db_kaggle2025, row.read_snr_db_physionet2024))
    return f"{'  read':8}{kaggle:>22}{physionet:>22}"


def _three(summary: Summary) -> str:
    return f"{summary.median:6.2f} /{summary.mean:6.2f} /{summary.p5:6.2f}"


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
