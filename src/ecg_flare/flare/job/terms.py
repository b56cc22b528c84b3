"""The public terms of a job: what every party knows, agrees on, and can check before a round."""

import hashlib
import json
import math
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Final, TypeVar
from uuid import UUID

import numpy as np
from jaxtyping import Float32

from ecg_flare.errors import ConfigError, PlanMismatchError, PrivacyError
from ecg_flare.federated import summation as summations
from ecg_flare.federated.patients import IMPLAUSIBLE
from ecg_flare.federated.projection import RandomProjection
from ecg_flare.federated.round import RoundConfig
from ecg_flare.federated.subset import EVERY_TENSOR, TrainableSubset
from ecg_flare.flare.job.messages import TrainRequest
from ecg_flare.nnunet.plan import parameter_layout, plan_preset
from ecg_flare.privacy.adaptive_clipping import FOLLOWS_WITHIN, AdaptiveClipping
from ecg_flare.privacy.cohort import Adaptation, Mechanism
from ecg_flare.privacy.events import Unit

T = TypeVar("T")

_NONCE: Final = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class RoundTerms:
    """The terms of every round of a job, the same component at the server and at each site.

    Weights and denominator are fixed before the first round: anything else would change the sensitivity. A site
    compares its own terms with the digest in the request and refuses others.

    Attributes:
        weights: site name -> its public weight, above 0. The keys are the roster.
        rounds: how many rounds the job runs.
        min_sites: fewest sites whose updates make a round.
        plan: name of the nnU-Net plan preset.
        trained: shell patterns of the tensors that are trained, such as `decoder.stages.2.*`. The others stay as they
            are at the start, exactly: they have no update, no noise, and are not in d.
        clipping_norm: C, the largest L2 norm of a site's update; None leaves updates as they are.
        noise_multiplier: sigma, the noise's standard deviation over the sensitivity; None adds no noise.
        delta: of (epsilon, delta)-differential privacy.
        epsilon_budget: the job stops before the ledger passes it; needed with noise, None otherwise.
        unit: whose presence is hidden: a 'site' as a whole, or each 'patient', over all of that patient's pages.
        sampling_rate: q, the chance of a patient to be drawn in a round, in secret (unit patient).
        patients: N, public number of patients of the cohort; what is released is a mean over q * N (unit patient).
        patients_per_site: public bound on a site's patients; one with more takes no part (unit patient).
        shared_patients: whether a patient may have pages at several sites: the noise is then measured against the sum
            of the weights, not the largest (unit patient).
        adaptive_clipping: lets C follow a quantile of the patients' update norms, with `clipping_norm` as the first
            round's: quantile, rate, count_noise, least and most of `privacy.adaptive_clipping` (unit patient).
        projection: folds each update into `size` coordinates by the matrix of a public `seed`, before it is clipped:
            `federated.projection`. Needs noise or a sum that hides updates.
        summation: how the server learns the sum: 'plain' (it sees each update), 'masked' (it sees the sum alone) or
            'encrypted' (it adds ciphertexts, and sites decrypt the sum); in the latter two min_sites is the threshold
            below which nothing is recovered. Others: `federated.summation`.
        max_weight: hides the sites' weights: each weighs one for every `pages_per_weight` training pages, at least
            1 and at most so many, and a masked sum carries the weights as one more coordinate. Needs every site in
            every round: totals over two sets of sites show the difference. None takes the public weights.
        pages_per_weight: training pages that make a weight of 1, where weights are hidden.
        nonce: 32 digits of hex, in groups or not, drawn when the job is written, so that no two jobs that are signed
            have the same terms: by their digest sites remember what they answered. Empty in tests alone.

    Raises:
        ConfigError: where a value is impossible; the message names it.
    """

    weights: Mapping[str, float]
    rounds: int
    min_sites: int
    plan: str = "tiny"
    trained: Sequence[str] = EVERY_TENSOR
    clipping_norm: float | None = None
    noise_multiplier: float | None = None
    delta: float = 1e-5
    epsilon_budget: float | None = None
    unit: Unit = "site"
    sampling_rate: float = 1.0
    patients: int | None = None
    patients_per_site: int = 1
    shared_patients: bool = False
    adaptive_clipping: Mapping[str, float] | None = None
    projection: Mapping[str, int] | None = None
    summation: str = "plain"
    max_weight: int | None = None
    pages_per_weight: int = 1
    nonce: str = ""

    def __post_init__(self) -> None:
        way = summations.summation(self.summation)
        _ = self.config  # checks what a round in memory checks
        if self.rounds < 1:
            raise ConfigError(f"rounds is {self.rounds}, expected at least 1")
        if isinstance(self.trained, str) or not self.trained:
            raise ConfigError(f"trained is {self.trained!r}, expected a list of patterns of tensors' names")
        object.__setattr__(self, "trained", tuple(self.trained))
        dimension = self.subset.dimension  # checks that every pattern is of the plan
        if self._projection is not None and self._projection.size > dimension:
            raise ConfigError(f"projection: size is {self._projection.size}, above the {dimension} trained parameters")
        if not 0 < self.delta < 1:
            raise ConfigError(f"delta is {self.delta}, expected it between 0 and 1")
        if self.patients is not None and self.patients > len(self.weights) * self.patients_per_site:
            raise ConfigError(
                f"patients is {self.patients}, but {len(self.weights)} sites of at most patients_per_site="
                f"{self.patients_per_site} cannot have so many"
            )
        if self.epsilon_budget is not None and not self.epsilon_budget > 0:
            raise ConfigError(f"epsilon_budget is {self.epsilon_budget}, expected it above 0")
        way.check_threshold(len(self.weights), self.min_sites)
        if self.max_weight is not None:
            self._check_hidden_weights(self.max_weight)
        if self.pages_per_weight < 1:
            raise ConfigError(f"pages_per_weight is {self.pages_per_weight}, expected at least 1")
        if not isinstance(self.nonce, str) or (self.nonce and not _NONCE.fullmatch(self.nonce.replace("-", ""))):
            raise ConfigError(f"nonce is {self.nonce!r}, expected 32 digits of hex: export the job again")
        if self.private and self.epsilon_budget is None:
            raise ConfigError(f"noise_multiplier={self.noise_multiplier} needs an epsilon_budget. Found null.")
        if self.epsilon_budget is not None and not self.private:
            raise ConfigError(
                f"epsilon_budget={self.epsilon_budget} promises privacy, but noise_multiplier is null: "
                "give it a value, or leave the budget out"
            )

    def _check_hidden_weights(self, max_weight: int) -> None:
        if self.private:
            raise ConfigError(
                f"max_weight={max_weight} hides weights that depend on the sites' data, and noise_multiplier="
                f"{self.noise_multiplier} promises privacy: such weights change the sensitivity; publish them"
            )
        if not summations.summation(self.summation).hides_weights:
            able = " or ".join(repr(one.name) for one in summations.ways() if one.hides_weights)
            raise ConfigError(f"max_weight={max_weight} needs summation {able}. Found {self.summation!r}.")
        if max_weight < 1 or set(self.weights.values()) != {1.0}:
            raise ConfigError(
                f"max_weight={max_weight} with weights {dict(self.weights)}: expected at least 1, and a weight of 1 "
                "for every site, since the sites give their own"
            )
        if self.min_sites != len(self.weights):
            raise ConfigError(
                f"max_weight={max_weight} with min_sites={self.min_sites} of {len(self.weights)} sites: totals of "
                "weights over two sets of sites show the weight of a site that is in one of them; ask for every site"
            )
        fixed = self.config.fixed_encoding(self.subset.dimension)
        largest = int(2**-8 * fixed.scale / math.sqrt(fixed.dimension)) if fixed else 0
        if max_weight > largest:
            raise ConfigError(
                f"max_weight={max_weight}, expected at most {largest} for plan {self.plan!r}: beyond it a site of "
                "weight 1 would lose its update to quantization, and leave the sum to the others; raise "
                "pages_per_weight instead"
            )

    @cached_property
    def config(self) -> RoundConfig:
        """The same terms for a round in memory; the adapters here must give the numbers that it gives."""
        return RoundConfig(
            weights=self.weights,
            min_sites=self.min_sites,
            clipping_norm=self.clipping_norm,
            noise_multiplier=self.noise_multiplier,
            unit=self.unit,
            sampling_rate=self.sampling_rate,
            patients=self.patients,
            patients_per_site=self.patients_per_site,
            shared_patients=self.shared_patients,
            fixed_point=summations.summation(self.summation).hides_updates,
            adaptive=self._adaptive,
            projection=self._projection,
        )

    @cached_property
    def _adaptive(self) -> AdaptiveClipping | None:
        return _built(AdaptiveClipping, "adaptive_clipping", self.adaptive_clipping)

    @cached_property
    def _projection(self) -> RandomProjection | None:
        return _built(RandomProjection, "projection", self.projection)

    @property
    def max_clipping_norm(self) -> float | None:
        """The largest C that a round may have."""
        return self.clipping_norm if self._adaptive is None else self._adaptive.most

    @property
    def requested_norm(self) -> float | None:
        """C as a request tells it: None where the terms of the job fix it."""
        return None if self._adaptive is None else self.clipping_norm

    def at_norm(self, clipping_norm: float | None) -> "RoundTerms":
        """The terms of a round with this C, where it is adaptive; raises ConfigError for none, or one out of bounds."""
        return self if self._adaptive is None else replace(self, clipping_norm=clipping_norm)

    def after(self, shares: Sequence[float]) -> "RoundTerms":
        """The terms of the round after those that released these shares of updates within C."""
        if self._adaptive is None or self.clipping_norm is None:
            return self
        return self.at_norm(self._adaptive.norm_after(self.clipping_norm, shares))

    def in_round(self, request: TrainRequest) -> "RoundTerms":
        """The terms of the request's round: these, at the C that the request gives and the shares told so far lead to.

        Raises PrivacyError for another C, so that the server cannot choose it, and for more shares than rounds.
        """
        expected, told = self.after(request.shares).requested_norm, request.clipping_norm
        if expected is None and told is None:
            return self
        if told is None or expected is None or not math.isclose(told, expected, rel_tol=FOLLOWS_WITHIN):
            raise PrivacyError(
                f"The request clips to {told}; the terms and the shares {list(request.shares)} that it tells lead to "
                f"{expected}."
            )
        if len(request.shares) > request.round_index:
            raise PrivacyError(
                f"The request of round {request.round_index} tells shares of {len(request.shares)} rounds."
            )
        return self.at_norm(told)

    @cached_property
    def subset(self) -> TrainableSubset:
        """The tensors that are trained: an update is their values, in order, and nothing else."""
        return TrainableSubset.matching(parameter_layout(plan_preset(self.plan)), self.trained)

    @property
    def trains_everything(self) -> bool:
        """Whether no tensor is left as it is at the start."""
        return self.trained == EVERY_TENSOR

    def update_size(self, model_size: int) -> int:
        """d: how long an update of a model of so many parameters is."""
        return model_size if self.trains_everything else self.subset.dimension

    def take(self, vector: Float32[np.ndarray, " model"]) -> Float32[np.ndarray, " d"]:
        """The trained values of a model, or of a model's change."""
        return vector if self.trains_everything else self.subset.take(vector)

    def put(
        self, model: Float32[np.ndarray, " model"], part: Float32[np.ndarray, " d"]
    ) -> Float32[np.ndarray, " model"]:
        """The model with these trained values; the others as they were."""
        return part if self.trains_everything else self.subset.put(model, part)

    @property
    def private(self) -> bool:
        """Whether noise makes what is released differentially private."""
        return self.noise_multiplier is not None

    @property
    def clips_updates(self) -> bool:
        """Whether a site's update is clipped as a whole."""
        return self.clipping_norm is not None and self.unit == "site"

    @property
    def reports_metrics(self) -> bool:
        """Whether a site may tell about its own training: only where its update is in the clear anyway."""
        return not summations.summation(self.summation).hides_updates and not self.private

    @property
    def roster(self) -> tuple[str, ...]:
        """The sites, in sorted order."""
        return tuple(sorted(self.weights))

    @property
    def denominator(self) -> float:
        """What a private sum is divided by, whoever answered: q * N patients, or the sum of the sites' weights."""
        return self.config.public_denominator or math.fsum(self.weights.values())

    @property
    def implausible(self) -> float:
        """Chance with which an honest sum is refused, for drawing more patients than is plausible.

        That a sum was refused tells about it, without noise. With n sums in a job, each of two neighbouring runs is
        within ``n * chance`` in total variation of a run that refuses nothing, so that refusing adds at most
        ``(1 + e^epsilon) * n * chance`` to delta: a thousandth of it here. n is the rounds times the sites, whose sums
        are looked at one by one where they are in the clear.
        """
        if self.epsilon_budget is None:
            return IMPLAUSIBLE
        share = self.delta / (1000 * self.rounds * len(self.weights))
        return min(IMPLAUSIBLE, share * math.exp(-self.epsilon_budget) / (1 + math.exp(-self.epsilon_budget)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 hex of the terms as canonical JSON."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def privacy_text(self) -> str:
        """The differential privacy in force as one canonical line; empty for none."""
        if not self.private:
            return ""
        return (
            f"sigma={self.noise_multiplier!r} delta={self.delta!r} unit={self.unit} rate={self.sampling_rate!r} "
            f"denominator={self.denominator!r} sensitivity={self.config.sensitivity!r}"
        )

    def mechanism(
        self, job: str, round_index: int, *, clipping_norm: float | None = None, follows: int | None = None
    ) -> Mechanism:
        """How a round's sum is made private, as a ledger tells it.

        Where C is adaptive, `clipping_norm` is the round's, and `follows` the ledger's line of the release whose share
        it follows. Raises ConfigError for terms without noise.
        """
        if self.noise_multiplier is None or self.clipping_norm is None:
            raise ConfigError("a ledger is for jobs with noise. Found noise_multiplier null.")
        return Mechanism(
            job=job,
            round=round_index,
            clipping_norm=clipping_norm or self.clipping_norm,
            noise_multiplier=self.noise_multiplier,
            weights=dict(self.weights),
            denominator=self.denominator,
            sampling="poisson" if self.unit == "patient" else "all",
            sampling_rate=self.sampling_rate,
            patients=self.patients,
            shared_patients=self.shared_patients,
            adaptation=None if self._adaptive is None else Adaptation(self._adaptive, self.clipping_norm, follows),
            unit=self.unit,
        )

    def hidden_weight(self, pages: int) -> int:
        """The weight of a site with so many training pages; 0 where weights are public."""
        if self.max_weight is None:
            return 0
        return max(1, min(self.max_weight, round(pages / self.pages_per_weight)))

    def weight_of(self, site: str) -> float:
        """The public weight of `site`; raises ConfigError where the roster lacks it."""
        if site not in self.weights:
            raise ConfigError(f"{site} is not in the roster {list(self.roster)}.")
        return self.weights[site]

    def check_request(self, request: TrainRequest, *, plan_hash: str, layout_digest: str) -> None:
        """Refuse a request under other terms, for another plan, or of another layout (run at the site)."""
        if request.terms_digest != self.digest:
            raise PrivacyError(
                f"The server's terms have digest {request.terms_digest[:12]}, this site's {self.digest[:12]}: "
                "the job's server and client configurations differ. Export the job again."
            )
        if request.plan_hash != plan_hash:
            raise PlanMismatchError(
                f"The server trains plan {request.plan_hash[:12]}, this site has '{self.plan}' as {plan_hash[:12]}: "
                "install the same version of ecg_flare at both."
            )
        if request.layout_digest != layout_digest:
            raise PlanMismatchError(
                f"The server's model has layout {request.layout_digest[:12]}, the plan here {layout_digest[:12]}."
            )
        if not 0 <= request.round_index < self.rounds:
            raise PrivacyError(
                f"The request is for round {request.round_index}; the job has rounds 0 to {self.rounds - 1}."
            )


def fresh_nonce() -> str:
    """A nonce for the terms of a job that is about to be written; grouped, FLARE does not take it for a secret."""
    return str(UUID(bytes=secrets.token_bytes(16)))


def _built(kind: type[T], name: str, values: Mapping[str, float] | None) -> T | None:
    try:
        return None if values is None else kind(**values)
    except TypeError as error:
        raise ConfigError(f"{name} is {values!r}: {error}") from error
