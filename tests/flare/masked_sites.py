"""A site of a masked job as FLARE drives it, without FLARE's processes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.ledger_messages import WITNESS
from ecg_flare.flare.job.messages import TRAIN, TrainRequest, TrainResult
from ecg_flare.flare.job.terms import update_size
from ecg_flare.flare.site.filters import ClipUpdate, StripResult
from ecg_flare.flare.site.heads import LedgerWitness, WitnessExecutor
from ecg_flare.flare.summation.masked import SUMMATION
from ecg_flare.flare.summation.masked.site import MaskUpdate, SecureSumExecutor, SecureSumSite
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import parameter_count
from flat_terms import flat_terms

PLAN = plan_preset("tiny")
D = parameter_count(PLAN)
TERMS = flat_terms(
    dict.fromkeys(("site-1", "site-2", "site-3"), 1.0), 2, min_sites=3, clipping_norm=1.0, summation="masked"
)


class Site:
    """One site as FLARE drives it: event, training, result filters, control tasks."""

    def __init__(
        self, name: str, context: Callable[..., Any], *, terms: JobTerms = TERMS, pages: int = 0, scale: float = 0.5
    ) -> None:
        self._pages = pages
        size = update_size(terms, D)
        self._update = np.full(size, scale / np.sqrt(size), np.float32)
        self._component, self._witness = SecureSumSite(), LedgerWitness()
        self._filters = [
            *([ClipUpdate()] if terms.clips_updates else []),
            StripResult(),
            *([MaskUpdate()] if terms.way.hides_updates else []),
        ]
        self.fl_ctx = context(name=name, terms=terms, secure_sum=self._component, witness=self._witness)
        self.fl_ctx.get_prop(FLContextKey.RUNNER).task_result_filters[f"{TRAIN}/out"] = self._filters
        self.root = Path(self.fl_ctx.get_engine().get_workspace().get_root_dir())

    def answer(self, task: str, message: Shareable) -> Shareable:
        if task in SUMMATION.site.tasks:
            return SecureSumExecutor().execute(task, message, self.fl_ctx, Signal())
        self.fl_ctx.set_prop(FLContextKey.TASK_DATA, message, private=True, sticky=False)
        if task == WITNESS:
            return WitnessExecutor().execute(task, message, self.fl_ctx, Signal())
        request = TrainRequest.from_shareable(message)
        for one in (self._component, self._witness):
            one.handle_event(EventType.BEFORE_TASK_EXECUTION, self.fl_ctx)
        result = self.reply(request).to_shareable()
        self.fl_ctx.set_prop(FLContextKey.TASK_DATA, None, private=True, sticky=False)  # as FLARE does
        for one in self._filters:
            result = one.process(result, self.fl_ctx)
        return result

    def reply(self, request: TrainRequest) -> TrainResult:
        """What the executor hands to the filters."""
        return TrainResult(
            self._update, request.round_index, request.attempt, request.layout_digest, {"loss": 1.0}, self._pages
        )
