"""The report's charts by round, each on a card with its key and a line that says what it shows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from ecg_flare.federated.summation import find
from ecg_flare.report.agreed import delta_text, dice_name, site_names
from ecg_flare.report.charts import (
    Reference,
    Series,
    Span,
    bar_legend,
    line_chart,
    line_legend,
    presence_matrix,
    stacked_bars,
)
from ecg_flare.report.figures import natural_key, seconds_text
from ecg_flare.report.names import measure_title
from ecg_flare.report.run import RoundRecord, Run

_MEGABYTE = 1e6
_ROUNDS_IN_A_CARD = 40
_MAX_LINES = 4
# Steps of every job: their part of a bar, and the slot of its colour.
_COMMON: Final = {
    "train": ("training", 1),
    "aggregate": ("sum and step", 2),
    "evaluate": ("evaluation", 3),
    "validate": ("validation at the sites", 4),  # not in a job whose sum hides updates
}
_HIDING_SLOT: Final = 4
_UNKNOWN_SLOT: Final = 0


def cards(run: Run) -> Iterator[str]:
    """The cards in reading order: Dice, the task's other measures, norms, clipping, epsilon, time, traffic, sites.

    Those without data are left out.
    """
    every = run.rounds
    numbers = [each.index for each in every]
    references = [Reference(f"start {run.start.dice:.3f}", run.start.dice)] if run.start and len(every) > 1 else []
    dice = [Series("public pages", [each.dice for each in every], 1)] if run.measured else []
    if any(each.sites_dice is not None for each in every):
        dice.append(Series("patients held out at the sites", [each.sites_dice for each in every], 2))
    if dice:
        yield _dice_card(run, numbers, dice, references if run.measured else [])
    for name in run.measures:
        title = measure_title(name)
        values = [Series(title, [each.measures.get(name) for each in every], 1)]
        chart = line_chart(numbers, values, y_label=title)
        yield card(f"{title[:1].upper()}{title[1:]} on public pages", chart, "What the task measures beside Dice.")
    trained = [each for each in every if each.index > 0]
    if trained:
        yield from _trained_cards(run, trained)


def _dice_card(run: Run, numbers: Sequence[int], dice: Sequence[Series], references: Sequence[Reference]) -> str:
    name = dice_name(run)
    chart = line_chart(numbers, dice, y_label=name, references=references, span=Span(ceiling=1.0, least=0.04))
    key = line_legend(dice) if len(dice) > 1 else ""
    return card(
        f"{name[:1].upper()}{name[1:]} of the global model",
        key + chart,
        "1 is perfect. Public pages are such as no site has.",
    )


def _trained_cards(run: Run, trained: Sequence[RoundRecord]) -> Iterator[str]:
    numbers = [each.index for each in trained]
    yield _norm_card(run, trained, numbers)
    if any(_told(each, "loss") for each in trained):
        yield _loss_card(run, trained, numbers)
    if any(each.clipped_fraction is not None for each in trained):
        values = [_percent(each.clipped_fraction) for each in trained]
        clipped = [Series("sites clipped", values, 1)]
        chart = line_chart(numbers, clipped, y_label="clipped, %", span=Span(0.0, 100.0))
        yield card("Clipped updates", chart, "Share of the answering sites whose update was cut to the clipping norm.")
    if any(each.epsilon_rdp is not None for each in trained):
        yield _epsilon_card(run)
    yield _time_card(run, trained, numbers)
    traffic = [
        Series("to the sites", [each.bytes_down / _MEGABYTE for each in trained], 1),
        Series("from the sites", [each.bytes_up / _MEGABYTE for each in trained], 2),
    ]
    chart = stacked_bars(numbers, traffic, y_label="megabytes", unit="MB")
    way = find(run.terms.summation)
    under = "Models and updates of all sites, without FLARE's framing." + (
        f" {way.cost(run.terms.ring_bits)}" if way else ""
    )
    yield card("Traffic", bar_legend(traffic) + chart, under)
    yield _sites_card(run, trained, numbers)


@dataclass(frozen=True)
class _Step:
    """A step of a round as the figure shows it: its key in the figures, label, part of a bar, and colour."""

    key: str
    label: str
    part: str
    slot: int


def _time_card(run: Run, trained: Sequence[RoundRecord], numbers: Sequence[int]) -> str:
    steps = _steps(run.terms.summation, {step for each in trained for step in each.seconds_by_step})
    seconds = {step.key: [each.seconds_by_step.get(step.key, 0.0) for each in trained] for step in steps}
    parts = {step.part: step.slot for step in steps}
    series = [
        Series(part, [sum(of_round) for of_round in zip(*_of_part(part, steps, seconds), strict=True)], slot)
        for part, slot in parts.items()
    ]
    means = ", ".join(f"{step.label} {seconds_text(sum(seconds[step.key]) / len(trained))}" for step in steps)
    under = f"Wall time at the server. A round's mean: {means}."
    return card("Time", bar_legend(series) + stacked_bars(numbers, series, y_label="seconds", unit="s"), under)


def _of_part(part: str, steps: Sequence[_Step], seconds: Mapping[str, list[float]]) -> list[list[float]]:
    return [seconds[step.key] for step in steps if step.part == part]


def _steps(summation: str, found: set[str]) -> list[_Step]:
    """The steps that were found, in the order of a round: those of the way of summing, the common ones, the others."""
    way = find(summation)
    own = () if way is None else way.site.steps
    title = "" if way is None else way.title
    common = {key: _Step(key, key, part, slot) for key, (part, slot) in _COMMON.items()}
    before = [_Step(step.task, step.label, title, _HIDING_SLOT) for step in own if step.before_training]
    after = [_Step(step.task, step.label, title, _HIDING_SLOT) for step in own if not step.before_training]
    known = [*before, common.pop("train"), *after, *common.values()]
    unknown = sorted(found - {step.key for step in known})
    return [step for step in known if step.key in found] + [_Step(key, key, key, _UNKNOWN_SLOT) for key in unknown]


def _norm_card(run: Run, trained: Sequence[RoundRecord], numbers: Sequence[int]) -> str:
    series = [Series("step of the global model", [each.update_norm if each.trained else None for each in trained], 1)]
    told = [list(_told(each, "update_norm").values()) for each in trained]
    references = []
    under = "Length (L2) of the step that the global model took."
    if any(told):
        series.append(Series("longest update of a site", [max(norms, default=None) for norms in told], 2))
        series.append(Series("shortest", [min(norms, default=None) for norms in told], 3))
        under += " Sites reported the length of their updates before clipping."
    elif run.terms.private:
        under += " Sites report nothing about single updates under differential privacy."
    if run.terms.clipping_norm is not None and any(told):
        references.append(Reference(f"clipping norm {run.terms.clipping_norm:g}", run.terms.clipping_norm))
    chart = line_chart(numbers, series, y_label="L2 norm", references=references, span=Span(0.0))
    return card("Update norms", (line_legend(series) if len(series) > 1 else "") + chart, under)


def _loss_card(run: Run, trained: Sequence[RoundRecord], numbers: Sequence[int]) -> str:
    sites = site_names(run.terms)
    if len(sites) <= _MAX_LINES:
        losses = {site: [each.site_metrics.get(site, {}).get("loss") for each in trained] for site in sites}
    else:
        told = [list(_told(each, "loss").values()) for each in trained]
        losses = {
            "highest": [max(values, default=None) for values in told],
            "mean": [sum(values) / len(values) if values else None for values in told],
            "lowest": [min(values, default=None) for values in told],
        }
    series = [Series(name, values, slot) for slot, (name, values) in enumerate(losses.items(), 1)]
    chart = line_chart(numbers, series, y_label="loss")
    return card("Training loss at the sites", line_legend(series) + chart, "nnU-Net's: Dice and cross-entropy.")


def _told(each: RoundRecord, metric: str) -> dict[str, float]:
    return {site: metrics[metric] for site, metrics in each.site_metrics.items() if metric in metrics}


def _epsilon_card(run: Run) -> str:
    series = [Series("RDP (the guarantee)", [each.epsilon_rdp or 0.0 for each in run.rounds], 1)]
    if any(each.epsilon_prv is not None for each in run.rounds):
        series.append(Series("PRV", [each.epsilon_prv or 0.0 for each in run.rounds], 2))
    budget = run.terms.epsilon_budget
    references = [Reference(f"budget {budget:g}", budget)] if budget is not None else []
    numbers = [each.index for each in run.rounds]
    chart = line_chart(numbers, series, y_label="epsilon", references=references, span=Span(0.0))
    delta = delta_text(run.terms)
    return card("Privacy spent", line_legend(series) + chart, f"Epsilon so far at delta {delta}, as in the ledger.")


def _sites_card(run: Run, trained: Sequence[RoundRecord], numbers: Sequence[int]) -> str:
    names = {*site_names(run.terms), *(site for each in trained for site in (*each.answered, *each.missing))}
    rows = [(name, [name in each.answered for each in trained]) for name in sorted(names, key=natural_key)]
    under = "Filled: the site's update is in the sum. Crossed: it is missing."
    return card("Sites", presence_matrix(numbers, rows), under, wide=len(trained) > _ROUNDS_IN_A_CARD)


def card(title: str, chart: str, under: str, *, wide: bool = False) -> str:
    """A chart with its title above it and a line of explanation below."""
    kind = "card wide" if wide else "card"
    return f"<figure class='{kind}'><h3>{escape(title)}</h3>{chart}<p class='under'>{escape(under)}</p></figure>"


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
