"""The updates of a round, kept one by one for a rule that must see each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.errors import ConfigError, UpdateError
from ecg_flare.federated.robust.rule import RobustRule
from ecg_flare.federated.update import check_update
from ecg_flare.privacy.secure_sum.chunks import squared_norm


class SingleUpdates:
    """Keeps the update of each site, in the clear, and makes their mean by a robust rule.

    It holds as many vectors as there are sites, in float32. It cannot stand where updates are hidden, nor under noise:
    the sensitivity of a robust rule is not that of a sum.

    The result does not depend on the order of arrival: the rule sees the updates in the sorted order of the sites.

    dimension: length of an update.
    weights: public weight of each site of the roster.
    rule: how single updates become one mean update.
    clipping_norm: C, the largest L2 norm of an update; None takes any length.

    Raises ConfigError where the rule cannot work with so many sites.
    """

    def __init__(
        self, dimension: int, weights: Mapping[str, float], rule: RobustRule, *, clipping_norm: float | None = None
    ) -> None:
        rule.check(len(weights))
        self._weights = dict(weights)
        self._rule = rule
        self._clipping_norm = clipping_norm
        self._rows = {site: row for row, site in enumerate(sorted(weights))}
        self._updates: Float32[np.ndarray, "n d"] = np.zeros((len(weights), dimension), dtype=np.float32)
        self._answered: set[str] = set()

    @property
    def sites(self) -> tuple[str, ...]:
        """Whose updates are in, in sorted order."""
        return tuple(sorted(self._answered))

    def add(self, site: str, update: Float32[np.ndarray, " d"]) -> None:
        """Keep a copy of a site's update.

        Raises UpdateError, with all as it was, for a site that is not on the roster or already in, and for a vector of
        another type or length, not finite, or longer than the clipping norm.
        """
        if site not in self._rows:
            raise UpdateError(f"{site} is not on the roster {sorted(self._rows)}")
        if site in self._answered:
            raise UpdateError(f"the update of {site} is in already, expected one update from each site")
        check_update(update, size=self._updates.shape[1])
        if self._clipping_norm is not None and (norm := math.sqrt(squared_norm(update))) > self._clipping_norm:
            raise UpdateError(f"the update of {site} has the norm {norm}, expected at most {self._clipping_norm}")
        self._updates[self._rows[site]] = update
        self._answered.add(site)

    def mean(self) -> Float64[np.ndarray, " d"]:
        """The rule's mean of the updates of those who answered.

        Raises UpdateError where these are too few for the rule.
        """
        sites = self.sites
        try:
            self._rule.check(len(sites))
        except ConfigError as error:
            raise UpdateError(f"the updates of {list(sites)} have no mean: {error}") from error
        everyone = len(sites) == len(self._rows)
        updates = self._updates if everyone else self._updates[[self._rows[site] for site in sites]]
        return self._rule.combine(updates, np.array([self._weights[site] for site in sites], dtype=np.float64))
