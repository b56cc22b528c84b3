"""In which settings the runs of a comparison differ."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ecg_flare.report.agreed import aggregator_text, clipping_text, delta_text, site_names, trained_text, words_text
from ecg_flare.report.compare.comparison import Entry
from ecg_flare.report.compare.measured import measured_pages
from ecg_flare.report.names import shown
from ecg_flare.report.run import Run

_NOT_RECORDED: Final = "–"
_MOST: Final = 80


def differences(entries: Sequence[Entry]) -> Mapping[str, tuple[str, ...]]:
    """Setting -> what each run has, in their order; settings in which all agree are left out."""
    told = {name: tuple(shown(of(each.run), _MOST) for each in entries) for name, of in _SETTINGS.items()}
    return {name: values for name, values in told.items() if len(set(values)) > 1}


def _training(name: str) -> Callable[[Run], str]:
    def of(run: Run) -> str:
        training = run.facts.get("training")
        return _text(training.get(name)) if isinstance(training, Mapping) else _NOT_RECORDED

    return of


def _fact(name: str) -> Callable[[Run], str]:
    return lambda run: _text(run.facts.get(name))


def _text(value: Any) -> str:
    return _NOT_RECORDED if value is None or value == "" else f"{value:g}" if isinstance(value, float) else str(value)


_SETTINGS: Final[Mapping[str, Callable[[Run], str]]] = {
    "aggregator": aggregator_text,
    "rounds planned": lambda run: str(run.terms.rounds),
    "steps a round": _training("steps"),
    "learning rate": _training("learning_rate"),
    "schedule": _training("schedule"),
    "momentum": _training("momentum"),
    "proximal mu": _training("proximal_mu"),
    "plan": lambda run: run.terms.model.plan,
    "trained tensors": lambda run: trained_text(run.terms),
    "start": _fact("start"),
    "public pages": lambda run: measured_pages(run).text,
    "sites": lambda run: ", ".join(site_names(run.terms)),
    "way of summing": lambda run: run.terms.summation,
    "bits of a word": lambda run: words_text(run.terms),
    "projected to": lambda run: _text(None if run.terms.projection is None else run.terms.projection.size),
    "clipping norm C": lambda run: clipping_text(run.terms),
    "noise multiplier": lambda run: _text(run.terms.noise_multiplier),
    "delta": lambda run: delta_text(run.terms),
    "unit": lambda run: run.terms.unit if run.terms.private else _NOT_RECORDED,
    "ecg_flare": _fact("version"),
}
