"""Limits: what a site insists on before it takes part in secure aggregation.

Each check is a function of its own and raises `SecureSumError`; the site then answers nothing. The server's word
counts for none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from ecg_flare.errors import ConfigError, SecureSumError
from ecg_flare.privacy.secure_sum.context import MIN_SITES, MIN_THRESHOLD_FRACTION, SumContext, min_threshold
from ecg_flare.privacy.secure_sum.recovered_sums import OncePerModel


@dataclass(frozen=True)
class SiteLimits:
    """What a site insists on, frozen by its own administrator; no server can lower any of it.

    `min_cohort` sites in the roster; a threshold of at least `min_threshold` and of more than
    `min_threshold_fraction` of the roster; every member pinned by certificate fingerprint (`pinned` maps name to
    SHA-256; None, trust in whoever holds the CA, is for the test mode alone); the expected layout; the SHA-256 of the
    model that the site itself holds (None where it is not known before the round); the clipping norm at most
    `max_clipping_norm`; the weights (None: equal ones; hidden ones only where `hidden_weights` says so); the text of
    the differential privacy (None: any, or none); of which sums a model is used for one job alone (`recovered_sums`).
    Raises `ConfigError` for limits that are themselves unsafe.
    """

    layout_digest: bytes
    expected_model_sha256: bytes | None
    max_clipping_norm: float
    pinned: Mapping[str, bytes] | None
    min_cohort: int = MIN_SITES
    min_threshold: int = MIN_SITES
    min_threshold_fraction: Fraction = MIN_THRESHOLD_FRACTION
    weights: Mapping[str, float] | None = None
    hidden_weights: bool = False
    dp: str | None = None
    allow_test_mode: bool = False
    once_per_model: OncePerModel = "unnoised"

    def __post_init__(self) -> None:
        if min(self.min_cohort, self.min_threshold) < MIN_SITES:
            raise ConfigError(
                f"min_cohort {self.min_cohort} and min_threshold {self.min_threshold} were set, expected both "
                f"at least {MIN_SITES}: two sites see each other's updates; raise them"
            )
        if not MIN_THRESHOLD_FRACTION <= self.min_threshold_fraction < 1:
            raise ConfigError(
                f"min_threshold_fraction {self.min_threshold_fraction} is out of [2/3, 1): below 2/3 a lying "
                "server can recover two sums; raise it"
            )
        if self.pinned is None and not self.allow_test_mode:
            raise ConfigError(
                "no certificate fingerprints are pinned: whoever holds the CA could add sites of its own; "
                "pin every site's fingerprint, or allow the test mode"
            )
        if self.weights is not None and self.hidden_weights:
            raise ConfigError("public weights are set and hidden weights allowed, expected one of the two: drop one")
        if self.weights is not None and min(self.weights.values(), default=0.0) <= 0:
            raise ConfigError(
                f"public weights {dict(self.weights)} hold none, or one that is not positive: a weight of zero leaves "
                "the sum to the others; give every site of the cohort a positive weight"
            )


def check_site_limits(terms: SumContext, limits: SiteLimits) -> None:
    """Refuse terms that go under any of the site's limits."""
    check_cohort(terms, limits)
    check_threshold(terms, limits)
    check_signing_mode(terms, limits)
    check_pins(terms, limits)
    check_layout(terms, limits)
    check_model(terms, limits)
    check_clipping(terms, limits)
    check_weights(terms, limits)
    check_dp(terms, limits)


def check_cohort(terms: SumContext, limits: SiteLimits) -> None:
    """Refuse a roster smaller than the site's minimum cohort."""
    if terms.sites < limits.min_cohort:
        raise SecureSumError(
            f"the round has {terms.sites} sites, this site takes part from {limits.min_cohort}: enlarge the cohort"
        )


def check_threshold(terms: SumContext, limits: SiteLimits) -> None:
    """Refuse a threshold under the site's minimum."""
    least = max(limits.min_threshold, min_threshold(terms.sites, limits.min_threshold_fraction))
    if terms.threshold < least:
        raise SecureSumError(
            f"the round would recover the sum of {terms.threshold} of {terms.sites} sites, this site demands at least "
            f"{least}: raise the threshold"
        )


def check_signing_mode(terms: SumContext, limits: SiteLimits) -> None:
    """Refuse throw-away keys where the site did not allow the test mode."""
    if terms.test_mode and not limits.allow_test_mode:
        raise SecureSumError(
            "the round runs in test mode, where throw-away keys prove no identity: this site asks for certificates; "
            "provision the project, or allow the test mode for a simulation"
        )


def check_pins(terms: SumContext, limits: SiteLimits) -> None:
    """Refuse a member whose certificate is not the pinned one: the CA could have made it up."""
    if limits.pinned is None and terms.test_mode:
        return
    pinned = limits.pinned or {}
    unknown = [member.name for member in terms.roster if pinned.get(member.name) != member.fingerprint]
    if unknown:
        raise SecureSumError(
            f"the certificates of {unknown} are not those that this site pinned: ask these sites for their "
            "fingerprints by another way before pinning them"
        )


def check_layout(terms: SumContext, limits: SiteLimits) -> None:
    """Refuse another order or shape of the parameters than the site's own."""
    if terms.layout_digest != limits.layout_digest:
        raise SecureSumError(
            f"the round's layout is {terms.layout_digest.hex()}, this site's is {limits.layout_digest.hex()}: "
            "bring both to the same plan"
        )


def check_model(terms: SumContext, limits: SiteLimits) -> None:
    """Refuse a global model other than the one that the site holds."""
    if limits.expected_model_sha256 is not None and terms.model_sha256 != limits.expected_model_sha256:
        raise SecureSumError(
            f"the round starts from model {terms.model_sha256.hex()}, this site expects "
            f"{limits.expected_model_sha256.hex()}: the server altered the model or sites hold different ones"
        )


def check_clipping(terms: SumContext, limits: SiteLimits) -> None:
    """Refuse a clipping norm above the site's largest."""
    if terms.clipping_norm > limits.max_clipping_norm:
        raise SecureSumError(
            f"the round clips to {terms.clipping_norm}, this site gives at most {limits.max_clipping_norm}: lower C"
        )


def check_weights(terms: SumContext, limits: SiteLimits) -> None:
    """Refuse weights other than those the site knows: others could leave the sum to a single site."""
    if terms.weights is None:
        if not limits.hidden_weights:
            raise SecureSumError("the round hides its weights, this site asks for public ones: publish the weights")
        return
    if limits.weights is None:
        known = len(set(terms.weights)) == 1
    else:
        known = list(terms.weights) == [limits.weights.get(member.name) for member in terms.roster]
    if not known:
        raise SecureSumError(
            f"the round weighs its sites {terms.weights}, this site expects "
            f"{'equal weights' if limits.weights is None else dict(limits.weights)}: a sum could be left to one site; "
            "agree on the weights with every site"
        )


def check_dp(terms: SumContext, limits: SiteLimits) -> None:
    """Refuse another differential privacy than the site was promised."""
    if limits.dp is not None and terms.dp != limits.dp:
        raise SecureSumError(
            f"the round's differential privacy is {terms.dp!r}, this site was promised {limits.dp!r}: restore it"
        )
