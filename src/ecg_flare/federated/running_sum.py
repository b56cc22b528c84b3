"""The sum of a round's updates as they arrive, in the memory of one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from ecg_flare.errors import EncodingError, UpdateError
from ecg_flare.federated.patients import IMPLAUSIBLE, max_drawn_weight
from ecg_flare.federated.update import check_update
from ecg_flare.privacy.secure_sum.encoding import FixedPoint


class RunningSum:
    """Adds updates one by one and keeps none of them.

    In the clear it holds ``sum_s w_s * x_s`` in float64. Then the order of arrival can move a coordinate by at most
    ``n * 2^-53`` of ``sum_s |w_s * x_s|``, which after rounding to float32 is a unit in the last place at most. With
    a fixed point it adds what the sites encoded, weights included, and is exact in any order.

    Under differential privacy (`fixed` has noise) the mean is over the whole roster, whoever answered, since a
    denominator that depends on the answers would change the sensitivity. Otherwise it is over those who answered.

    In fixed point a sum may be no longer than clipped vectors can make it: under unit patient those of as many
    patients as are drawn, but for a chance of `implausible`. That bounds what a site can put in that does not clip.

    weights: public weight of each site of the roster.
    implausible: chance that an honest round's draw passes the bound and is refused.
    """

    def __init__(
        self,
        dimension: int,
        weights: Mapping[str, float],
        fixed: FixedPoint | None = None,
        *,
        implausible: float = IMPLAUSIBLE,
    ) -> None:
        self.total: Shaped[np.ndarray, " d"] = np.zeros(dimension, dtype=np.float64 if fixed is None else np.int64)
        self._weights = dict(weights)
        self._fixed = fixed
        self._implausible = implausible
        self._answered: set[str] = set()
        self._hidden_weight: float | None = None

    @property
    def sites(self) -> tuple[str, ...]:
        """Who is in the sum, in sorted order."""
        return tuple(sorted(self._answered))

    @property
    def denominator(self) -> float:
        """What makes the sum a mean."""
        if self._fixed is not None and self._fixed.noise_multiplier > 0:
            return math.fsum(self._weights.values())
        if self._hidden_weight is not None:
            return self._hidden_weight
        return math.fsum(self._weights[site] for site in self._answered)

    def add(self, site: str, contribution: Shaped[np.ndarray, " d"]) -> None:
        """Add a site's update (float32) or, with a fixed point, what it encoded (int32 or int64).

        Raises UpdateError, with the sum as it was, for a site that is not on the roster or already in, and for a
        vector of another type or length, not finite, or larger than one site may send.
        """
        if site not in self._weights:
            raise UpdateError(f"{site} is not on the roster {sorted(self._weights)}")
        if site in self._answered:
            raise UpdateError(f"{site} is in the sum already, expected one update from each site")
        if self._fixed is None:
            check_update(contribution, size=self.total.size)
            self.total += np.multiply(contribution, self._weights[site], dtype=np.float64)
        else:
            self._check_encoded(site, contribution, self._fixed)
            self.total += contribution
        self._answered.add(site)

    def add_total(
        self,
        sites: Iterable[str],
        total: Int64[np.ndarray, " d"],
        *,
        noised: bool = False,
        weight: float | None = None,
    ) -> None:
        """Add what several sites encoded, summed already: a recovered sum, with its noise where `noised`.

        `weight` is the sites' total weight where single weights are hidden; the roster's weights then bound them.

        Raises UpdateError, with the sum as it was, for a site that is not on the roster or already in, in the clear,
        and for a total that these sites cannot have given.
        """
        new = set(sites)
        if self._fixed is None or not new <= set(self._weights) or new & self._answered:
            kind = "in the clear" if self._fixed is None else "in fixed point"
            raise UpdateError(
                f"a total of {sorted(new)} cannot be added to the sum {kind} of {list(self.sites)}; the roster is "
                f"{sorted(self._weights)}"
            )
        try:
            self._fixed.check_sum(total, noised=noised)
            drawn = self._drawn_weight(new, self._fixed) if weight is None else weight
            self._fixed.check_total_norm(total, drawn, noised=noised)
        except EncodingError as error:
            raise UpdateError(f"the total of {sorted(new)}: {error}") from error
        self.total += total
        self._answered |= new
        if weight is not None:
            self._hidden_weight = (self._hidden_weight or 0.0) + weight

    def mean(
        self, total: Shaped[np.ndarray, " d"] | None = None, denominator: float | None = None
    ) -> Float64[np.ndarray, " d"]:
        """The mean update: of the sum, or of `total` where noise was added to it, over another public `denominator`.

        Raises UpdateError where nobody answered and no public denominator is fixed.
        """
        total = self.total if total is None else total
        denominator = self.denominator if denominator is None else denominator
        if not denominator > 0:
            raise UpdateError("nobody is in the sum, so it has no mean")
        if self._fixed is not None:
            return self._fixed.decode(total, denominator)
        mean: Float64[np.ndarray, " d"] = total / denominator
        return mean

    def _check_encoded(self, site: str, contribution: Shaped[np.ndarray, " d"], fixed: FixedPoint) -> None:
        if contribution.dtype not in (np.int32, np.int64) or contribution.shape != self.total.shape:
            raise UpdateError(
                f"{site} sent {contribution.dtype} of shape {contribution.shape}, expected {self.total.size} integers "
                "in fixed point"
            )
        try:
            fixed.check_contribution(contribution)
            fixed.check_total_norm(contribution.astype(np.int64, copy=False), self._drawn_weight([site], fixed))
        except EncodingError as error:
            raise UpdateError(f"{site}: {error}") from error

    def _drawn_weight(self, sites: Iterable[str], fixed: FixedPoint) -> float:
        weights = [self._weights[site] for site in sites]
        return max_drawn_weight(weights, fixed.vectors_per_site, fixed.sampling_rate, chance=self._implausible)
