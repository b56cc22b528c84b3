"""FedAvg, FedProx, FedAvgM, FedAdam, FedYogi and FedAdagrad as FLARE aggregators that stream.

An update is added to one running sum the moment it arrives and is dropped, so that the server holds a fixed number of
model-sized buffers, whatever the number of sites. The mathematics stands in `federated.round` and
`federated.optimizers`.
"""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.aggregator import Aggregator

from ecg_flare.errors import EcgFlareError, UpdateError
from ecg_flare.federated.optimizers import FedAdagrad as AdagradStep
from ecg_flare.federated.optimizers import FedAdam as AdamStep
from ecg_flare.federated.optimizers import FedAvg as AverageStep
from ecg_flare.federated.optimizers import FedAvgM as MomentumStep
from ecg_flare.federated.optimizers import FedYogi as YogiStep
from ecg_flare.federated.optimizers import ServerOptimizer
from ecg_flare.federated.robust.rule import RobustRule
from ecg_flare.federated.round import OpenRound, check_rule
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TrainRequest, TrainResult
from ecg_flare.flare.job.terms import put, take
from ecg_flare.flare.server.mechanism import AdmittedRound
from ecg_flare.flare.server.round import ServerRound


class UpdateAggregator(Aggregator):
    """Sums the updates of one round and moves the global model by their mean.

    The workflow opens a round, has it filled, and closes it. FLARE's own controllers use `accept` and `aggregate`.
    """

    def __init__(self, optimizer: ServerOptimizer, rule: RobustRule | None = None) -> None:
        """`rule` makes the mean of single updates, which no sum that hides them can serve; None averages them."""
        super().__init__()
        self._optimizer = optimizer
        self._rule = rule
        self._round: ServerRound | None = None

    @property
    def description(self) -> str:
        """The rule, the optimizer and their settings in one line: what a saved state belongs to."""
        return repr(self._optimizer) if self._rule is None else f"{self._rule!r}, {self._optimizer!r}"

    @property
    def settings(self) -> dict[str, float]:
        """The settings of rule and optimizer by name."""
        rule = {} if self._rule is None else vars(self._rule)
        return {**{name: value for name, value in rule.items() if value is not None}, **asdict(self._optimizer)}

    def check(self, terms: JobTerms) -> None:
        """Raise ConfigError where the rule cannot work under these terms."""
        if self._rule is not None:
            check_rule(self._rule, terms)

    def open(
        self,
        request: TrainRequest,
        terms: JobTerms,
        state: Mapping[str, np.ndarray] | None = None,
        admitted: AdmittedRound | None = None,
    ) -> ServerRound:
        """Open a round whose answers must belong to this request and these terms.

        `state` holds the optimizer's arrays, by default those before the first round.
        """
        model = take(terms, request.model)
        before = self._optimizer.init(model.size) if state is None else self._optimizer.from_arrays(state, model.size)
        self._round = ServerRound(request, OpenRound(terms, model, before, self._optimizer, self._rule), admitted)
        return self._round

    def initial_state(self, dimension: int) -> dict[str, np.ndarray]:
        """The optimizer's arrays before the first round."""
        return self._optimizer.init(dimension).to_arrays()

    def reset(self, fl_ctx: FLContext) -> None:
        """Forget the round."""
        self._round = None

    def accept(self, shareable: Shareable, fl_ctx: FLContext) -> bool:
        """FLARE's way to `add`: the site is the authenticated peer. Gives False, and logs why, for what is refused."""
        site = fl_ctx.get_peer_context().get_identity_name()
        try:
            self._opened().add(site, TrainResult.from_shareable(shareable))
        except EcgFlareError as error:
            self.log_error(fl_ctx, f"{site} is out: {error}", fire_event=False)
            return False
        return True

    def aggregate(self, fl_ctx: FLContext) -> Shareable:
        """FLARE's way to `close`: the difference of the global model and the next one."""
        opened = self._opened()
        result = opened.close()
        model = put(opened.terms, opened.request.model, result.model)
        opened.release(model, result)
        self.reset(fl_ctx)
        return DXO(DataKind.WEIGHT_DIFF, data={"model": model - opened.request.model}).to_shareable()

    def _opened(self) -> ServerRound:
        if self._round is None:
            raise UpdateError("no round is open: updates can be summed only between a request and its close")
        return self._round


class FedAvg(UpdateAggregator):
    """x <- x + eta * D; with eta = 1 the weighted mean of the local models (McMahan et al. 2017)."""

    def __init__(self, learning_rate: float = 1.0) -> None:
        super().__init__(AverageStep(learning_rate))


class FedProx(FedAvg):
    """FedAvg's step; the proximal term is in the sites' training (Li et al. 2020), see `NnunetExecutor`."""


class FedAvgM(UpdateAggregator):
    """FedAvg with Nesterov's momentum over the rounds (Hsu et al. 2019)."""

    def __init__(self, learning_rate: float = 0.7, momentum: float = 0.9) -> None:
        super().__init__(MomentumStep(learning_rate, momentum))


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
