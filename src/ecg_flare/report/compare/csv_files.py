"""A comparison as CSV: a line for each round of each run, and the table. Numbers stand in full, times in seconds."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Final

from ecg_flare.report.compare.comparison import Comparison, Entry
from ecg_flare.report.compare.results import Result
from ecg_flare.report.run import RoundRecord

ROUNDS: Final = (
    *(
        "run",
        "method",
        "round",
        "steps_in_a_row",
        "steps_of_all",
        "dice",
        "sites_dice",
        "failed",
        "epsilon_rdp",
        "delta",
        "unit",
    ),
    *("bytes_down", "bytes_up", "seconds", "sites_answered", "pages"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def rounds_csv(comparison: Comparison) -> str:
    """A line a round, runs in the order in which they were given."""
    return _csv(ROUNDS, (_round(entry, each) for entry in comparison.entries for each in entry.run.rounds))


def table_csv(rows: Sequence[Result]) -> str:
    """A line a run, in the order of the table."""
    plain = [field.name for field in fields(Result) if field.name != "epsilon"]
    heads = ["run", *plain[1:], "epsilon_rdp", "delta", "unit"]
    spent = [
        (each.epsilon.value, each.epsilon.delta, each.epsilon.unit) if each.epsilon else ("",) * 3 for each in rows
    ]
    values = [[getattr(each, name) for name in plain] for each in rows]
    return _csv(heads, ([*one, *epsilon] for one, epsilon in zip(values, spent, strict=True)))


def _round(entry: Entry, each: RoundRecord) -> Sequence[Any]:
    terms, steps = entry.run.terms, (entry.steps or {}).get(each.index)
    spent = each.epsilon_rdp if terms.private else None
    return (
        *(
            entry.name,
            entry.method,
            each.index,
            steps and steps.in_a_row,
            steps and steps.of_all,
            each.dice,
            each.sites_dice,
        ),
        *(int(bool(each.failure)), spent, terms.delta, terms.unit if terms.private else None),
        *(each.bytes_down, each.bytes_up, each.seconds, len(each.answered), each.pages),
    )


def _csv(heads: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([_cell(value) for value in line] for line in lines)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """The value; a text that a spreadsheet would run as a formula has an apostrophe before it."""
    if isinstance(value, bool):
        return int(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
