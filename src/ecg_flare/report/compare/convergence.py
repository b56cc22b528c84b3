"""The charts of a comparison: Dice by round, and by gradient step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Final

from ecg_flare.report.cards import card
from ecg_flare.report.charts import Axes, Reference, Series, Span, inline, line_drawing, line_legend
from ecg_flare.report.compare.comparison import Comparison, Entry
from ecg_flare.report.figure_file import download_link, figure

_DICE: Final = "trace Dice on public pages"
_LEAST: Final = 0.04
_HEIGHT: Final = 330
_ROUND: Final = "round"
_STEP: Final = "gradient steps of a site in a row"


def convergence_cards(comparison: Comparison) -> Iterator[str]:
    """A card by round and, where a run says how many steps a round has, one by gradient step."""
    yield _card(
        comparison,
        "Dice by round",
        _ROUND,
        {each.name: {one.index: one.dice for one in each.run.rounds} for each in comparison.entries},
        "A round sends the model to the sites and back once: it is what communication costs.",
    )
    curves = {each.name: curve for each in comparison.entries if (curve := _by_step(each))}
    if curves:
        yield _card(
            comparison,
            "Dice by gradient step",
            _STEP,
            curves,
            "Steps that follow one another at a site: it is what training time costs. Sites take them side by side.",
        )


def _by_step(entry: Entry) -> Mapping[int, float]:
    # Of rounds that share their steps, as a lost one does with that before it, the last stands.
    steps = entry.steps
    return {} if steps is None else {steps[one.index].in_a_row: one.dice for one in entry.run.rounds}


def _card(
    comparison: Comparison, title: str, x_label: str, curves: Mapping[str, Mapping[int, float]], under: str
) -> str:
    at = sorted({x for curve in curves.values() for x in curve})
    told = {
        method: [curves[each.name] for each in comparison.alike(method) if each.name in curves]
        for method in comparison.methods
    }
    found = [mean_series(at, method, of, slot) for slot, (method, of) in enumerate(told.items(), 1)]
    series = [
        replace(each, strong=each.name == comparison.reference.method)
        for each in found
        if any(value is not None for value in each.values)
    ]
    keys = [replace(each, name=_key(each.name, len(told[each.name]), comparison)) for each in series]
    base = comparison.base
    drawing = line_drawing(
        at,
        series,
        axes=Axes(_DICE, x_label, _HEIGHT),
        references=[Reference(f"reference {base:.3f}", base, at_left=True)],
        span=Span(ceiling=1.0, least=_LEAST),
    )
    if comparison.repeated:
        under += " A band goes from the lowest to the highest run of a method."
    file = figure(drawing, keys, _about(series, at, under))
    name = f"{title.lower().replace(' ', '-')}.svg"
    return card(title, line_legend(keys) + inline(drawing) + download_link(name, file), under)


def mean_series(at: Sequence[int], method: str, curves: Sequence[Mapping[int, float]], slot: int) -> Series:
    """The curve of a single run; of repeats the mean, where all of them have a value, with lowest and highest."""
    shared = set(at).intersection(*curves) if curves else set()
    told = [[curve[x] for curve in curves] if x in shared else None for x in at]
    means = [None if values is None else fmean(values) for values in told]
    band = [None if values is None else (min(values), max(values)) for values in told] if len(curves) > 1 else []
    return Series(method, means, slot, band=band)


def _key(method: str, runs: int, comparison: Comparison) -> str:
    """What the key says of a method of which so many runs are drawn."""
    notes = [f"mean of {runs} runs"] if runs > 1 else []
    if method == comparison.reference.method:
        notes.append("reference")
    if not comparison.comparable(comparison.alike(method)[0]):
        notes.append("other or unknown pages")
    return f"{method} ({', '.join(notes)})" if notes else method


def _about(series: Sequence[Series], at: Sequence[int], under: str) -> str:
    told = "; ".join(f"{each.name} ends at {_end(each):.4f}" for each in series)
    return f"{_DICE.capitalize()}, from {at[0]} to {at[-1]}. {told}. {under}"


def _end(series: Series) -> float:
    return next(value for value in reversed(series.values) if value is not None)
