"""What the terms of a job promise, as others record it: the mechanism of a ledger, the line in a secure aggregation."""

from __future__ import annotations

from ecg_flare.errors import ConfigError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.privacy.cohort import Adaptation, Mechanism
from ecg_flare.privacy.delta import check_delta


def check_promise(terms: JobTerms) -> JobTerms:
    """These terms, if they promise nothing or hide each unit; raises ConfigError for a delta of 1 / units or more."""
    if terms.privacy is not None:
        check_delta(terms.privacy.delta, terms.unit, terms.units)
    return terms


def privacy_text(terms: JobTerms) -> str:
    """The differential privacy in force as one canonical line; empty for none."""
    if terms.privacy is None:
        return ""
    return (
        f"sigma={terms.privacy.noise_multiplier!r} delta={terms.privacy.delta!r} unit={terms.unit} "
        f"rate={terms.sampling_rate!r} denominator={terms.denominator!r} sensitivity={terms.sensitivity!r}"
    )


def mechanism_of(
    terms: JobTerms, job: str, round_index: int, *, clipping_norm: float | None = None, follows: int | None = None
) -> Mechanism:
    """How a round's sum is made private, as a ledger records it.

    Where C is adaptive, `clipping_norm` is the round's, and `follows` the ledger's line of the release whose share it
    follows. Raises ConfigError for terms without noise.
    """
    if terms.privacy is None or terms.clipping is None:
        raise ConfigError("a ledger is for jobs with noise. Found privacy None.")
    return Mechanism(
        job=job,
        round=round_index,
        clipping_norm=clipping_norm or terms.clipping.norm,
        noise_multiplier=terms.privacy.noise_multiplier,
        weights=dict(terms.weights),
        denominator=terms.denominator,
        sampling="all" if terms.sampling is None else "poisson",
        sampling_rate=terms.sampling_rate,
        patients=None if terms.sampling is None else terms.sampling.patients,
        shared_patients=terms.shared_patients,
        adaptation=None if terms.adaptive is None else Adaptation(terms.adaptive, terms.clipping.norm, follows),
        unit=terms.unit,
        releases="counts" if terms.model.counted else "model",
    )
