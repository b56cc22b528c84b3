"""A clipping norm that follows a quantile of the patients' update norms, and what asking for that quantile costs.

Andrew, Thakkar, McMahan & Ramaswamy 2021, "Differentially Private Learning with Adaptive Clipping" (arXiv 1905.03871,
algorithm 1). Beside the clipped update each patient gives a bit b: whether the update was within C. With the quantile
gamma, the rate eta, and the noised share of the ones,

    C <- C * exp(-eta * (share - gamma))

The bit is sent as b - 1/2, which moves the sum by 1/2 at most, and as one more coordinate of the update, in the unit in
which sum and bits can have the same noise:

    v = (clip(x, C), (b - 1/2) * C * z_u / sigma_b),    |v| <= C * z_u / z

z is the round's noise multiplier, sigma_b the standard deviation of the noise on the sum of the bits, and
``z_u = (z^-2 - (2 sigma_b)^-2)^(-1/2)`` the noise multiplier that is left for the update (theorem 1). A round is one
Gaussian mechanism with multiplier z over vectors of a known length: events, ledger and accountants take it as any
other, and its price is that z_u is above z.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ecg_flare.errors import ConfigError, PrivacyError

_RATE = 0.2
_MIN_COUNT_NOISE = 2.5  # in noise multipliers: the update's noise then grows by 2 %
_SPAN = 10.0

FOLLOWS_WITHIN = 1e-9
"""Relative difference at which two parties' exponentials count as the same."""


@dataclass(frozen=True)
class AdaptiveClipping:
    """How C follows the updates.

    quantile: gamma, the share of the patients' updates that C should let through whole.
    rate: eta; C changes by a factor of at most exp(eta) in a round.
    count_noise: sigma_b, standard deviation of the noise on the sum of the bits.
    least, most: bounds of C.

    >>> rule = AdaptiveClipping(quantile=0.5, rate=0.2, count_noise=5.0, least=0.1, most=10.0)
    >>> round(rule.next_norm(1.0, share=1.0), 4), round(rule.update_noise_multiplier(1.0), 5)
    (0.9048, 1.00504)

    Raises ConfigError for an impossible value.
    """

    quantile: float
    rate: float
    count_noise: float
    least: float
    most: float

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1:
            raise ConfigError(f"adaptive clipping: quantile is {self.quantile}, expected it in (0, 1)")
        for name in ("rate", "count_noise", "least", "most"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"adaptive clipping: {name} is {value}, expected a positive number")
        if self.least > self.most:
            raise ConfigError(f"adaptive clipping: least is {self.least}, above most={self.most}")

    def check(self, clipping_norm: float, noise_multiplier: float) -> None:
        """Raise ConfigError for a C outside the bounds, and for bits whose noise leaves none for the update."""
        if not self.least <= clipping_norm <= self.most:
            raise ConfigError(
                f"clipping_norm is {clipping_norm}, expected it within adaptive clipping's {self.least} to {self.most}"
            )
        if not 2 * self.count_noise > noise_multiplier:
            raise ConfigError(
                f"adaptive clipping: count_noise is {self.count_noise}, expected more than half the noise multiplier "
                f"{noise_multiplier}: below that the count alone costs more than the round may"
            )

    def stretch(self, noise_multiplier: float) -> float:
        """``z_u / z``: how much longer than C an update with its bit is, and by how much the update's noise grows."""
        return 1 / math.sqrt(1 - (noise_multiplier / (2 * self.count_noise)) ** 2)

    def update_noise_multiplier(self, noise_multiplier: float) -> float:
        """z_u, the noise on an update's coordinate over C."""
        return noise_multiplier * self.stretch(noise_multiplier)

    def bit(self, clipping_norm: float, noise_multiplier: float) -> float:
        """The coordinate of an update within C; of one beyond it, its negative."""
        return clipping_norm * self.update_noise_multiplier(noise_multiplier) / (2 * self.count_noise)

    def next_norm(self, clipping_norm: float, share: float) -> float:
        """C of the next round.

        Raises PrivacyError for a share outside [0, 1].
        """
        if not 0 <= share <= 1:
            raise PrivacyError(f"adaptive clipping: a share of {share} was reported, expected it from 0 to 1")
        return min(max(clipping_norm * math.exp(-self.rate * (share - self.quantile)), self.least), self.most)

    def norm_after(self, start: float, shares: Iterable[float]) -> float:
        """C after rounds with these shares, from the first round's on; raises as `next_norm`."""
        norm = start
        for share in shares:
            norm = self.next_norm(norm, share)
        return norm


def suggested(
    quantile: float, *, clipping_norm: float, noise_multiplier: float, expected_patients: float
) -> AdaptiveClipping:
    """The paper's settings: eta 0.2, and count noise of a twentieth of the patients that a round expects.

    With few patients that is raised to 2.5 noise multipliers, which lengthens the update's noise by 2 %. C stays within
    a factor of 10 of `clipping_norm`: sites hold their own limit against the most that it may be.

    Raises ConfigError for an impossible value.
    """
    return AdaptiveClipping(
        quantile=quantile,
        rate=_RATE,
        count_noise=max(expected_patients / 20, _MIN_COUNT_NOISE * noise_multiplier),
        least=clipping_norm / _SPAN,
        most=clipping_norm * _SPAN,
    )
