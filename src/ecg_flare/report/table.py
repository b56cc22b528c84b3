"""The rounds as a table for a terminal, and the same as JSON values."""

from collections.abc import Callable
from functools import partial
from typing import Any

from ecg_flare.report.agreed import site_names
from ecg_flare.report.figures import dice_text, measure_text, significant
from ecg_flare.report.names import measure_title
from ecg_flare.report.run import RoundRecord, Run


def rounds_table(run: Run) -> str:
    """Round, Dice of the server and of the sites where they have it, epsilon where there is one, sites, seconds."""
    columns = _columns(run)
    rows = [[title for title, _ in columns], *([cell(each) for _, cell in columns] for each in run.rounds)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(columns))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def summary(run: Run) -> dict[str, Any]:
    """What the table and the report's head say, as JSON values."""
    return {
        "job": run.job,
        "folder": str(run.folder),
        "model": _path(run, "model"),
        "ledger": _path(run, "ledger.jsonl"),
        "outcome": run.outcome,
        "rounds_planned": run.terms.rounds,
        "best_round": run.best.index,
        "rounds": [
            {
                "round": each.index,
                "dice": each.dice,
                "sites_dice": each.sites_dice,
                "measures": dict(each.measures),
                "failure": each.failure,
                "epsilon_rdp": each.epsilon_rdp,
                "epsilon_prv": each.epsilon_prv,
                "answered": list(each.answered),
                "missing": list(each.missing),
                "seconds": each.seconds,
            }
            for each in run.rounds
        ],
    }


def _columns(run: Run) -> list[tuple[str, Callable[[RoundRecord], str]]]:
    """Titles, each with what a round has there."""
    columns: list[tuple[str, Callable[[RoundRecord], str]]] = [("round", lambda each: str(each.index))]
    if run.measured or not run.measured_at_sites:
        columns.append(("Dice", lambda each: dice_text(each.dice)))
    if run.measured_at_sites:
        columns.append(("Dice at sites", lambda each: dice_text(-1.0 if each.sites_dice is None else each.sites_dice)))
    columns += [(measure_title(name), partial(_measure, name)) for name in run.measures]
    if run.terms.private:
        columns.append(("epsilon", lambda each: "–" if each.epsilon_rdp is None else significant(each.epsilon_rdp)))
    columns.append(("sites", lambda each: _answered(each, run)))
    columns.append(("seconds", lambda each: f"{each.seconds:.1f}"))
    return columns


def _measure(name: str, each: RoundRecord) -> str:
    return measure_text(each.measures, name)


def _answered(each: RoundRecord, run: Run) -> str:
    if each.failure:
        return "failed"
    return f"{len(each.answered)}/{len(site_names(run.terms))}" if each.index else "–"


def _path(run: Run, name: str) -> str | None:
    path = run.file(name)
    return str(path) if path is not None else None
