"""A run while it runs: what its files (`federated.run_files`) say now, as lines for a terminal and as JSON values."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ecg_flare.errors import ConfigError
from ecg_flare.federated.run_files import METRICS, RUN
from ecg_flare.report.agreed import site_names
from ecg_flare.report.figures import bytes_text, dice_text, measure_text, seconds_text, significant
from ecg_flare.report.names import measure_title
from ecg_flare.report.run import (
    FINISHED,
    RoundRecord,
    Run,
    ended_before,
    find_run,
    is_job_folder,
    read_run,
)

_BAR: Final = 24

State = Literal["waiting", "running", "ended"]


@dataclass(frozen=True)
class Watched:
    """A run as it stands.

    Attributes:
        state: 'waiting' for its first figures, 'running', or 'ended'.
        outcome: how it ended ('finished', or why not); '' before.
        quiet_s: seconds since the server last wrote.
        run: its rounds; None while waiting, or where it ended before it had figures.
        folder: in which figures are waited for.
    """

    state: State
    outcome: str = ""
    quiet_s: float = 0.0
    run: Run | None = None
    folder: Path | None = None

    @property
    def finished(self) -> bool:
        """Whether it ended as it should."""
        return self.outcome == FINISHED


def look(path: Path) -> Watched:
    """The run at or below `path`; raises ConfigError where the folder is none, or holds several runs."""
    if not path.is_dir():
        raise ConfigError(f"{path} is no folder: give the folder of a run (what stood after `-w`).")
    try:
        folder = find_run(path)
    except ConfigError:
        if len(list(path.glob(f"**/{METRICS}"))) > 1 or is_job_folder(path):
            raise
        return _without_figures(path)
    if not (folder / METRICS).read_bytes().strip():
        return _without_figures(path)
    run = read_run(folder)
    quiet_s = max(0.0, time.time() - max((folder / name).stat().st_mtime for name in (METRICS, RUN)))
    return Watched("ended" if run.outcome else "running", run.outcome, quiet_s, run)


def _without_figures(path: Path) -> Watched:
    outcome = ended_before(path)
    return Watched("ended" if outcome else "waiting", outcome, folder=path)


def watch_lines(watched: Watched) -> list[str]:
    """The run for people: a head, a line a round, and what it waits for."""
    run = watched.run
    if run is None:
        if watched.state == "ended":
            return [f"ended before the first figures: {watched.outcome}"]
        return [
            f"waiting for {METRICS} in {watched.folder}, the server's first figures: it measures the start before the "
            "first round"
        ]
    return [*_head(run), "", *_rounds(run), "", _foot(watched, run)]


def watch_json(watched: Watched) -> dict[str, Any]:
    """The same as JSON values."""
    told: dict[str, Any] = {"state": watched.state, "outcome": watched.outcome, "quiet_s": round(watched.quiet_s, 1)}
    if watched.run is None:
        return told
    run = watched.run
    rounds = [
        {
            "round": each.index,
            "dice": each.dice,
            "measures": dict(each.measures),
            "failure": each.failure,
            "answered": list(each.answered),
            "missing": list(each.missing),
            "epsilon": each.epsilon_rdp,
            "bytes_down": each.bytes_down,
            "bytes_up": each.bytes_up,
            "seconds_by_phase": dict(each.seconds_by_step),
        }
        for each in run.rounds
    ]
    return told | {
        "job": run.job,
        "rounds_planned": run.terms.rounds,
        "rounds_done": run.final.index,
        "epsilon_budget": run.terms.epsilon_budget,
        "rounds": rounds,
    }


def _head(run: Run) -> list[str]:
    terms, done = run.terms, run.final.index
    filled = round(_BAR * min(1.0, done / terms.rounds))
    lines = [
        f"{run.job}: {terms.summation} sum of {len(site_names(terms))} sites, at least {terms.min_sites}; "
        f"plan {terms.model.plan}",
        f"[{'=' * filled}{' ' * (_BAR - filled)}] round {done} of {terms.rounds}   Dice {dice_text(run.final.dice)}, "
        f"best {dice_text(run.best.dice)} in round {run.best.index}",
    ]
    if terms.private and run.final.epsilon_rdp is not None and terms.epsilon_budget is not None:
        lines.append(
            f"epsilon {significant(run.final.epsilon_rdp)} of {terms.epsilon_budget:g} at delta {terms.delta:g}, "
            f"unit {terms.unit}"
        )
    return lines


def _rounds(run: Run) -> list[str]:
    private, measures = run.terms.private, run.measures
    head = [
        "round",
        "Dice",
        *map(measure_title, measures),
        *(["epsilon"] if private else []),
        "sites",
        "down",
        "up",
        "seconds",
        "by phase",
    ]
    rows = [head, *(_row(each, run, measures) for each in run.rounds)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return lines


def _row(each: RoundRecord, run: Run, measures: Sequence[str]) -> list[str]:
    sites = "failed" if each.failure else f"{len(each.answered)}/{len(site_names(run.terms))}" if each.index else "–"
    said = each.failure or ", ".join(f"{name} {seconds:.1f}" for name, seconds in each.seconds_by_step.items())
    if each.missing and not each.failure:
        said += f"; without {', '.join(each.missing)}"
    return [
        str(each.index),
        dice_text(each.dice),
        *(measure_text(each.measures, name) for name in measures),
        *(["–" if each.epsilon_rdp is None else significant(each.epsilon_rdp)] if run.terms.private else []),
        sites,
        bytes_text(each.bytes_down) if each.bytes_down else "–",
        bytes_text(each.bytes_up) if each.bytes_up else "–",
        f"{each.seconds:.1f}",
        said,
    ]


def _foot(watched: Watched, run: Run) -> str:
    if watched.state == "ended":
        return f"ended: {watched.outcome}"
    trained = [each.seconds for each in run.rounds if each.trained]
    usual = f"; rounds took {seconds_text(sum(trained) / len(trained))}" if trained else ""
    return f"round {run.final.index + 1} is under way; last news {seconds_text(watched.quiet_s)} ago{usual}"
