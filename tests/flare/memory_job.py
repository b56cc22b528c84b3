"""A whole masked job without FLARE's processes: the real workflow, collection, filters and sites in one thread."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from masked_sites import Site
from memory_ask import MemoryAsk
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.server.aggregators import FedAdam
from ecg_flare.flare.server.evaluator import PublicEvaluator
from ecg_flare.flare.server.mechanism import GaussianMechanism
from ecg_flare.flare.server.persistor import ModelStore
from ecg_flare.flare.server.policy import LEDGER_FILE
from ecg_flare.flare.server.workflow import FederatedRounds
from ecg_flare.flare.site.policy import POLICY_FILE
from ecg_flare.nnunet.plan import parameter_count


class MemoryJob(FederatedRounds):
    """Asks each site in turn; `out` has (task, site, why) of what did not count, `ledger` is the server's."""

    def __init__(self, context: Callable[..., Any], terms: JobTerms, folder: Path) -> None:
        super().__init__(mechanism="mechanism")
        self.fl_ctx = context(
            name="server",
            terms=terms,
            aggregator=FedAdam(),
            persistor=ModelStore(folder=str(folder)),
            evaluator=NoEvaluator(),
            mechanism=GaussianMechanism(),
        )
        self._engine = self.fl_ctx.get_engine()
        self.sites = {name: Site(name, context, terms=terms) for name in terms.roster}
        self.ledger = Path(self._engine.get_workspace().get_root_dir()) / LEDGER_FILE
        self.out: list[tuple[str, str, str]] = []
        self.panic = ""

    def run(self) -> None:
        """The job, from its start or from where its folder says."""
        self.control_flow(Signal(), self.fl_ctx)
        self.stop_controller(self.fl_ctx)

    def set_policy(self, site: str, text: str) -> None:
        """Write a site's policy file."""
        (self.sites[site].root / "local" / POLICY_FILE).write_text(text, encoding="utf-8")

    def ask(  # type: ignore[override]
        self, task_name: str, messages: Mapping[str, Shareable], receive: Callable[..., None], **others: Any
    ) -> tuple[str, ...]:
        return MemoryAsk(self.sites, out=self.out)(task_name, messages, receive)

    def system_panic(self, reason: str, fl_ctx: FLContext) -> None:
        self.panic = reason

    def fire_event(self, event_type: str, fl_ctx: FLContext) -> None: ...


class NoEvaluator(PublicEvaluator):
    """Starts from zeros and measures nothing."""

    def start_model(self, start: str, plan: Any, fl_ctx: FLContext) -> Any:
        return np.zeros(parameter_count(plan), np.float32)

    def evaluate(self, model: Any, plan: Any, fl_ctx: FLContext) -> float:
        return 0.5

    def export(self, model: Any, plan: Any, folder: Path) -> None: ...

    def source_spec(self, fl_ctx: FLContext) -> dict[str, Any]:
        return {}
