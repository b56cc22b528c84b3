"""The terms of a FLARE job where they meet its network and its requests: `federated.terms.JobTerms`, held to both."""

import math
import secrets
from uuid import UUID

import numpy as np
from jaxtyping import Float32

from ecg_flare.errors import ConfigError, EncodingError, PlanMismatchError, PrivacyError
from ecg_flare.federated.promise import check_promise
from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TrainRequest
from ecg_flare.nnunet.kinds import counting_of, learnt, plan_of, trained_subset
from ecg_flare.privacy.adaptive_clipping import FOLLOWS_WITHIN


def check_job(terms: JobTerms) -> JobTerms:
    """These terms, once it is sure that a job can run by them.

    Raises ConfigError for a pattern that matches no tensor of the plan, for noise without a budget, for a delta that
    hides nobody, for a sketch larger than what it shortens, and for hidden weights or narrow words that the encoding
    cannot carry.
    """
    dimension = subset(check_promise(terms)).dimension
    if terms.model.counted != (counting_of(plan_of(terms.model.plan, terms.model.document)) is not None):
        raise ConfigError(
            f"counted is {terms.model.counted}, which the plan {terms.model.plan!r} is not for: export the job again"
        )
    if terms.evaluation is not None:
        _check_evaluation(terms, terms.evaluation.norm)
    if terms.private and terms.epsilon_budget is None:
        raise ConfigError(f"noise_multiplier={terms.noise_multiplier} needs an epsilon_budget. Found null.")
    if terms.projection is not None and terms.projection.size > dimension:
        raise ConfigError(f"projection: size is {terms.projection.size}, above the {dimension} trained parameters")
    if terms.sites.hidden is not None:
        _check_hidden_weights(terms, terms.sites.hidden.max_weight, dimension)
    check_words(terms)
    return terms


def check_words(terms: JobTerms) -> None:
    """Raise ConfigError where a job asks for words that are too narrow for its sums."""
    if terms.ring_bits is None:
        return
    try:
        terms.fixed_encoding(subset(terms).dimension)
    except EncodingError as error:
        raise ConfigError(str(error)) from error


def _check_evaluation(terms: JobTerms, norm: float) -> None:
    plan = plan_of(terms.model.plan, terms.model.document)
    if terms.model.counted:
        raise ConfigError("evaluation is for jobs that train: this one counts already")
    sums = learnt(plan).sums
    if norm < sums.norm:
        raise ConfigError(
            f"evaluation: norm is {norm}, which the counts of one case of {len(sums.names)} labels can pass"
        )


def _check_hidden_weights(terms: JobTerms, max_weight: int, dimension: int) -> None:
    fixed = terms.fixed_encoding(dimension)
    largest = int(2**-8 * fixed.scale / math.sqrt(fixed.dimension)) if fixed else 0
    if max_weight > largest:
        raise ConfigError(
            f"max_weight={max_weight}, expected at most {largest} for plan {terms.model.plan!r}: beyond it a site of "
            "weight 1 would lose its update to quantization, and leave the sum to the others; raise "
            "pages_per_weight instead"
        )


def subset(terms: JobTerms) -> TrainableSubset:
    """The tensors that are trained: an update is their values, in order, and nothing else."""
    return trained_subset(terms.model)


def update_size(terms: JobTerms, model_size: int) -> int:
    """d: how long an update of a model of so many parameters is."""
    return model_size if terms.trains_everything and not terms.model.counted else subset(terms).dimension


def take(terms: JobTerms, vector: Float32[np.ndarray, " model"]) -> Float32[np.ndarray, " d"]:
    """The trained values of a model, or of a model's change."""
    return vector if terms.trains_everything else subset(terms).take(vector)


def put(
    terms: JobTerms, model: Float32[np.ndarray, " model"], part: Float32[np.ndarray, " d"]
) -> Float32[np.ndarray, " model"]:
    """The model with these trained values; the others as they were."""
    return part if terms.trains_everything else subset(terms).put(model, part)


def hidden_weight(terms: JobTerms, cases: int) -> int:
    """The weight of a site with so many training cases; 0 where weights are public."""
    return 0 if terms.sites.hidden is None else terms.sites.hidden.of(cases)


def in_request(terms: JobTerms, request: TrainRequest) -> JobTerms:
    """The terms of the request's round: these, at the C that the request gives and the shares reported so far lead to.

    Raises PrivacyError for another C, so that the server cannot choose it, and for more shares than rounds.
    """
    expected, requested = terms.after(request.shares).requested_norm, request.clipping_norm
    if expected is None and requested is None:
        return terms
    if requested is None or expected is None or not math.isclose(requested, expected, rel_tol=FOLLOWS_WITHIN):
        raise PrivacyError(
            f"The request clips to {requested}; the terms and the shares {list(request.shares)} that it reports lead "
            f"to {expected}."
        )
    if len(request.shares) > request.round_index:
        raise PrivacyError(
            f"The request of round {request.round_index} reports shares of {len(request.shares)} rounds."
        )
    return terms.at_norm(requested)


def check_request(terms: JobTerms, request: TrainRequest, *, plan_hash: str, layout_digest: str) -> None:
    """Refuse a request under other terms, for another plan, or of another layout (run at the site)."""
    if request.terms_digest != terms.digest:
        raise PrivacyError(
            f"The server's terms have digest {request.terms_digest[:12]}, this site's {terms.digest[:12]}: "
            "the job's server and client configurations differ. Export the job again."
        )
    if request.plan_hash != plan_hash:
        raise PlanMismatchError(
            f"The server trains plan {request.plan_hash[:12]}, this site has '{terms.model.plan}' as "
            f"{plan_hash[:12]}: install the same version of ecg_flare at both."
        )
    if request.layout_digest != layout_digest:
        raise PlanMismatchError(
            f"The server's model has layout {request.layout_digest[:12]}, the plan here {layout_digest[:12]}."
        )
    if not 0 <= request.round_index < terms.rounds:
        raise PrivacyError(
            f"The request is for round {request.round_index}; the job has rounds 0 to {terms.rounds - 1}."
        )


def fresh_nonce() -> str:
    """A nonce for the terms of a job that is about to be written; grouped, FLARE does not take it for a secret."""
    return str(UUID(bytes=secrets.token_bytes(16)))
