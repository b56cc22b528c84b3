"""What stands between a site's update and the network: clip it, encode it, and let nothing else out.

Both are result filters of the site; a way of summing that hides updates adds a third, which comes last. They fail
closed: a message that they do not know raises, and FLARE then sends an error instead of the message. FLARE's own
`DXOFilter` lets such messages pass, so it is not used.
"""

from abc import ABC, abstractmethod
from dataclasses import replace

from nvflare.apis.filter import Filter
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply

from ecg_flare.errors import ConfigError, PrivacyError, UpdateError
from ecg_flare.federated.clipping import clip
from ecg_flare.federated.round import contribution
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.components import job_terms, round_terms
from ecg_flare.flare.job.ledger_messages import with_countersignature
from ecg_flare.flare.job.messages import ERROR_HEADER, TRAIN, VALIDATE, Counts, TrainResult
from ecg_flare.flare.site.heads import countersign
from ecg_flare.flare.site.ledger import charge_round


class _SiteFilter(Filter, ABC):
    """A result filter that knows the job's terms; an error reply passes with its code and reason alone."""

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        code = shareable.get_return_code(ReturnCode.OK)
        if code != ReturnCode.OK:
            return bare_error(shareable)
        counts = fl_ctx.get_prop(FLContextKey.TASK_NAME) == TRAIN and TrainResult.from_shareable(shareable).counts
        return self._process(shareable, round_terms(fl_ctx, counts=counts) if counts else job_terms(fl_ctx), fl_ctx)

    @abstractmethod
    def _process(self, shareable: Shareable, terms: JobTerms, fl_ctx: FLContext) -> Shareable: ...


class ClipUpdate(_SiteFilter):
    """Bounds the update's L2 norm by C and, under differential privacy, encodes it in fixed point.

    Clip first, then quantize toward zero, so that the norm in integers is bounded too. Where updates are hidden it
    drops all metrics, so that a job that forgets `StripResult` tells nothing either.
    """

    def _process(self, shareable: Shareable, terms: JobTerms, fl_ctx: FLContext) -> Shareable:
        task = fl_ctx.get_prop(FLContextKey.TASK_NAME)
        if task != TRAIN:
            raise PrivacyError(f"ClipUpdate knows the task '{TRAIN}'. Found {task!r}.")
        reply = TrainResult.from_shareable(shareable)
        if terms.clipping_norm is None:
            raise ConfigError("ClipUpdate needs terms with a clipping_norm. Found null.")
        if terms.unit != "site":
            raise ConfigError("ClipUpdate clips a site's update: under unit patient each patient's is, one by one")
        if reply.encoded:
            raise UpdateError("The update reached ClipUpdate already in fixed point: name ClipUpdate once, and first.")
        size = len(reply.vector)
        norm = clip(reply.vector, terms.clipping_norm).norm_before
        told = {**reply.metrics, "update_norm": norm, "clipped": float(norm > terms.clipping_norm)}
        metrics = told if terms.reports_metrics else {}
        weight = terms.weight_of(fl_ctx.get_identity_name())
        if terms.sites.max_weight is not None:
            weight = reply.weight / terms.sites.max_weight
        vector = contribution(reply.vector, weight, terms, size)
        return replace(reply, vector=vector, metrics=metrics).to_shareable()


class StripResult(_SiteFilter):
    """Builds the outgoing message anew from what may leave a site, and from nothing else.

    Without differential privacy these are the update and the named metrics. With it the update must be in fixed
    point, within the public bound, and is all that leaves: losses, counts and timings would be releases that nobody
    accounts for. Where it is the last filter, the site's own ledger is charged before the update goes.

    Args:
        metrics: names of metrics that may leave a site when the job is not private.
    """

    def __init__(self, metrics: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._metrics = frozenset(metrics)

    def _process(self, shareable: Shareable, terms: JobTerms, fl_ctx: FLContext) -> Shareable:
        task = fl_ctx.get_prop(FLContextKey.TASK_NAME)
        if task == TRAIN:
            reply = TrainResult.from_shareable(shareable)
            if terms.encoded and not reply.encoded:
                raise PrivacyError(
                    "the update is plain, but in this job updates leave the site in fixed point only: "
                    "name ClipUpdate before StripResult"
                )
            if (fixed := terms.sum_encoding(len(reply.vector))) is not None:
                fixed.check_contribution(reply.vector)
            allowed = self._metrics if terms.reports_metrics else frozenset()
            metrics = {key: value for key, value in reply.metrics.items() if key in allowed}
            leaving = replace(reply, metrics=metrics).to_shareable()
            if terms.way.site.result_filter:
                return leaving
            leaving = with_countersignature(leaving, countersign(fl_ctx, terms))
            charge_round(fl_ctx, terms.at_norm(reply.clipping_norm), reply.round_index)
            return leaving
        if task == VALIDATE:
            if not terms.reports_metrics:
                raise PrivacyError("validation counts may not leave the site where its update is hidden")
            return Counts.from_shareable(shareable).to_shareable()
        raise PrivacyError(f"StripResult knows the tasks {TRAIN} and {VALIDATE}. Found {task!r}.")


def check_filters(fl_ctx: FLContext, terms: JobTerms) -> None:
    """Raise PrivacyError unless the filters of 'train' are those that the terms need, in their order and no others.

    ClipUpdate where a site's update is clipped (a patient's is, one by one, before it reaches any filter), StripResult
    always, and last the one of the way of summing, where it has one. Whoever trains calls this first: a filter that a
    job forgot cannot complain itself.
    """
    chains = fl_ctx.get_prop(FLContextKey.RUNNER).task_result_filters
    found = [_path(type(one)) for one in chains.get(f"{TRAIN}/out", [])]
    last = terms.way.site.result_filter
    expected = [*([_path(ClipUpdate)] if terms.clips_updates else []), _path(StripResult), *([last] if last else [])]
    if found != expected:
        quantizing = "; a filter that quantizes is for updates in floats: ring_bits sends a masked sum in fewer bytes"
        raise PrivacyError(
            f"the result filters of '{TRAIN}' are {found}; terms with clipping_norm={terms.clipping_norm}, "
            f"unit={terms.unit!r} and summation={terms.summation!r} need {expected} in this order"
            + quantizing
            * any("quantiz" in one.lower() for one in found)
        )


def bare_error(shareable: Shareable) -> Shareable:
    """An error reply with its code and the reason of `messages.error_reply`, and nothing else of the original."""
    reply = make_reply(shareable.get_return_code())
    reply.set_header(ERROR_HEADER, str(shareable.get_header(ERROR_HEADER, "")))
    return reply


def _path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
