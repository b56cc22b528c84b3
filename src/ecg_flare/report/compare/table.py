"""The final table of a comparison as people read it, on a page and on a terminal, and the comparison as JSON values."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ecg_flare.report.compare.comparison import Comparison
from ecg_flare.report.compare.results import Epsilon, MethodResult, Result, method_results, promises_differ, results
from ecg_flare.report.figures import bytes_text, scientific, seconds_text, significant

NONE = "–"


def table_rows(rows: Sequence[Result]) -> list[list[str]]:
    """The head and a row a run; a dash where a run does not say."""
    apart = promises_differ(rows)
    head = ["run", "Dice", "ratio", "best (round)", "rounds", "steps in a row", "steps of all", _epsilon_head(rows)]
    return [[*head, "traffic", "time", "sites"], *(_cells(each, apart) for each in rows)]


def method_rows(rows: Sequence[MethodResult]) -> list[list[str]]:
    """The head and a row a method, for methods of several runs."""
    head = ["method", "runs", "Dice, mean", "spread (s.d.)", "lowest", "highest", "ratio of means"]
    return [
        head,
        *(
            [
                f"{each.name} (reference)" if each.is_reference else each.name,
                str(each.runs),
                f"{each.dice:.4f}",
                NONE if each.spread is None else f"{each.spread:.4f}",
                f"{each.least:.4f}",
                f"{each.most:.4f}",
                NONE if each.ratio is None else f"{each.ratio:.4f}",
            ]
            for each in rows
        ),
    ]


def comparison_json(comparison: Comparison, cautions: Sequence[str]) -> dict[str, Any]:
    """What page and table say, as JSON values."""
    entries = {each.name: each for each in comparison.entries}
    return {
        "reference": comparison.reference.method,
        "cautions": list(cautions),
        "epsilons_comparable": not promises_differ(results(comparison)),
        "methods": [asdict(each) for each in method_results(comparison)],
        "runs": [
            asdict(row)
            | {
                "traffic": row.traffic,
                "job": entries[row.name].run.job,
                "folder": str(entries[row.name].run.folder),
                "outcome": entries[row.name].run.outcome,
                "curve": [
                    {
                        "round": each.index,
                        "dice": each.dice,
                        "steps_in_a_row": steps[each.index].in_a_row if steps else None,
                    }
                    for each in entries[row.name].run.rounds
                ],
            }
            for row in results(comparison)
            for steps in [entries[row.name].steps]
        ],
    }


def _cells(row: Result, apart: bool) -> list[str]:
    return [
        f"{row.name} (reference)" if row.is_reference else row.name,
        f"{row.dice:.4f}",
        NONE if row.ratio is None else f"{row.ratio:.4f}",
        f"{row.best_dice:.4f} ({row.best_round})",
        str(row.rounds) if row.rounds == row.planned else f"{row.rounds} of {row.planned}",
        NONE if row.steps_in_a_row is None else f"{row.steps_in_a_row:,}",
        _steps_of_all(row),
        _epsilon(row, apart),
        NONE if row.traffic is None else bytes_text(row.traffic),
        NONE if row.seconds is None else seconds_text(row.seconds),
        str(row.sites),
    ]


def _steps_of_all(row: Result) -> str:
    if row.steps_of_all is None:
        return NONE
    return f"{'about ' if row.steps_are_expected else ''}{row.steps_of_all:,.0f}"


def _epsilon_head(rows: Sequence[Result]) -> str:
    told = [each.epsilon for each in rows if each.epsilon]
    return "epsilon" if not told or promises_differ(rows) else f"epsilon ({_promise(told[0])})"


def _epsilon(row: Result, apart: bool) -> str:
    if row.epsilon is None:
        return "not recorded" if row.private else "none"
    value = significant(row.epsilon.value) + ("" if row.epsilon.hides else ", hides nobody")
    return f"{value} ({_promise(row.epsilon)})" if apart else value


def _promise(epsilon: Epsilon) -> str:
    return f"δ\N{NO-BREAK SPACE}{scientific(epsilon.delta)}, {epsilon.unit}"
