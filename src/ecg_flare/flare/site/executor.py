"""The site's side of a round: FLARE hands over a task, a child process trains the network, the update goes back.

Training runs in a child process (`nnunet.worker`), because a FLARE job dies with a site's job process: the child's
death costs this site one round instead. Nothing has to be carried from one task to the next: a round depends only on
the global model, the site's prepared cases (cached on disk by content) and the seed, so an executor that FLARE throws
away between tasks and one that it keeps give the same update. Without a seed of the job each attempt has a secret one.
Tensors that a job leaves to its sites (`TrainedModel.local`) are kept on disk by round. They are cut off the update
here, before any filter sees it.
"""

import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from jaxtyping import Float32
from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal

from ecg_flare.errors import EcgFlareError, PrivacyError
from ecg_flare.extensions import load_environment
from ecg_flare.federated.terms import JobTerms
from ecg_flare.federated.update import check_update
from ecg_flare.flare.job.components import job_plan, job_terms, report_error, round_terms, site_pages
from ecg_flare.flare.job.extensions import load_owners_extensions
from ecg_flare.flare.job.messages import (
    MAX_METRIC,
    TRAIN,
    VALIDATE,
    Counts,
    TrainRequest,
    TrainResult,
    error_reply,
    to_wire,
)
from ecg_flare.flare.job.terms import check_request, hidden_weight, in_request, subset, take
from ecg_flare.flare.site.filters import check_filters
from ecg_flare.flare.site.heads import follow_ledger
from ecg_flare.flare.site.ledger import check_limit
from ecg_flare.flare.site.memory import check_model, model_memory, own_tensors
from ecg_flare.flare.site.policy import read_policy
from ecg_flare.nnunet.commands import CountCommand, TrainCommand, TrainPatientsCommand, prepare_command
from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.nnunet.settings import Compute, TrainingSettings
from ecg_flare.nnunet.worker import Worker

_SEED_BITS: Final = 128
_logger = logging.getLogger(__name__)


