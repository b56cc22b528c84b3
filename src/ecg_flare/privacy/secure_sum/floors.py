"""Floors: what a site insists on before it takes part in a secure sum.

Each check is a function of its own and raises `SecureSumError`; the site then answers nothing. The server's word
counts for none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from ecg_flare.errors import ConfigError, SecureSumError
from ecg_flare.privacy.secure_sum.context import LEAST_SITES, LEAST_THRESHOLD_FRACTION, RoundTerms, least_threshold
from ecg_flare.privacy.secure_sum.opened_sums import OncePerModel


@dataclass(frozen=True)
class SiteFloors:
    """What a site insists on, frozen by its own administrator; no server can lower any of it.

    `least_cohort` sites in the roster; a threshold of at least `least_threshold` and of more than
    `least_threshold_fraction` of the roster; every member pinned by certificate fingerprint (`pinned` maps name to
    SHA-256; None, trust in whoever holds the CA, is for the test mode alone); the expected layout; the SHA-256 of the
    model that the site itself holds (None where it is not known before the round); the clipping norm at most
    `most_clipping_norm`; the weights (None: equal ones; hidden ones only where `hidden_weights` says so); the text of
    the differential privacy (None: any, or none); of which sums a model is used for one job alone (`opened_sums`).
    Raises `ConfigError` for floors that are themselves unsafe.
    """

    layout_digest: bytes
    expected_model_sha256: bytes | None
    most_clipping_norm: float
    pinned: Mapping[str, bytes] | None
    least_cohort: int = LEAST_SITES
    least_threshold: int = LEAST_SITES
    least_threshold_fraction: Fraction = LEAST_THRESHOLD_FRACTION
    weights: Mapping[str, float] | None = None
    hidden_weights: bool = False
    dp: str | None = None
    allow_test_mode: bool = False
    once_per_model: OncePerModel = "unnoised"

    def __post_init__(self) -> None:
        if min(self.least_cohort, self.least_threshold) < LEAST_SITES:
            raise ConfigError(
                f"least cohort {self.least_cohort} and least threshold {self.least_threshold} were set, expected both "
                f"at least {LEAST_SITES}: two sites see each other's updates; raise them"
            )
        if not LEAST_THRESHOLD_FRACTION <= self.least_threshold_fraction < 1:
            raise ConfigError(
                f"least threshold fraction {self.least_threshold_fraction} is out of [2/3, 1): below 2/3 a lying "
                "server can open two sums; raise it"
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


def check_floors(terms: RoundTerms, floors: SiteFloors) -> None:
    """Refuse terms that go under any of the site's floors."""
    check_cohort(terms, floors)
    check_threshold(terms, floors)
    check_signing_mode(terms, floors)
    check_pins(terms, floors)
    check_layout(terms, floors)
    check_model(terms, floors)
    check_clipping(terms, floors)
    check_weights(terms, floors)
    check_dp(terms, floors)


def check_cohort(terms: RoundTerms, floors: SiteFloors) -> None:
    """Refuse a roster smaller than the site's least cohort."""
    if terms.sites < floors.least_cohort:
        raise SecureSumError(
            f"the round has {terms.sites} sites, this site takes part from {floors.least_cohort}: enlarge the cohort"
        )


def check_threshold(terms: RoundTerms, floors: SiteFloors) -> None:
    """Refuse a threshold under the site's least one."""
    least = max(floors.least_threshold, least_threshold(terms.sites, floors.least_threshold_fraction))
    if terms.threshold < least:
        raise SecureSumError(
            f"the round would open the sum of {terms.threshold} of {terms.sites} sites, this site demands at least "
            f"{least}: raise the threshold"
        )


def check_signing_mode(terms: RoundTerms, floors: SiteFloors) -> None:
    """Refuse throw-away keys where the site did not allow the test mode."""
    if terms.test_mode and not floors.allow_test_mode:
        raise SecureSumError(
            "the round runs in test mode, where throw-away keys prove no identity: this site asks for certificates; "
            "provision the project, or allow the test mode for a rehearsal"
        )


def check_pins(terms: RoundTerms, floors: SiteFloors) -> None:
    """Refuse a member whose certificate is not the pinned one: the CA could have made it up."""
    if floors.pinned is None and terms.test_mode:
        return
    pinned = floors.pinned or {}
    strangers = [member.name for member in terms.roster if pinned.get(member.name) != member.fingerprint]
    if strangers:
        raise SecureSumError(
            f"the certificates of {strangers} are not those that this site pinned: ask these sites for their "
            "fingerprints by another way before pinning them"
        )


def check_layout(terms: RoundTerms, floors: SiteFloors) -> None:
    """Refuse another order or shape of the parameters than the site's own."""
    if terms.layout_digest != floors.layout_digest:
        raise SecureSumError(
            f"the round's layout is {terms.layout_digest.hex()}, this site's is {floors.layout_digest.hex()}: "
            "bring both to the same plan"
        )


def check_model(terms: RoundTerms, floors: SiteFloors) -> None:
    """Refuse a global model other than the one that the site holds."""
    if floors.expected_model_sha256 is not None and terms.model_sha256 != floors.expected_model_sha256:
        raise SecureSumError(
            f"the round starts from model {terms.model_sha256.hex()}, this site expects "
            f"{floors.expected_model_sha256.hex()}: the server altered the model or sites hold different ones"
        )


def check_clipping(terms: RoundTerms, floors: SiteFloors) -> None:
    """Refuse a clipping norm above the site's largest."""
    if terms.clipping_norm > floors.most_clipping_norm:
        raise SecureSumError(
            f"the round clips to {terms.clipping_norm}, this site gives at most {floors.most_clipping_norm}: lower C"
        )


def check_weights(terms: RoundTerms, floors: SiteFloors) -> None:
    """Refuse weights other than those the site knows: others could leave the sum to a single site."""
    if terms.weights is None:
        if not floors.hidden_weights:
            raise SecureSumError("the round hides its weights, this site asks for public ones: publish the weights")
        return
    if floors.weights is None:
        known = len(set(terms.weights)) == 1
    else:
        known = list(terms.weights) == [floors.weights.get(member.name) for member in terms.roster]
    if not known:
        raise SecureSumError(
            f"the round weighs its sites {terms.weights}, this site expects "
            f"{'equal weights' if floors.weights is None else dict(floors.weights)}: a sum could be left to one site; "
            "agree on the weights with every site"
        )


def check_dp(terms: RoundTerms, floors: SiteFloors) -> None:
    """Refuse another differential privacy than the site was promised."""
    if floors.dp is not None and terms.dp != floors.dp:
        raise SecureSumError(
            f"the round's differential privacy is {terms.dp!r}, this site was promised {floors.dp!r}: restore it"
        )
