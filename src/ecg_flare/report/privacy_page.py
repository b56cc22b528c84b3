"""A cohort's ledger, or a privacy plan, as one HTML page: epsilon by rounds, and its meaning in words."""

from collections.abc import Mapping, Sequence
from html import escape

from ecg_flare.privacy.ledger import LedgerReport
from ecg_flare.privacy.planning import CostAfter, NoisePlan
from ecg_flare.report.cards import card
from ecg_flare.report.charts import Reference, Series, Span, line_chart, line_legend
from ecg_flare.report.document import page
from ecg_flare.report.figures import scientific, significant


def ledger_page(told: LedgerReport) -> str:
    """What a cohort has spent, round by round, over all of its jobs."""
    cohort, delta = told.cohort, scientific(told.cohort.delta)
    unspent = sum(not each.released for each in told.rounds)
    lines = [
        f"Each {cohort.unit} of this cohort is hidden with epsilon {significant(told.spent.epsilon_rdp)} at delta "
        f"{delta} in everything that was released: {len(told.rounds)} rounds of {len({*_jobs(told)})} jobs.",
        "No budget was set."
        if cohort.epsilon_budget is None
        else f"The budget is {cohort.epsilon_budget:g}; "
        f"{significant(max(0.0, cohort.epsilon_budget - told.spent.epsilon_rdp))} of it is left.",
        *(
            f"In the jobs of unit {unit}, a {unit} is hidden with epsilon {significant(lost.epsilon_rdp)}."
            for unit, lost in told.spent_by_unit.items()
            if unit != cohort.unit
        ),
        f"{unspent} rounds were charged without a release: they count as spent.",
        *(f"Sites from line {line} on: {', '.join(roster)}." for line, roster in told.rosters.items()),
        f"Every line was checked and every epsilon was computed anew: {told.head.lines} lines, the last with SHA-256 "
        f"{told.head.digest[:16]}….",
    ]
    chart = ""
    if told.rounds:
        costs = [CostAfter(number, each.spent) for number, each in enumerate(told.rounds, 1)]
        budget = cohort.epsilon_budget
        references = [] if budget is None else [Reference(f"budget {budget:g}", budget)]
        chart = card("Epsilon spent", _by_accountant(costs, references), f"At delta {delta}, over all jobs.")
    return page(cohort.name, [_head(f"Ledger of {cohort.name}", lines), _cards(chart), _rounds(told)])


def plan_page(plan: NoisePlan, curves: Mapping[float, Sequence[CostAfter]]) -> str:
    """What a privacy promise costs; `curves` are those of `privacy.planning.cost_curves`."""
    delta = scientific(plan.delta)
    lines = [
        f"{plan.units:,} {plan.unit}s, each drawn with probability {plan.sampling_rate:g}, {plan.rounds:,} rounds: "
        f"noise multiplier {plan.noise_multiplier:.3g} keeps epsilon within {significant(plan.spent.epsilon_rdp)} at "
        f"delta {delta}.",
        plan.words,
    ]
    series = [
        Series(f"noise multiplier {sigma:.3g}", [each.spent.epsilon_rdp for each in costs], slot)
        for slot, (sigma, costs) in enumerate(curves.items(), 1)
    ]
    rounds = [each.rounds for each in next(iter(curves.values()))]
    chart = line_legend(series) + line_chart(rounds, series, y_label="epsilon", span=Span(0.0))
    under = f"By Rényi accounting at delta {delta}: the planned noise, half of it and twice of it."
    own = card("Epsilon by both accountants", _by_accountant(plan.costs, ()), f"At the planned noise, delta {delta}.")
    return page(
        "Privacy plan", [_head("Privacy plan", lines), _cards(card("Epsilon by rounds and noise", chart, under) + own)]
    )


def _by_accountant(costs: Sequence[CostAfter], references: Sequence[Reference]) -> str:
    series = [Series("RDP (the guarantee)", [each.spent.epsilon_rdp for each in costs], 1)]
    if any(each.spent.epsilon_prv is not None for each in costs):
        series.append(Series("PRV", [each.spent.epsilon_prv for each in costs], 2))
    rounds = [each.rounds for each in costs]
    return line_legend(series) + line_chart(rounds, series, y_label="epsilon", references=references, span=Span(0.0))


def _rounds(told: LedgerReport) -> str:
    head = ("line", "job", "round", "unit", "sigma", "rate", "C", "epsilon RDP", "epsilon PRV", "released")
    rows = []
    for each in told.rounds:
        made, cost = each.mechanism, each.spent
        prv = "–" if cost.epsilon_prv is None else f"{cost.epsilon_prv:.3f}"
        cells = (
            *(
                str(each.line),
                made.job,
                str(made.round),
                made.unit,
                f"{made.noise_multiplier:g}",
                f"{made.sampling_rate:g}",
            ),
            *(f"{made.clipping_norm:g}", f"{cost.epsilon_rdp:.3f}", prv, "yes" if each.released else "no"),
        )
        rows.append(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
    names = "".join(f"<th>{name}</th>" for name in head)
    table = f"<table><thead><tr>{names}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f"<section><h2>Rounds</h2><div class='scroll'>{table}</div></section>"


def _jobs(told: LedgerReport) -> list[str]:
    return [each.mechanism.job for each in told.rounds]


def _head(title: str, lines: Sequence[str]) -> str:
    said = "".join(f"<p>{escape(one)}</p>" for one in lines)
    return f"<header><h1>{escape(title)}</h1></header><section>{said}</section>"


def _cards(cards: str) -> str:
    return f"<section><div class='cards'>{cards}</div></section>" if cards else ""
