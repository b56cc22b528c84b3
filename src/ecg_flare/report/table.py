"""The rounds as a table for a terminal, and the same as JSON values."""

from typing import Any

from ecg_flare.report.agreed import site_names
from ecg_flare.report.figures import dice_text, significant
from ecg_flare.report.run import RoundRecord, Run


def rounds_table(run: Run) -> str:
    """Round, Dice, epsilon where there is one, sites and seconds, one line a round."""
    head = ["round", "Dice", *(["epsilon"] if run.terms.private else []), "sites", "seconds"]
    rows = [head, *(_cells(each, run) for each in run.rounds)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
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


def _cells(each: RoundRecord, run: Run) -> list[str]:
    epsilon = "–" if each.epsilon_rdp is None else significant(each.epsilon_rdp)
    sites = "failed" if each.failure else f"{len(each.answered)}/{len(site_names(run.terms))}" if each.index else "–"
    return [
        str(each.index),
        dice_text(each.dice),
        *([epsilon] if run.terms.private else []),
        sites,
        f"{each.seconds:.1f}",
    ]


def _path(run: Run, name: str) -> str | None:
    path = run.file(name)
    return str(path) if path is not None else None
