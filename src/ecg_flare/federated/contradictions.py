"""What the terms of a job may not say together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecg_flare.errors import ConfigError
from ecg_flare.federated.parts import Sampling
from ecg_flare.privacy.adaptive_clipping import AdaptiveClipping
from ecg_flare.privacy.secure_sum.encoding import NarrowWords

if TYPE_CHECKING:
    from ecg_flare.federated.summation import Summation
    from ecg_flare.federated.terms import JobTerms


def check_parts(terms: JobTerms) -> None:
    """Raise ConfigError where the parts of terms, each of them possible, contradict each other."""
    _check_summation(terms, terms.way)
    if (terms.encoded or terms.sampling is not None) and terms.clipping is None:
        raise ConfigError("clipping is None, but noise and fixed point need a bound on each vector")
    if terms.projection is not None and not terms.encoded:
        raise ConfigError("projection is for sums in fixed point, expected noise or a sum that hides updates")
    if terms.ring_bits is not None:
        _check_narrow_words(terms, terms.ring_bits)
    if terms.sampling is not None:
        _check_sampling(terms, terms.sampling)
    if terms.adaptive is not None:
        _check_adaptive(terms, terms.adaptive)
    if terms.evaluation is not None and terms.private != (terms.evaluation.noise_multiplier is not None):
        raise ConfigError(
            f"noise_multiplier is {terms.noise_multiplier} and that of the evaluation "
            f"{terms.evaluation.noise_multiplier}: in a private job counts are a release of their own, which needs "
            "its own noise and is charged (--validate-noise); elsewhere they have none"
        )


def _check_summation(terms: JobTerms, way: Summation) -> None:
    way.check_threshold(len(terms.sites.weights), terms.min_sites)
    hidden = terms.sites.hidden
    if hidden is None:
        return
    if terms.private:
        raise ConfigError(
            f"max_weight={hidden.max_weight} hides weights that depend on the sites' data, and noise_multiplier="
            f"{terms.noise_multiplier} promises privacy: such weights change the sensitivity; publish them"
        )
    if not way.hides_weights:
        raise ConfigError(f"max_weight={hidden.max_weight}: a {terms.summation!r} sum cannot hide weights")


def _check_narrow_words(terms: JobTerms, bits: int) -> None:
    NarrowWords(bits, b"")
    if not terms.way.narrow_words:
        raise ConfigError(f"ring_bits={bits}: a {terms.summation!r} sum has no ring of words; leave it out")
    if terms.sites.hidden is not None:
        raise ConfigError(
            f"ring_bits={bits} and max_weight={terms.sites.max_weight}: narrow words have no room for a sum of "
            "weights; publish them, or take wide words"
        )
    if terms.model.counted:
        raise ConfigError(f"ring_bits={bits}: this job sums counts, which are exact; take wide words")
    if terms.adaptive is not None:
        raise ConfigError(
            f"ring_bits={bits}: under adaptive clipping patients are counted in a coordinate of the sum, which "
            "narrow words mix with all others; fix the clipping norm, or take wide words"
        )


def _check_sampling(terms: JobTerms, sampling: Sampling) -> None:
    if terms.privacy is None:
        raise ConfigError("privacy is None, but a draw of patients hides them by noise: give it, or no sampling")
    count = len(terms.sites.weights)
    if sampling.patients > count * sampling.patients_per_site:
        raise ConfigError(
            f"patients is {sampling.patients}, but {count} sites of at most patients_per_site="
            f"{sampling.patients_per_site} cannot have so many"
        )


def _check_adaptive(terms: JobTerms, adaptive: AdaptiveClipping) -> None:
    if terms.sampling is None or terms.clipping is None or terms.privacy is None:
        raise ConfigError("adaptive clipping counts patients, expected unit patient: sites are too few to hide one")
    if len(set(terms.weights.values())) != 1:
        raise ConfigError(
            f"adaptive clipping counts all patients alike, but the sites' weights differ: {dict(terms.weights)}"
        )
    adaptive.check(terms.clipping.norm, terms.privacy.noise_multiplier)
