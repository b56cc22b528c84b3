"""What a job agreed on, in the words of a report."""

from collections.abc import Mapping

from ecg_flare.federated.terms import JobTerms
from ecg_flare.report.figures import natural_key, scientific
from ecg_flare.report.run import Run


def site_names(terms: JobTerms) -> tuple[str, ...]:
    """The roster, in the order that people number it."""
    return tuple(sorted(terms.weights, key=natural_key))


def trained_parameters(terms: JobTerms) -> int | None:
    """d where only some tensors are trained; None where all are."""
    if terms.trains_everything:
        return None
    from ecg_flare.nnunet.kinds import trained_subset

    return trained_subset(terms.model).dimension


def trained_text(terms: JobTerms) -> str:
    """Which tensors sites train together, and which each keeps, in words."""
    if terms.trains_everything:
        return "all"
    kept = f", without {', '.join(terms.model.local)}, which each site trains and keeps" if terms.model.local else ""
    return f"{', '.join(terms.model.trained)}{kept}"


def clipping_text(terms: JobTerms) -> str:
    """C in words."""
    if terms.clipping is None:
        return "none"
    if terms.clipping.adaptive is None:
        return f"{terms.clipping.norm:g}"
    quantile = terms.clipping.adaptive.quantile
    return f"{terms.clipping.norm:g} at first, then following the {quantile:g} quantile of the patients' updates"


def words_text(terms: JobTerms) -> str:
    """The bits of a word that an update is sent in."""
    if not terms.way.narrow_words:
        return "–"
    return "32, or 64 where they are needed" if terms.ring_bits is None else str(terms.ring_bits)


def dice_name(run: Run) -> str:
    """What the Dice of a run is of: of traces, where its plan is one of the package's own."""
    return "Dice" if run.terms.model.document else "trace Dice"


def delta_text(terms: JobTerms) -> str:
    """Delta of the promise, or a dash."""
    return "–" if terms.delta is None else scientific(terms.delta)


def aggregator_text(run: Run) -> str:
    """The aggregator and its settings."""
    name, settings = str(run.facts.get("aggregator", "–")), run.facts.get("optimizer")
    if not isinstance(settings, Mapping) or not settings:
        return name
    return f"{name} ({', '.join(f'{key} {value}' for key, value in sorted(settings.items()))})"
