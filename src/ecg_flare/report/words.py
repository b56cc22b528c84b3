"""A run in words: its headline figures, and what is promised about privacy and what is not."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ecg_flare.federated.summation import find
from ecg_flare.privacy.delta import promises
from ecg_flare.report.agreed import clipping_text, delta_text, dice_name, site_names
from ecg_flare.report.figures import bytes_text, dice_text, seconds_text, significant
from ecg_flare.report.run import Run

# Tiers of Ponomareva et al. 2023, "How to DP-fy ML", section 5.2.
_STRONG_EPSILON: Final = 1.0
_MODERATE_EPSILON: Final = 10.0


@dataclass(frozen=True)
class Headline:
    """One headline figure, with a line under it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class PrivacyWords:
    """The promise in one sentence, the details, and what is not promised."""

    promise: str
    details: tuple[str, ...]
    limits: tuple[str, ...]


def headlines(run: Run) -> tuple[Headline, ...]:
    """The figures at the top of the report."""
    final = run.final
    shown = [
        _quality(run),
        Headline("rounds", f"{final.index} of {run.terms.rounds}", _sites_note(run)),
        Headline("time", seconds_text(sum(each.seconds for each in run.rounds)), _bytes_note(run)),
    ]
    if final.epsilon_rdp is not None:
        shown.insert(1, Headline("epsilon", significant(final.epsilon_rdp), _epsilon_note(run)))
    return tuple(shown)


def _quality(run: Run) -> Headline:
    """The last model's Dice: the server's, or the sites' where it has no public data."""
    final, best, start = run.final, run.best, run.start
    if run.measured:
        gained = f"start {dice_text(start.dice, 3)}, " if start is not None and start is not final else ""
        return Headline(
            dice_name(run), dice_text(final.dice, 3), f"{gained}best {dice_text(best.dice, 3)} in round {best.index}"
        )
    if run.measured_at_sites:
        last, highest = (-1.0 if each.sites_dice is None else each.sites_dice for each in (final, best))
        return Headline("Dice at the sites", dice_text(last, 3), f"best {dice_text(highest, 3)} in round {best.index}")
    return Headline(dice_name(run), dice_text(final.dice, 3), "no public data")


def privacy_words(run: Run) -> PrivacyWords:
    """What the run's terms and ledger mean for a reader who decides on the release of the model."""
    details, limits = _summation_words(run.terms.summation)
    if not run.terms.private:
        promise = "The released models are not differentially private."
        return PrivacyWords(promise, (*details, *_plain_details(run)), limits)
    return PrivacyWords(_promise(run), (*details, *_private_details(run)), (*limits, *_private_limits(run)))


def noise_to_signal(run: Run, parameters: int) -> float | None:
    """Length of a round's noise over the longest mean update: sigma sqrt(d) max(w) / sum(w); None without noise.

    The noise has standard deviation sigma C max(w) in each of the d = `parameters` coordinates of the weighted sum,
    and sites that all send the same update of length C make a sum of length C sum(w). Under unit patient the
    denominator is q N patients instead of the sum of weights; where updates are projected, d is what they are
    projected to.
    """
    terms = run.terms
    if terms.noise_on_updates is None:
        return None
    noised = parameters if terms.projection is None else terms.projection.size
    return terms.noise_on_updates * math.sqrt(noised) * max(terms.weights.values()) / terms.denominator


def _summation_words(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the way of summing hides, and what it does not; a run may name one that this machine does not know."""
    way = find(name)
    if way is None:
        return (), (f"How the server learnt the sum: {name}.",)
    if not way.hides_updates:
        return (), (way.server_sees,)
    return (way.server_sees,), ((way.collusion,) if way.collusion else ())


def _promise(run: Run) -> str:
    terms, epsilon, delta = run.terms, run.final.epsilon_rdp, delta_text(run.terms)
    if epsilon is None:
        return "Noise was added to every sum, but no epsilon was recorded: treat the models as not private."
    if terms.delta is not None and not promises(terms.delta, terms.units):
        return (
            f"Epsilon {significant(epsilon)} at delta {delta} hides nobody of {terms.units} {terms.unit}s: such a "
            f"delta allows to publish one {terms.unit}'s data whole. Treat the models as not private."
        )
    strength = "strong"
    if epsilon > _STRONG_EPSILON:
        strength = "moderate" if epsilon <= _MODERATE_EPSILON else "weak, formal only"
    return (
        f"Each {run.terms.unit} is hidden with epsilon {significant(epsilon)} at delta {delta} over all "
        f"{run.final.index} rounds ({strength})."
    )


def _private_details(run: Run) -> Iterator[str]:
    terms, final = run.terms, run.final
    if final.epsilon_rdp is not None:
        odds = math.exp(min(final.epsilon_rdp, 700))
        hidden = "a given patient took part" if terms.unit == "patient" else "a given site's pages were used at all"
        yield (
            f"Somebody who sees every released model can raise the odds that {hidden} at most "
            f"{significant(odds)}-fold, except with probability {delta_text(terms)}."
        )
    if final.epsilon_rdp is not None and final.epsilon_prv is not None:
        yield (
            f"Epsilon {significant(final.epsilon_rdp)} is the guarantee, by Rényi accounting; the numerical accountant "
            f"(PRV) finds {significant(final.epsilon_prv)}."
        )
    if terms.epsilon_budget is not None and final.epsilon_rdp is not None:
        left = max(0.0, terms.epsilon_budget - final.epsilon_rdp)
        yield f"Of the budget of {terms.epsilon_budget:g}, {significant(left)} is left. No round may exceed it."
    clipped = "Every update" if terms.unit == "site" else "Every patient's own update"
    yield (
        f"{clipped} was clipped to length {clipping_text(terms)}, and Gaussian noise of {terms.noise_multiplier:g} "
        f"times the sum's sensitivity was added to each sum before anything was released."
    )


def _private_limits(run: Run) -> Iterator[str]:
    if run.terms.unit == "site":
        yield (
            "The unit is a site with all its pages (zero-out adjacency). The content of its pages is hidden. That it "
            "took part is not hidden: the names of the sites that answered are public. Nothing better is claimed for "
            f"one patient. {len(site_names(run.terms))} sites are few to average the noise over."
        )
    else:
        yield "The unit is a patient. What all patients of a site have in common is not hidden."
    yield "The roster, the rounds in which a site answered, the network and these terms are public."
    if run.measured:
        yield "The Dice here is measured on public pages, which costs no privacy."
    elif run.measured_at_sites:
        yield "The Dice at the sites is of a sum of counts with noise of its own, which epsilon includes."


def _plain_details(run: Run) -> Iterator[str]:
    yield "No noise was added: anyone who has the models may learn something about the training pages."
    if run.terms.clipping_norm is not None:
        yield f"Updates were clipped to length {run.terms.clipping_norm:g}, which by itself promises nothing."


def _sites_note(run: Run) -> str:
    absences = sum(len(each.missing) for each in run.rounds)
    noun = "answer" if absences == 1 else "answers"
    return f"{len(site_names(run.terms))} sites, " + (f"{absences} {noun} missing" if absences else "all answered")


def _bytes_note(run: Run) -> str:
    return f"{bytes_text(sum(each.bytes_down + each.bytes_up for each in run.rounds))} of models and updates"


def _epsilon_note(run: Run) -> str:
    budget = run.terms.epsilon_budget
    of_budget = f", budget {budget:g}" if budget is not None else ""
    return f"at delta {delta_text(run.terms)}, unit {run.terms.unit}{of_budget}"
