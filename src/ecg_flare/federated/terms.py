"""The public terms of a job: what every party knows, agrees on, and can check before a round.

`JobTerms` is the one model of them. The server and each site hold the same; a round in memory runs by it; the terms of
a secure aggregation, the mechanism of a ledger, the words of a plan and of a report are derived from it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Float64, Shaped

from ecg_flare.errors import ConfigError
from ecg_flare.federated.contradictions import (
    check_adaptive,
    check_evaluation,
    check_local,
    check_narrow_words,
    check_sampling,
    check_summation,
)
from ecg_flare.federated.parts import (
    Clipping,
    Evaluation,
    Privacy,
    Roster,
    Sampling,
    TrainedModel,
    built,
    check_whole,
)
from ecg_flare.federated.patients import IMPLAUSIBLE, PatientEncoding
from ecg_flare.federated.projection import RandomProjection
from ecg_flare.federated.subset import EVERY_TENSOR
from ecg_flare.federated.summation import Summation, summation
from ecg_flare.privacy.adaptive_clipping import AdaptiveClipping
from ecg_flare.privacy.events import GaussianEvent, Unit, round_events, sum_sensitivity
from ecg_flare.privacy.secure_sum.encoding import FixedPoint, NarrowWords

_NONCE: Final = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class JobTerms:
    """The terms of every round of a job.

    A site compares the digest of its own terms with that in each request and refuses others. As a component of a FLARE
    job it is built of JSON: each part is then given as a mapping.

    Attributes:
        sites: who takes part.
        rounds: how many rounds the job runs.
        model: what is trained.
        clipping: the bound on each vector; None leaves updates as they are.
        projection: sketches each update by a public random matrix before it is clipped, and takes the mean back.
        privacy: noise on each sum; None promises nothing.
        sampling: the secret draw of patients; None makes a site as a whole the unit.
        summation: name of the way by which the server learns the sum (`federated.summation`).
        ring_bits: 8 or 16, to send updates of a masked sum in narrow words; None takes 32, or 64 where they are needed.
        evaluation: counts on held-out cases, summed after each so many rounds; None measures nothing at the sites.
        nonce: 32 digits of hex, in groups or not, drawn when the job is written, so that no two jobs that are signed
            have the same terms: by their digest sites remember what they answered. Empty in tests alone.

    Whether its delta hides anybody is asked where a job is made, admitted or run (`promise.check_promise`), and not of
    a run that is only read.

    Raises ConfigError naming an impossible value.
    """

    sites: Roster
    rounds: int = 1
    model: TrainedModel = TrainedModel()  # noqa: RUF009, frozen
    clipping: Clipping | None = None
    projection: RandomProjection | None = None
    privacy: Privacy | None = None
    sampling: Sampling | None = None
    summation: str = "plain"
    evaluation: Evaluation | None = None
    ring_bits: int | None = None
    nonce: str = ""

    def __post_init__(self) -> None:
        for name, kind in _PARTS.items():
            object.__setattr__(self, name, built(kind, name, getattr(self, name)))
        if self.sites is None or self.model is None:
            raise ConfigError(f"sites is {self.sites!r} and model {self.model!r}, expected both")
        check_whole("rounds", self.rounds)
        if not isinstance(self.nonce, str) or (self.nonce and not _NONCE.fullmatch(self.nonce.replace("-", ""))):
            raise ConfigError(f"nonce is {self.nonce!r}, expected 32 digits of hex: export the job again")
        check_summation(self.way, self.sites, self.privacy)
        if (self.encoded or self.sampling is not None) and self.clipping is None:
            raise ConfigError("clipping is None, but noise and fixed point need a bound on each vector")
        if self.projection is not None and not self.encoded:
            raise ConfigError("projection is for sums in fixed point, expected noise or a sum that hides updates")
        if self.ring_bits is not None:
            check_narrow_words(self.ring_bits, self.way, self.sites, self.clipping, self.model.counted)
        if self.sampling is not None:
            check_sampling(self.sampling, self.sites, self.privacy)
        if self.clipping is not None and self.clipping.adaptive is not None:
            check_adaptive(self.clipping.adaptive, self.clipping.norm, self.sites, self.sampling, self.privacy)
        check_local(self.model.local, self.sampling)
        if self.evaluation is not None:
            check_evaluation(self.evaluation, self.privacy)

    @property
    def way(self) -> Summation:
        """The way of summing."""
        return summation(self.summation)

    @property
    def weights(self) -> Mapping[str, float]:
        """Site -> its public weight."""
        return self.sites.weights

    @property
    def roster(self) -> tuple[str, ...]:
        """The sites, in sorted order."""
        return self.sites.names

    @property
    def min_sites(self) -> int:
        """Fewest sites whose updates make a round."""
        return self.sites.min_sites

    @property
    def unit(self) -> Unit:
        """Whose presence is hidden."""
        return "site" if self.sampling is None else "patient"

    @property
    def units(self) -> int:
        """How many there are of whom a promise hides: the public number of patients, or of sites."""
        return len(self.weights) if self.sampling is None else self.sampling.patients

    @property
    def clipping_norm(self) -> float | None:
        """C; None leaves updates as they are."""
        return None if self.clipping is None else self.clipping.norm

    @property
    def adaptive(self) -> AdaptiveClipping | None:
        """How C follows the patients' updates."""
        return None if self.clipping is None else self.clipping.adaptive

    @property
    def noise_multiplier(self) -> float | None:
        """Sigma; None adds no noise."""
        return None if self.privacy is None else self.privacy.noise_multiplier

    @property
    def delta(self) -> float | None:
        """Delta of the promise; None where there is none."""
        return None if self.privacy is None else self.privacy.delta

    @property
    def epsilon_budget(self) -> float | None:
        """The budget of the promise; None where there is none."""
        return None if self.privacy is None else self.privacy.epsilon_budget

    @property
    def sampling_rate(self) -> float:
        """Chance of a unit to take part in a round."""
        return 1.0 if self.sampling is None else self.sampling.rate

    @property
    def patients_per_site(self) -> int:
        """The most vectors that a site may add to a sum."""
        return 1 if self.sampling is None else self.sampling.patients_per_site

    @property
    def shared_patients(self) -> bool:
        """Whether a patient may have pages at several sites."""
        return self.sampling is not None and self.sampling.shared_patients

    @property
    def private(self) -> bool:
        """Whether noise makes what is released differentially private."""
        return self.privacy is not None

    @property
    def encoded(self) -> bool:
        """Whether updates are summed as integers."""
        return self.private or self.way.hides_updates

    @property
    def clips_updates(self) -> bool:
        """Whether a site's update is clipped as a whole."""
        return self.clipping is not None and self.sampling is None

    @property
    def reports_metrics(self) -> bool:
        """Whether a site may report about its own training: only where its update is in the clear anyway."""
        return not self.way.hides_updates and not self.private

    @property
    def trains_everything(self) -> bool:
        """Whether an update has every tensor."""
        return self.model.trained == EVERY_TENSOR and not self.model.local

    def weight_of(self, site: str) -> float:
        """The public weight of `site`; raises ConfigError where the roster lacks it."""
        if site not in self.weights:
            raise ConfigError(f"{site} is not in the roster {list(self.roster)}.")
        return self.weights[site]

    @property
    def max_clipping_norm(self) -> float | None:
        """The largest C that a round may have."""
        return None if self.clipping is None else self.clipping.max_norm

    @property
    def requested_norm(self) -> float | None:
        """C as a request names it: None where the terms of the job fix it."""
        return None if self.adaptive is None else self.clipping_norm

    def at_norm(self, clipping_norm: float | None) -> JobTerms:
        """The terms of a round with this C, where it is adaptive; raises ConfigError for none, or one out of bounds."""
        if self.clipping is None or self.adaptive is None:
            return self
        if clipping_norm is None:
            raise ConfigError("clipping_norm is None, expected the round's: the job's is adaptive")
        return replace(self, clipping=replace(self.clipping, norm=clipping_norm))

    def after(self, shares: Sequence[float]) -> JobTerms:
        """The terms of the round after those that released these shares of updates within C."""
        if self.adaptive is None or self.clipping is None:
            return self
        return self.at_norm(self.adaptive.norm_after(self.clipping.norm, shares))

    @property
    def events(self) -> tuple[GaussianEvent, ...]:
        """What a round does to a unit under differential privacy; nothing that counts without it."""
        if self.privacy is None:
            return ()
        return round_events(
            self.privacy.noise_multiplier, self.sampling_rate, self.weights.values(), shared=self.shared_patients
        )

    @property
    def noise_on_updates(self) -> float | None:
        """The noise on a coordinate of the sum over C: sigma, a little more where a patient's bit is counted, too."""
        if self.privacy is None or self.adaptive is None:
            return self.noise_multiplier
        return self.adaptive.update_noise_multiplier(self.privacy.noise_multiplier)

    @property
    def vector_norm(self) -> float | None:
        """The largest norm of what is summed: C, or a little more where a patient's bit stands behind the update."""
        if self.clipping is None or self.adaptive is None or self.privacy is None:
            return self.clipping_norm
        return self.clipping.norm * self.adaptive.stretch(self.privacy.noise_multiplier)

    @property
    def sensitivity(self) -> float | None:
        """By how much the weighted sum may change when one unit comes or goes: a vector times its weight."""
        if self.vector_norm is None:
            return None
        return sum_sensitivity(self.vector_norm, self.weights.values(), shared=self.shared_patients)

    @property
    def public_denominator(self) -> float | None:
        """The denominator of unit patient, ``q * N``; None where the weights give it."""
        return None if self.sampling is None else self.sampling.rate * self.sampling.patients

    @property
    def denominator(self) -> float:
        """What a private sum is divided by, whoever answered: q * N patients, or the sum of the sites' weights."""
        return self.public_denominator or math.fsum(self.weights.values())

    @property
    def implausible(self) -> float:
        """Chance with which an honest sum is refused, for drawing more patients than is plausible.

        That a sum was refused tells about it, without noise. With n sums in a job, each of two neighbouring runs is
        within ``n * chance`` in total variation of a run that refuses nothing, so that refusing adds at most
        ``(1 + e^epsilon) * n * chance`` to delta: a thousandth of it here. n is the rounds times the sites, whose sums
        are looked at one by one where they are in the clear.
        """
        if self.privacy is None or self.privacy.epsilon_budget is None:
            return IMPLAUSIBLE
        budget = self.privacy.epsilon_budget
        share = self.privacy.delta / (1000 * self.rounds * len(self.weights))
        return min(IMPLAUSIBLE, share * math.exp(-budget) / (1 + math.exp(-budget)))

    def sum_size(self, dimension: int) -> int:
        """Length of what is summed, for updates of length `dimension`."""
        return (dimension if self.projection is None else self.projection.size) + (self.adaptive is not None)

    def fixed_encoding(self, dimension: int) -> FixedPoint | None:
        """How what is summed becomes integers, for updates of length `dimension`; None in the clear."""
        return self.sum_encoding(self.sum_size(dimension))

    def sum_encoding(self, size: int) -> FixedPoint | None:
        """The same, for sums of length `size`."""
        if not self.encoded or self.vector_norm is None or self.sensitivity is None:
            return None
        # The encoding measures noise in the longest single vector, of which a shared patient may have several.
        vectors = self.sensitivity / (self.vector_norm * max(self.weights.values()))
        fixed = FixedPoint.derive(
            clipping_norm=self.vector_norm,
            weights=[self.weights[site] for site in self.roster],
            dimension=size,
            vectors_per_site=self.patients_per_site,
            noise_multiplier=(self.noise_multiplier or 0.0) * vectors,
            sampling_rate=self.sampling_rate,
        )
        if self.ring_bits is None:
            return fixed
        return fixed.in_narrow_words(NarrowWords(self.ring_bits, self.nonce.encode()))

    def patient_encoding(self, dimension: int) -> PatientEncoding:
        """How a patient's update of length `dimension` becomes integers; raises ConfigError under unit site."""
        fixed = self.fixed_encoding(dimension)
        if self.sampling is None or fixed is None or self.clipping is None:
            raise ConfigError(f"unit is {self.unit!r}, expected 'patient': a site's update is encoded as a whole")
        return PatientEncoding(dimension, self.clipping.norm, fixed, self._bit, self.projection)

    def mean_update(self, mean: Float64[np.ndarray, " summed"], dimension: int) -> Float64[np.ndarray, " d"]:
        """The mean update of length `dimension` in a mean over what was summed."""
        updates = mean if self.adaptive is None else mean[:-1]
        return updates if self.projection is None else self.projection.transpose(updates, dimension)

    def share(self, summed: Shaped[np.ndarray, " summed"]) -> float | None:
        """The share of the drawn patients whose updates were within C, in a noised sum; None where C is fixed.

        Cut to [0, 1], which is after the noise. Where fewer answered than the denominator says, it lies nearer to 1/2.
        """
        fixed = self.sum_encoding(summed.size)
        if self._bit is None or fixed is None or self.public_denominator is None:
            return None
        counted = int(summed[-1]) * fixed.clipping_norm / (fixed.scale * max(self.weights.values()) * 2 * self._bit)
        return min(max(counted / self.public_denominator + 0.5, 0.0), 1.0)

    @property
    def _bit(self) -> float | None:
        if self.adaptive is None or self.clipping is None or self.privacy is None:
            return None
        return self.adaptive.bit(self.clipping.norm, self.privacy.noise_multiplier)

    @cached_property
    def digest(self) -> str:
        """SHA-256 hex of the terms as canonical JSON."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


_PARTS: Final[Mapping[str, type]] = {
    "sites": Roster,
    "model": TrainedModel,
    "clipping": Clipping,
    "projection": RandomProjection,
    "privacy": Privacy,
    "sampling": Sampling,
    "evaluation": Evaluation,
}
