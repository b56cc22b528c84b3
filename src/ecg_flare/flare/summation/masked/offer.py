"""A job's terms as the terms of its secure sums: the server writes an offer by them, a site compares it with them."""

from ecg_flare.errors import ConfigError, SecureSumError
from ecg_flare.federated.promise import privacy_text
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.terms import subset
from ecg_flare.privacy.secure_sum.context import Member
from ecg_flare.privacy.secure_sum.context import RoundTerms as SumTerms

_FREE = ("round", "attempt", "roster", "model_sha256", "test_mode")  # a round's own; all else is the job's


def sum_terms(
    terms: JobTerms,
    *,
    job: str,
    round_index: int,
    attempt: int,
    roster: tuple[Member, ...],
    model_sha256: bytes,
    test_mode: bool,
) -> SumTerms:
    """The terms of one attempt at a round of the job; raises ConfigError where they contradict each other."""
    fixed = terms.fixed_encoding(subset(terms).dimension)
    if fixed is None or terms.clipping_norm is None:
        raise ConfigError("a masked sum needs updates in fixed point: give the terms a clipping_norm")
    hidden = terms.sites.max_weight is not None
    return SumTerms(
        job=job,
        round=round_index,
        attempt=attempt,
        roster=roster,
        threshold=terms.min_sites,
        ring_bits=fixed.ring_bits,
        dimension=fixed.dimension + hidden,
        scale=fixed.scale,
        clipping_norm=terms.clipping_norm,
        weights=None if hidden else tuple(terms.weights[site] for site in terms.roster),
        dp=privacy_text(terms),
        layout_digest=bytes.fromhex(subset(terms).digest),
        model_sha256=model_sha256,
        test_mode=test_mode,
    )


def check_offer(offered: SumTerms, terms: JobTerms, job: str) -> None:
    """Raise SecureSumError unless an offer is of this job: its cohort, threshold, encoding, weights and noise."""
    names = tuple(member.name for member in offered.roster)
    if names != terms.roster:
        raise SecureSumError(f"the offer is for {list(names)}, the job's roster is {list(terms.roster)}")
    if not 0 <= offered.round < terms.rounds:
        raise SecureSumError(f"the offer is for round {offered.round}, the job has rounds 0 to {terms.rounds - 1}")
    own = sum_terms(
        terms,
        job=job,
        round_index=offered.round,
        attempt=offered.attempt,
        roster=offered.roster,
        model_sha256=offered.model_sha256,
        test_mode=offered.test_mode,
    )
    if own != offered:
        differ = [name for name in vars(own) if name not in _FREE and getattr(own, name) != getattr(offered, name)]
        raise SecureSumError(
            f"the offer's {', '.join(differ)} is {[getattr(offered, name) for name in differ]}, the job's "
            f"{[getattr(own, name) for name in differ]}: the server departs from the job"
        )
