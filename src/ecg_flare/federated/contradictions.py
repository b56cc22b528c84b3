"""What the parts of a job's terms, each of them possible, may not say together."""

from __future__ import annotations

from collections.abc import Sequence

from ecg_flare.errors import ConfigError
from ecg_flare.federated.parts import Clipping, Evaluation, Privacy, Roster, Sampling
from ecg_flare.federated.summation import Summation
from ecg_flare.privacy.adaptive_clipping import AdaptiveClipping
from ecg_flare.privacy.secure_sum.encoding import NarrowWords


def check_summation(way: Summation, sites: Roster, privacy: Privacy | None) -> None:
    """Raise ConfigError for a cohort that could show one's update, and for weights that this sum cannot hide."""
    way.check_threshold(len(sites.weights), sites.min_sites)
    if sites.hidden is None:
        return
    if privacy is not None:
        raise ConfigError(
            f"max_weight={sites.hidden.max_weight} hides weights that depend on the sites' data, and noise_multiplier="
            f"{privacy.noise_multiplier} promises privacy: such weights change the sensitivity; publish them"
        )
    if not way.hides_weights:
        raise ConfigError(f"max_weight={sites.hidden.max_weight}: a {way.name!r} sum cannot hide weights")


def check_narrow_words(bits: int, way: Summation, sites: Roster, clipping: Clipping | None, counted: bool) -> None:
    """Raise ConfigError for words of a width that there is none of, or that cannot carry what this job sums."""
    NarrowWords(bits, b"")
    if not way.narrow_words:
        raise ConfigError(f"ring_bits={bits}: a {way.name!r} sum has no ring of words; leave it out")
    if sites.hidden is not None:
        raise ConfigError(
            f"ring_bits={bits} and max_weight={sites.max_weight}: narrow words have no room for a sum of weights; "
            "publish them, or take wide words"
        )
    if counted:
        raise ConfigError(f"ring_bits={bits}: this job sums counts, which are exact; take wide words")
    if clipping is not None and clipping.adaptive is not None:
        raise ConfigError(
            f"ring_bits={bits}: under adaptive clipping patients are counted in a coordinate of the sum, which "
            "narrow words mix with all others; fix the clipping norm, or take wide words"
        )


def check_sampling(sampling: Sampling, sites: Roster, privacy: Privacy | None) -> None:
    """Raise ConfigError for a draw of patients without noise, or of more patients than the sites may have."""
    if privacy is None:
        raise ConfigError("privacy is None, but a draw of patients hides them by noise: give it, or no sampling")
    count = len(sites.weights)
    if sampling.patients > count * sampling.patients_per_site:
        raise ConfigError(
            f"patients is {sampling.patients}, but {count} sites of at most patients_per_site="
            f"{sampling.patients_per_site} cannot have so many"
        )


def check_adaptive(
    adaptive: AdaptiveClipping, norm: float, sites: Roster, sampling: Sampling | None, privacy: Privacy | None
) -> None:
    """Raise ConfigError for a clipping norm that follows patients who are not drawn, or do not weigh alike."""
    if sampling is None or privacy is None:
        raise ConfigError("adaptive clipping counts patients, expected unit patient: sites are too few to hide one")
    if len(set(sites.weights.values())) != 1:
        raise ConfigError(
            f"adaptive clipping counts all patients alike, but the sites' weights differ: {dict(sites.weights)}"
        )
    adaptive.check(norm, privacy.noise_multiplier)


def check_evaluation(evaluation: Evaluation, privacy: Privacy | None) -> None:
    """Raise ConfigError for counts that a private job would release without noise of their own, or with, elsewhere."""
    if (privacy is None) != (evaluation.noise_multiplier is None):
        raise ConfigError(
            f"noise_multiplier is {None if privacy is None else privacy.noise_multiplier} and that of the evaluation "
            f"{evaluation.noise_multiplier}: in a private job counts are a release of their own, which needs its own "
            "noise and is charged (--validate-noise); elsewhere they have none"
        )


def check_local(local: Sequence[str], sampling: Sampling | None) -> None:
    """Raise ConfigError: where patients are hidden, nothing that a site keeps may shape what it sends.

    A local tensor has learnt from all patients of a site. The next round's update of one patient is taken from there,
    so that it depends on the others: with a patient less, more than that patient's own vector changes, and the
    sensitivity counts one.
    """
    if not local or sampling is None:
        return
    raise ConfigError(
        f"local is {list(local)}: tensors that a site keeps have learnt from all its patients, and the next update of "
        "each would depend on the others, while the promise counts one vector a patient; make the released model the "
        "site's own instead (ecg-flare site personalize), which costs no privacy"
    )