class NnunetExecutor(Executor):
    """Trains and validates the global model on this site's cases: nnU-Net's, or any torch module of a job.

    Under unit patient it sends the integers of the patients that the training process drew, clipped one by one, and
    learns nothing else of the round itself. All cases then are for training: no validation could leave the site.

    Args:
        training: fields of `TrainingSettings`, which has the defaults of those that are left out.
        compute: fields of `Compute`, likewise.
        seed: of the training; together with the site's name and the round it fixes a round's update on one thread. By
            default each attempt has a secret one of its own, so that no two updates cancel. So has every attempt
            after the first from a model whose update left hidden, whatever the job says.
        source: id of the component that says where this site's cases come from, unless the site says it itself.
        task_timeout_s: longest time that one task may take.

    Raises ConfigError for settings that are unknown or impossible.
    """

    def __init__(
        self,
        training: Mapping[str, Any] | None = None,
        compute: Mapping[str, Any] | None = None,
        seed: int | None = None,
        source: str = "pages",
        task_timeout_s: float = 7200.0,
    ) -> None:
        super().__init__()
        load_environment()  # before FLARE builds the terms; in the simulator no kit has done it
        self._settings = TrainingSettings.of_job(training, "the job's executor, training")
        process = Compute.of_job(compute, "the job's executor, compute")
        self._seed = seed
        self._source_id = source
        self._timeout_s = task_timeout_s
        self._worker = Worker(threads=process.threads, device=process.device, log=_logger.info)
        self._prepared = False
        self._cases = 0

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        if event_type in (EventType.SWAP_OUT, EventType.ABOUT_TO_END_RUN):
            self._worker.close()
            self._prepared = False

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        tasks = {TRAIN: self._train, VALIDATE: self._validate}
        if task_name not in tasks:
            return make_reply(ReturnCode.TASK_UNKNOWN)
        try:
            request = TrainRequest.from_shareable(shareable)
            job, terms = job_terms(fl_ctx), round_terms(fl_ctx, counts=request.counts)
            plan = job_plan(terms, fl_ctx)
            policy = read_policy(fl_ctx.get_engine().get_workspace())
            policy.check(job)
            policy.check_seed(job, self._seed)
            check_filters(fl_ctx, job)
            layout = subset(terms).digest if request.counts else plan.layout_digest
            check_request(terms, request, plan_hash=plan.hash, layout_digest=layout)
            if task_name == VALIDATE and not terms.reports_metrics:
                raise PrivacyError("validation counts may not leave a site in a job that hides what sites know")
            terms = in_request(terms, request)
            if task_name == TRAIN:
                follow_ledger(fl_ctx, terms, shareable)
                check_limit(fl_ctx, terms, request.round_index)
                check_model(fl_ctx, request, terms, policy.once_per_model)
            if not job.model.counted:
                self._prepare(job, fl_ctx, lambda: abort_signal.triggered)
            if request.counts and task_name == TRAIN:
                return self._count(request, terms, fl_ctx, lambda: abort_signal.triggered)
            return tasks[task_name](request, terms, fl_ctx, lambda: abort_signal.triggered)
        except EcgFlareError as error:
            report_error(self, task_name, error, fl_ctx)
            return error_reply(error)

    def _prepare(self, terms: JobTerms, fl_ctx: FLContext, should_abort: Callable[[], bool]) -> None:
        if self._prepared and self._worker.alive:
            return
        held_out = terms.evaluation is not None
        cases = self._site_cases(terms, fl_ctx)
        command = prepare_command(cases, terms.unit, terms.patients_per_site, held_out=held_out)
        reply = self._worker.call("prepare", command.to_params(), should_abort=should_abort, timeout_s=self._timeout_s)
        self._prepared = True
        self._cases = int(reply.params["train"])
        self.log_info(fl_ctx, f"cases ready: {reply.params}")

    def _site_cases(self, terms: JobTerms, fl_ctx: FLContext) -> SiteCases:
        load_owners_extensions(fl_ctx.get_engine().get_workspace())
        source, cache = site_pages(fl_ctx, self._source_id)
        return SiteCases(source, fl_ctx.get_identity_name(), job_plan(terms, fl_ctx), cache)

    def _count(
        self, request: TrainRequest, terms: JobTerms, fl_ctx: FLContext, should_abort: Callable[[], bool]
    ) -> Shareable:
        command = CountCommand(self._site_cases(terms, fl_ctx), terms)
        model = _with_own(request, fl_ctx)
        reply = self._worker.call(
            "count", command.to_params(), {"model": model}, should_abort=should_abort, timeout_s=self._timeout_s
        )
        self.log_info(fl_ctx, f"round {request.round_index}: counted")
        counts = reply.arrays["counts"]
        return TrainResult(
            to_wire(counts) if terms.unit == "patient" else counts,
            request.round_index,
            request.attempt,
            request.layout_digest,
            clipping_norm=request.clipping_norm,
            counts=True,
        ).to_shareable()

    def _train(
        self, request: TrainRequest, terms: JobTerms, fl_ctx: FLContext, should_abort: Callable[[], bool]
    ) -> Shareable:
        command = TrainCommand(
            settings=self._settings,
            round_index=request.round_index,
            rounds=terms.rounds,
            seed=self._seed_for(request, terms, fl_ctx),
            trained=(*terms.model.trained, *terms.model.local),
        )
        if terms.unit == "patient":
            return self._train_patients(TrainPatientsCommand(command, terms), request, fl_ctx, should_abort)
        own = own_tensors(fl_ctx, terms, request.plan_hash)
        start = (
            request.model
            if own is None
            else own.into(request.model, before=request.round_index, not_from=request.model_sha256.hex())
        )
        reply = self._worker.call(
            "train", command.to_params(), {"model": start}, should_abort=should_abort, timeout_s=self._timeout_s
        )
        check_update(reply.arrays["update"], size=len(request.model))
        update = take(terms, reply.arrays["update"])
        if own is not None:
            own.keep(request.round_index, request.model_sha256.hex(), start + reply.arrays["update"])
        self.log_info(fl_ctx, f"round {request.round_index}: trained, {reply.params}")
        return TrainResult(
            vector=update,
            round_index=request.round_index,
            attempt=request.attempt,
            layout_digest=request.layout_digest,
            weight=hidden_weight(terms, self._cases),
            metrics={key: float(value) for key, value in reply.params.items() if _reportable(value)},
        ).to_shareable()

    def _seed_for(self, request: TrainRequest, terms: JobTerms, fl_ctx: FLContext) -> int:
        again = terms.way.hides_updates and model_memory(fl_ctx).load(request.model_sha256) is not None
        return secrets.randbits(_SEED_BITS) if self._seed is None or again else self._seed

    def _train_patients(
        self,
        command: TrainPatientsCommand,
        request: TrainRequest,
        fl_ctx: FLContext,
        should_abort: Callable[[], bool],
    ) -> Shareable:
        reply = self._worker.call(
            "train_patients",
            command.to_params(),
            {"model": request.model},
            should_abort=should_abort,
            timeout_s=self._timeout_s,
        )
        self.log_info(fl_ctx, f"round {request.round_index}: trained on the patients that were drawn")
        return TrainResult(
            to_wire(reply.arrays["contribution"]),
            request.round_index,
            request.attempt,
            request.layout_digest,
            clipping_norm=request.clipping_norm,
        ).to_shareable()

    def _validate(
        self, request: TrainRequest, terms: JobTerms, fl_ctx: FLContext, should_abort: Callable[[], bool]
    ) -> Shareable:
        reply = self._worker.call(
            "validate", {}, {"model": _with_own(request, fl_ctx)}, should_abort=should_abort, timeout_s=self._timeout_s
        )
        counts = {key: int(reply.params[key]) for key in ("tp", "fp", "fn")}
        return Counts(**counts, round_index=request.round_index, attempt=request.attempt).to_shareable()


def _with_own(request: TrainRequest, fl_ctx: FLContext) -> Float32[np.ndarray, " d"]:
    """The model to measure here: with the tensors that this site keeps."""
    own = own_tensors(fl_ctx, job_terms(fl_ctx), request.plan_hash)
    return request.model if own is None else own.into(request.model, before=request.round_index + 1)


def _reportable(value: object) -> bool:
    """Whether a figure of training is one that messages carry: a loss of mixed precision can be infinite."""
    return isinstance(value, (int, float)) and abs(value) <= MAX_METRIC
