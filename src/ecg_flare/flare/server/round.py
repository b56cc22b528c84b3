"""A round at the server: `federated.round`, held to the request that the sites answer and to the ledger."""

import numpy as np
from jaxtyping import Float32, Int64

from ecg_flare.errors import PrivacyError, UpdateError
from ecg_flare.federated.round import OpenRound, RoundResult
from ecg_flare.federated.update import check_layout
from ecg_flare.flare.job.messages import TrainRequest, TrainResult
from ecg_flare.flare.server.mechanism import AdmittedRound, ChargedRound


class ServerRound:
    """A round at the server: what the sites' answers must match, the open sum, and the noise that will close it.

    request, terms: of the round.
    opened: the round of `federated.round`.
    admitted: the round's place in the ledger; None where the terms promise nothing.
    """

    def __init__(self, request: TrainRequest, opened: OpenRound, admitted: AdmittedRound | None) -> None:
        self.request, self.terms = request, opened.terms
        self._opened, self._admitted = opened, admitted
        self._charged: ChargedRound | None = None

    def add(self, site: str, result: TrainResult) -> None:
        """Add a site's update to the sum.

        Raises:
            UpdateError: the result is stale, of another layout or length, not finite, in the clear where it must be
                encoded (or the other way round), or the site's second one; the sum is as before.
        """
        request = self.request
        answers = result.round_index, result.attempt, result.clipping_norm
        if answers != (request.round_index, request.attempt, request.clipping_norm):
            raise UpdateError(
                f"the update answers round {result.round_index}, attempt {result.attempt[:8]}, clipping norm "
                f"{result.clipping_norm}; this is round {request.round_index}, attempt {request.attempt[:8]}, "
                f"clipping norm {request.clipping_norm}"
            )
        check_layout(result.layout_digest, expected=request.layout_digest)
        if result.encoded != self.terms.encoded:
            found, expected = ("encoded", "plain") if result.encoded else ("plain", "encoded")
            raise UpdateError(f"the update is {found}, this job's are {expected}")
        self._opened.add(site, result.vector)

    def add_total(self, sites: tuple[str, ...], total: Int64[np.ndarray, " d"], *, weight: float | None = None) -> None:
        """Take the sum of several sites' encoded updates, which a secure aggregation recovered.

        It has the round's noise where that was drawn already (`draw_noise`). `weight` is the sites' total weight where
        single weights are hidden. Raises UpdateError as `add`.
        """
        self._opened.add_total(sites, total, noised=self._charged is not None, weight=weight)

    def draw_noise(self) -> Int64[np.ndarray, " d"] | None:
        """Charge the ledger and draw the round's noise, for a sum that is recovered with its noise on it.

        None where the terms promise nothing. Raises PrivacyError for a second time, and for a sum that gets its noise
        afterwards.
        """
        if self._admitted is None:
            return None
        if not self.terms.way.noise_before_recovery:
            raise PrivacyError(f"the noise of a {self.terms.summation} sum goes on it after it was recovered")
        self._charged = self._admitted.charge()
        return self._charged.noise

    def close(self) -> RoundResult:
        """Put the noise on the sum, where it has none yet, and move the model; raises as `OpenRound.close`."""
        if self._admitted is None or self._charged is not None:
            return self._opened.close()
        if self.terms.way.noise_before_recovery:
            raise PrivacyError("the sum was recovered before its noise was drawn, so it is not used")
        return self._opened.close(self._noised)

    def release(self, model: Float32[np.ndarray, " model"], result: RoundResult) -> None:
        """Write down in the ledger, where there is one, what is about to be released."""
        if self._charged is not None:
            self._charged.release(model, result)

    def _noised(self, total: Int64[np.ndarray, " d"]) -> Int64[np.ndarray, " d"]:
        assert self._admitted is not None
        self._charged = self._admitted.charge()
        return total + self._charged.noise
