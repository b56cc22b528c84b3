"""FedAvg, FedProx, FedAdam, FedYogi and FedAdagrad as FLARE aggregators that stream.

An update is added to one running sum the moment it arrives and is dropped, so that the server holds a fixed number of
model-sized buffers, whatever the number of sites. The mathematics stands in `federated.round` and
`federated.optimizers`.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Int64
from nvflare.apis.dxo import DXO, from_shareable
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.aggregator import Aggregator

from ecg_flare.errors import EcgFlareError, UpdateError
from ecg_flare.federated.optimizers import FedAdagrad as AdagradStep
from ecg_flare.federated.optimizers import FedAdam as AdamStep
from ecg_flare.federated.optimizers import FedAvg as AverageStep
from ecg_flare.federated.optimizers import FedYogi as YogiStep
from ecg_flare.federated.optimizers import ServerOptimizer
from ecg_flare.federated.running_sum import RunningSum
from ecg_flare.federated.update import check_layout
from ecg_flare.flare.job.messages import SUM, TrainRequest, TrainResult
from ecg_flare.flare.job.terms import RoundTerms


class UpdateAggregator(Aggregator):
    """Sums the updates of one round and moves the global model by their mean."""

    needs_single_updates: ClassVar[bool] = False
    """Whether the rule compares single updates (Krum, median, trimmed mean): no sum that hides them can serve it."""

    def __init__(self, optimizer: ServerOptimizer) -> None:
        super().__init__()
        self._optimizer = optimizer
        self._request: TrainRequest | None = None
        self._terms: RoundTerms | None = None
        self._sum: RunningSum | None = None

    @property
    def description(self) -> str:
        """The optimizer and its settings in one line: what a saved state belongs to."""
        return repr(self._optimizer)

    @property
    def settings(self) -> dict[str, float]:
        """The optimizer's settings by name."""
        return asdict(self._optimizer)

    def begin(self, request: TrainRequest, terms: RoundTerms) -> None:
        """Start an empty sum for a round; what is added must belong to this request and these terms."""
        self._request = request
        self._terms = terms
        size = terms.update_size(len(request.model))
        self._sum = RunningSum(
            terms.config.sum_size(size),
            terms.weights,
            terms.config.fixed_encoding(size),
            implausible=terms.implausible,
        )

    def add(self, site: str, reply: TrainResult) -> None:
        """Add a site's update to the sum.

        Raises:
            UpdateError: the reply is stale, of another layout or length, not finite, in the clear where it must be
                encoded (or the other way round), or the site's second one; the sum is as before.
        """
        request, terms, total = self._round()
        answers = reply.round_index, reply.attempt, reply.clipping_norm
        if answers != (request.round_index, request.attempt, request.clipping_norm):
            raise UpdateError(
                f"the update answers round {reply.round_index}, attempt {reply.attempt[:8]}, clipping norm "
                f"{reply.clipping_norm}; this is round {request.round_index}, attempt {request.attempt[:8]}, "
                f"clipping norm {request.clipping_norm}"
            )
        check_layout(reply.layout_digest, expected=request.layout_digest)
        if reply.encoded != terms.config.encoded:
            found, expected = ("encoded", "plain") if reply.encoded else ("plain", "encoded")
            raise UpdateError(f"the update is {found}, this job's are {expected}")
        total.add(site, reply.vector)

    def add_total(
        self,
        sites: tuple[str, ...],
        total: Int64[np.ndarray, " d"],
        *,
        noised: bool = False,
        weight: float | None = None,
    ) -> None:
        """Take the sum of several sites' encoded updates, which a secure sum opened; raises UpdateError as `add`.

        `noised` says that it was opened with its noise on it; `weight` is the sites' total weight where single
        weights are hidden.
        """
        _, _, running = self._round()
        running.add_total(sites, total, noised=noised, weight=weight)

    def reset(self, fl_ctx: FLContext) -> None:
        """Forget the round."""
        self._request = self._terms = self._sum = None

    def accept(self, shareable: Shareable, fl_ctx: FLContext) -> bool:
        """FLARE's way to `add`: the site is the authenticated peer. Gives False, and logs why, for what is refused."""
        site = fl_ctx.get_peer_context().get_identity_name()
        try:
            self.add(site, TrainResult.from_shareable(shareable))
        except EcgFlareError as error:
            self.log_error(fl_ctx, f"{site} is out: {error}", fire_event=False)
            return False
        return True

    def aggregate(self, fl_ctx: FLContext) -> Shareable:
        """The round's sum, weighted, and the denominator that makes it a mean."""
        _, terms, total = self._round()
        denominator = terms.config.public_denominator or total.denominator
        return DXO(SUM, data={"sum": total.total}, meta={"denominator": denominator}).to_shareable()

    def step(
        self, model: Float32[np.ndarray, " d"], summed: Shareable, state: Mapping[str, np.ndarray]
    ) -> tuple[Float32[np.ndarray, " d"], dict[str, np.ndarray]]:
        """The trained values of the global model and the optimizer's state after moving by the mean of `summed`."""
        _, terms, total = self._round()
        dxo = from_shareable(summed)
        mean = terms.config.mean_update(total.mean(dxo.data["sum"], terms.config.public_denominator), len(model))
        after, moved = self._optimizer.step(self._optimizer.from_arrays(state, len(model)), model, mean)
        return moved, after.to_arrays()

    def share(self, summed: Shareable) -> float | None:
        """The noised share of the drawn patients whose updates were within C; None where C is fixed."""
        _, terms, _ = self._round()
        return terms.config.share(from_shareable(summed).data["sum"])

    def initial_state(self, dimension: int) -> dict[str, np.ndarray]:
        """The optimizer's arrays before the first round."""
        return self._optimizer.init(dimension).to_arrays()

    def _round(self) -> tuple[TrainRequest, RoundTerms, RunningSum]:
        if self._request is None or self._terms is None or self._sum is None:
            raise UpdateError("no round is open: updates can be summed only between a request and its close")
        return self._request, self._terms, self._sum


class FedAvg(UpdateAggregator):
    """x <- x + eta * D; with eta = 1 the weighted mean of the local models (McMahan et al. 2017)."""

    def __init__(self, learning_rate: float = 1.0) -> None:
        super().__init__(AverageStep(learning_rate))


class FedProx(FedAvg):
    """FedAvg's step; the proximal term is in the sites' training (Li et al. 2020), see `NnunetExecutor`."""


class FedAdam(UpdateAggregator):
    """Adam at the server, without bias correction (Reddi et al. 2021, algorithm 2)."""

    def __init__(self, learning_rate: float = 0.1, beta1: float = 0.9, beta2: float = 0.99, tau: float = 1e-3) -> None:
        super().__init__(AdamStep(learning_rate, beta1, beta2, tau))


class FedYogi(UpdateAggregator):
    """Yogi at the server (Reddi et al. 2021, algorithm 2)."""

    def __init__(self, learning_rate: float = 0.1, beta1: float = 0.9, beta2: float = 0.99, tau: float = 1e-3) -> None:
        super().__init__(YogiStep(learning_rate, beta1, beta2, tau))


class FedAdagrad(UpdateAggregator):
    """Adagrad at the server (Reddi et al. 2021, algorithm 2)."""

    def __init__(self, learning_rate: float = 0.1, beta1: float = 0.9, tau: float = 1e-3) -> None:
        super().__init__(AdagradStep(learning_rate=learning_rate, beta1=beta1, tau=tau))
