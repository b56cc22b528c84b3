"""The terms by which counts on held-out cases are summed: those of the updates, but for what is bounded and hidden."""

from __future__ import annotations

from dataclasses import replace

from ecg_flare.federated.parts import Clipping, Roster
from ecg_flare.federated.subset import EVERY_TENSOR
from ecg_flare.federated.terms import JobTerms


def counting_terms(terms: JobTerms) -> JobTerms | None:
    """The terms of a job's counts; None where it evaluates nothing at its sites.

    All sites weigh alike, and no patient is drawn: each counts. The noise is the evaluation's own. Words are wide, as
    counts are exact.
    """
    if terms.evaluation is None:
        return None
    sigma, privacy = terms.evaluation.noise_multiplier, terms.privacy
    return replace(
        terms,
        sites=Roster(dict.fromkeys(terms.weights, 1.0), terms.min_sites),
        model=replace(terms.model, trained=EVERY_TENSOR, local=(), counted=True),
        clipping=None if terms.clipping is None else Clipping(terms.evaluation.norm),
        projection=None,
        privacy=None if privacy is None or sigma is None else replace(privacy, noise_multiplier=sigma),
        sampling=None if terms.sampling is None else replace(terms.sampling, rate=1.0),
        evaluation=None,
        ring_bits=None,
    )
