"""A job's terms as the context of its sums: the server writes an offer by them, a site compares it with them."""

from dataclasses import dataclass

from ecg_flare.errors import ConfigError, SecureSumError
from ecg_flare.federated.promise import privacy_text
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.terms import subset
from ecg_flare.privacy.secure_sum.context import Member, SumContext

_FREE = ("round", "attempt", "roster", "model_sha256", "test_mode")  # a round's own; all else is the job's


@dataclass(frozen=True)
class Attempt:
    """One attempt at a round of a job: what its sum is about beside the job's terms.

    Attributes:
        job: digest of the job's terms.
        round_index, number: of the round, and of the attempt at it.
        roster: the sites and their certificates, sorted by name.
        model_sha256: of the model that the updates start from.
        test_mode: whether throw-away keys sign.
    """

    job: str
    round_index: int
    number: int
    roster: tuple[Member, ...]
    model_sha256: bytes
    test_mode: bool


def sum_context(terms: JobTerms, attempt: Attempt) -> SumContext:
    """What one attempt at a round of the job is about; raises ConfigError where the terms contradict each other."""
    fixed = terms.fixed_encoding(subset(terms).dimension)
    if fixed is None or terms.clipping_norm is None:
        raise ConfigError("a masked sum needs updates in fixed point: give the terms a clipping_norm")
    hidden = terms.sites.max_weight is not None
    return SumContext(
        job=attempt.job,
        round=attempt.round_index,
        attempt=attempt.number,
        roster=attempt.roster,
        threshold=terms.min_sites,
        ring_bits=fixed.ring_bits,
        dimension=fixed.dimension + hidden,
        scale=fixed.scale,
        clipping_norm=terms.clipping_norm,
        weights=None if hidden else tuple(terms.weights[site] for site in terms.roster),
        dp=privacy_text(terms),
        layout_digest=bytes.fromhex(subset(terms).digest),
        model_sha256=attempt.model_sha256,
        test_mode=attempt.test_mode,
    )


def check_offer(offered: SumContext, terms: JobTerms, job: str) -> None:
    """Raise SecureSumError unless an offer is of this job: its cohort, threshold, encoding, weights and noise."""
    names = tuple(member.name for member in offered.roster)
    if names != terms.roster:
        raise SecureSumError(f"the offer is for {list(names)}, the job's roster is {list(terms.roster)}")
    if not 0 <= offered.round < terms.rounds:
        raise SecureSumError(f"the offer is for round {offered.round}, the job has rounds 0 to {terms.rounds - 1}")
    attempt = Attempt(
        job, offered.round, offered.attempt, offered.roster, offered.model_sha256, test_mode=offered.test_mode
    )
    own = sum_context(terms, attempt)
    if own != offered:
        differ = [name for name in vars(own) if name not in _FREE and getattr(own, name) != getattr(offered, name)]
        raise SecureSumError(
            f"the offer's {', '.join(differ)} is {[getattr(offered, name) for name in differ]}, the job's "
            f"{[getattr(own, name) for name in differ]}: the server departs from the job"
        )
