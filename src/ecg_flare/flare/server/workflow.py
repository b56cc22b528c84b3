"""The server's side of the job: rounds of training that survive missing sites, noise, and a restart.

A round:

    request -> sites train -> sum (once min_sites answered) -> noise and ledger -> server optimizer -> saved -> measured

The numbers of a round are those of `federated.round`; this module adds who is asked, who answered in time, and what is
written down when.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.signal import Signal

from ecg_flare import __version__
from ecg_flare.errors import BudgetError, ConfigError, EcgFlareError, RoundError, StorageError
from ecg_flare.extensions import load_environment
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.components import component, job_plan, job_terms
from ecg_flare.flare.job.extensions import load_owners_extensions
from ecg_flare.flare.job.messages import TrainRequest
from ecg_flare.flare.job.paths import check_workspace
from ecg_flare.flare.job.terms import put, update_size
from ecg_flare.flare.job.training import deployed_training
from ecg_flare.flare.server.aggregators import UpdateAggregator
from ecg_flare.flare.server.evaluator import UNMEASURED, PublicEvaluator
from ecg_flare.flare.server.ledger import JobPlace, ServerLedger, ServerLog, open_server_ledger
from ecg_flare.flare.server.mechanism import AdmittedRound, GaussianMechanism
from ecg_flare.flare.server.per_site_controller import PerSiteController, Running
from ecg_flare.flare.server.persistor import GlobalState, ModelStore
from ecg_flare.flare.server.site_evaluation import Summing, measure_if_due
from ecg_flare.flare.server.telemetry import Clock, RoundFigures, publish
from ecg_flare.flare.summation.collection import Ask, Collection, CollectionSetup, collection_of, validate
from ecg_flare.nnunet.learnt import AgreedPlan
from ecg_flare.privacy.accountant import Spent
from ecg_flare.privacy.chain import Head


@dataclass(frozen=True)
class _Parts:
    """The components of the job that the workflow drives."""

    terms: JobTerms
    plan: AgreedPlan
    aggregator: UpdateAggregator
    store: ModelStore
    evaluator: PublicEvaluator
    collection: Collection
    ledger: ServerLedger | None


class FederatedRounds(PerSiteController):
    """Runs the job's rounds and keeps what they give.

    The job's other components have fixed ids: aggregator, persistor, evaluator, terms.

    Args:
        mechanism: id of the `GaussianMechanism`; empty where the job adds no noise.
        step_timeout_s: a step of a round closes after this, whoever has answered.
        grace_s: once enough sites have answered, how long to wait for the others.
        max_failed_rounds: a round with too few answers fails, and the model stays; more than so many in a
            row end the job.
        validate_every: after each so many rounds the sites count, on their held-out patients, what the global model
            finds, and the counts are summed; 0 asks for none. Only where sites may report about their training.
    """

    def __init__(
        self,
        mechanism: str = "",
        step_timeout_s: int = 7200,
        grace_s: int = 1800,
        max_failed_rounds: int = 1,
        validate_every: int = 0,
        task_check_period: float = 0.2,
    ) -> None:
        super().__init__(step_timeout_s, grace_s, task_check_period)
        load_environment()  # before FLARE builds the terms; in the simulator no kit has done it
        if max_failed_rounds < 0 or validate_every < 0:
            raise ConfigError(
                f"max_failed_rounds={max_failed_rounds} and validate_every={validate_every}, expected 0 or more"
            )
        self._max_failed_rounds = max_failed_rounds
        self._validate_every = validate_every
        self._described = False
        self._ledger: ServerLedger | None = None
        self._mechanism = mechanism

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Nothing to do before the flow: components are found when it starts, so that their errors end the job."""

    def stop_controller(self, fl_ctx: FLContext) -> None:
        """End the evaluation process and give the ledger back."""
        evaluator = self._engine.get_component("evaluator")
        if isinstance(evaluator, PublicEvaluator):
            evaluator.close()
        if self._ledger is not None:
            self._ledger.open.close()
            self._ledger = None

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        try:
            parts = self._parts(abort_signal, fl_ctx)
            state = self._first_state(parts, fl_ctx)
            state = self._rounds(state, parts, abort_signal, fl_ctx)
            if abort_signal.triggered:
                raise RoundError(f"The job was aborted after round {state.rounds_done}, whose model is kept.")
            if parts.ledger is not None:
                parts.ledger.end(partial(self.ask, running=Running(fl_ctx, abort_signal)), parts.terms.roster)
            self._export(state, parts, fl_ctx)
            self._end("finished", fl_ctx)
        except EcgFlareError as error:
            self._end(str(error), fl_ctx)
            self.system_panic(f"{type(error).__name__}: {error}", fl_ctx)

    def _end(self, outcome: str, fl_ctx: FLContext) -> None:
        """Say how the job ended, once its folder is known to be its own."""
        store = self._engine.get_component("persistor")
        if not self._described or not isinstance(store, ModelStore):
            return
        try:
            store.log_end(outcome, fl_ctx)
        except StorageError as error:  # the job's own error, if any, must not be lost for this one
            self.log_warning(fl_ctx, f"{error}", fire_event=False)

    def _parts(self, abort_signal: Signal, fl_ctx: FLContext) -> _Parts:
        workspace = fl_ctx.get_engine().get_workspace()
        check_workspace(workspace.get_root_dir())  # before the sites' processes are waited for
        load_owners_extensions(workspace)
        terms = job_terms(fl_ctx)
        mechanism = component(fl_ctx, self._mechanism, GaussianMechanism) if self._mechanism else None
        if terms.private != (mechanism is not None):
            raise ConfigError(
                f"noise_multiplier={terms.noise_multiplier} and mechanism={self._mechanism!r}: name both or neither."
            )
        if self._validate_every and not terms.reports_metrics:
            raise ConfigError(
                f"validate_every={self._validate_every}, but this job hides what single sites know: set it to 0"
            )
        aggregator = component(fl_ctx, "aggregator", UpdateAggregator)
        aggregator.check(terms)
        store = component(fl_ctx, "persistor", ModelStore)
        store.check_writable(fl_ctx)
        return _Parts(
            terms=terms,
            plan=job_plan(terms, fl_ctx, needed=False),
            aggregator=aggregator,
            store=store,
            evaluator=component(fl_ctx, "evaluator", PublicEvaluator),
            collection=self._collection(terms, fl_ctx),
            ledger=None if mechanism is None else self._open_ledger(mechanism, terms, abort_signal, fl_ctx),
        )

    def _open_ledger(
        self, mechanism: GaussianMechanism, terms: JobTerms, abort_signal: Signal, fl_ctx: FLContext
    ) -> ServerLedger:
        results = component(fl_ctx, "persistor", ModelStore).folder(fl_ctx)
        self._ledger = open_server_ledger(
            mechanism,
            terms,
            JobPlace(fl_ctx.get_engine().get_workspace(), fl_ctx.get_job_id(), results),
            ServerLog(
                partial(self.log_info, fl_ctx, fire_event=False), partial(self.log_warning, fl_ctx, fire_event=False)
            ),
            aborted=lambda: abort_signal.triggered,
        )
        return self._ledger

    def _collection(self, terms: JobTerms, fl_ctx: FLContext) -> Collection:
        setup = CollectionSetup(
            workspace=fl_ctx.get_engine().get_workspace(),
            terms=terms,
            log=partial(self.log_info, fl_ctx, fire_event=False),
            warn=partial(self.log_warning, fl_ctx, fire_event=False),
            results=component(fl_ctx, "persistor", ModelStore).folder(fl_ctx),
        )
        return collection_of(setup)

    def _first_state(self, parts: _Parts, fl_ctx: FLContext) -> GlobalState:
        """Go on from a saved state where there is one; otherwise start from the public model and measure it."""
        saved = parts.store.load(fl_ctx, parts.plan, parts.terms.digest, parts.aggregator.description)
        self._described = True
        parts.store.describe(_description(parts, fl_ctx), fl_ctx)  # only now: the folder may be another job's
        if saved is not None:
            if parts.ledger is not None:
                parts.ledger.begin(Head(saved.ledger_lines, saved.ledger_digest))
            self.log_info(fl_ctx, f"going on after round {saved.rounds_done} of {parts.terms.rounds}")
            return saved
        if parts.ledger is not None:
            parts.ledger.begin()
        model = parts.evaluator.start_model(parts.store.start, parts.plan, fl_ctx)
        state = GlobalState(
            model=model,
            optimizer=parts.aggregator.initial_state(update_size(parts.terms, len(model))),
            plan_hash=parts.plan.hash,
            layout_digest=parts.plan.layout_digest,
            terms_digest=parts.terms.digest,
            aggregator=parts.aggregator.description,
            **_ledger_head(parts.ledger),
        )
        started = time.monotonic()
        dice = _public_dice(model, parts, fl_ctx)
        figures = RoundFigures(
            round=0,
            dice=dice,
            pages=parts.evaluator.pages_digest,
            measures=dict(parts.evaluator.measures),
            seconds_by_step={"evaluate": time.monotonic() - started},
            spent=_spent(parts.ledger),
        )
        state = replace(state, dice=dice, best_dice=dice, best_round=0)
        parts.store.save(state, fl_ctx, best=True)
        self._report(figures, parts, fl_ctx)
        return state

    def _rounds(self, state: GlobalState, parts: _Parts, abort_signal: Signal, fl_ctx: FLContext) -> GlobalState:
        failed_in_a_row = 0
        for index in range(state.rounds_done, parts.terms.rounds):
            if abort_signal.triggered:
                break
            try:
                state = self._round(index, state, parts, abort_signal, fl_ctx)
                failed_in_a_row = 0
            except BudgetError as error:
                self.log_warning(fl_ctx, f"stopped before round {index + 1}: {error}")
                break
            except RoundError as error:
                if abort_signal.triggered:
                    break
                state = self._fail_round(index, state, error, parts, fl_ctx)
                failed_in_a_row += 1
                if failed_in_a_row > self._max_failed_rounds:
                    raise
        return state

    def _fail_round(
        self, index: int, state: GlobalState, error: RoundError, parts: _Parts, fl_ctx: FLContext
    ) -> GlobalState:
        """A round with too few answers: the model stays, the round's number is used up."""
        state = replace(state, rounds_done=index + 1)
        parts.store.save(state, fl_ctx, best=False)
        figures = RoundFigures(
            round=index + 1, dice=state.dice, failure=str(error), missing=parts.terms.roster, spent=_spent(parts.ledger)
        )
        self._report(figures, parts, fl_ctx)
        return state

    def _round(
        self, index: int, state: GlobalState, parts: _Parts, abort_signal: Signal, fl_ctx: FLContext
    ) -> GlobalState:
        clock = Clock()
        terms = parts.terms.after(state.shares)
        admitted = None if parts.ledger is None else _admit(index, state, terms, parts.ledger, fl_ctx.get_job_id())
        request = TrainRequest(
            model=state.model,
            round_index=index,
            attempt=secrets.token_hex(16),
            layout_digest=state.layout_digest,
            plan_hash=state.plan_hash,
            terms_digest=state.terms_digest,
            clipping_norm=terms.requested_norm,
            shares=state.shares,
            counts=terms.model.counted,
        )
        ask: Ask = partial(self.ask, running=Running(fl_ctx, abort_signal))
        if parts.ledger is not None:
            ask = parts.ledger.witnesses.asking(ask)
        opened = parts.aggregator.open(request, terms, state.optimizer, admitted)
        collected = parts.collection.collect(request, terms, opened, ask)
        clock.restart()
        result = opened.close()
        model = put(terms, state.model, result.model)
        opened.release(model, result)
        after = replace(
            state,
            model=model,
            optimizer=result.state.to_arrays(),
            rounds_done=index + 1,
            shares=state.shares if result.share is None else (*state.shares, result.share),
            **_ledger_head(parts.ledger),
        )
        # Before it is measured: what is paid for and was recovered must never be run, and paid for, again.
        parts.store.save(after, fl_ctx, best=False)
        if parts.ledger is not None:
            parts.ledger.copy()
        clock.lap("aggregate")
        dice = _public_dice(model, parts, fl_ctx)
        clock.lap("evaluate")
        sites_dice, by_label = self._at_sites(replace(request, model=model), parts, ask, fl_ctx)
        if sites_dice is not None:
            clock.lap("validate")
        after = replace(after, **_ledger_head(parts.ledger))
        score = sites_dice if dice == UNMEASURED and sites_dice is not None else dice
        best = score > state.best_dice or score == state.best_dice == UNMEASURED  # without any measure, the last
        after = replace(
            after,
            dice=dice,
            best_dice=score if best else state.best_dice,
            best_round=index + 1 if best else state.best_round,
        )
        parts.store.save(after, fl_ctx, best=best)
        figures = RoundFigures(
            round=index + 1,
            dice=dice,
            pages=parts.evaluator.pages_digest,
            measures=dict(parts.evaluator.measures),
            sites_dice=sites_dice,
            dice_by_label=by_label,
            clipping_norm=request.clipping_norm,
            update_norm=float(np.linalg.norm(model.astype(np.float64) - state.model)),
            answered=collected.answered,
            missing=tuple(sorted(set(parts.terms.roster) - set(collected.answered))),
            bytes_down=collected.bytes_down,
            bytes_up=collected.bytes_up,
            site_metrics=collected.metrics,
            seconds_by_step={**collected.seconds, **clock.seconds},
            spent=_spent(parts.ledger),
        )
        self._report(figures, parts, fl_ctx)
        return after

    def _at_sites(
        self, request: TrainRequest, parts: _Parts, ask: Ask, fl_ctx: FLContext
    ) -> tuple[float | None, Mapping[str, float]]:
        """The Dice of the request's model at the sites, and by label, where it is due and comes about."""
        if self._validate_every and (request.round_index + 1) % self._validate_every == 0:
            return validate(request, parts.terms, ask), {}
        summing = Summing(parts.terms, parts.collection, parts.ledger, fl_ctx.get_job_id())
        found = measure_if_due(request, summing, ask, partial(self.log_warning, fl_ctx, fire_event=False))
        return (None, {}) if found is None else (found.mean, found.by_label)

    def _export(self, state: GlobalState, parts: _Parts, fl_ctx: FLContext) -> None:
        folder = parts.store.folder(fl_ctx) / "model"
        if parts.terms.model.counted:
            folder = parts.store.folder(fl_ctx) / "concluded"
            parts.evaluator.conclude(state.model, parts.plan, parts.terms, folder)
            self.log_info(fl_ctx, f"what follows from the counts lies in {folder}")
            return
        parts.evaluator.export(state.model, parts.plan, folder)
        self.log_info(fl_ctx, f"the model after round {state.rounds_done} lies in {folder}")

    def _report(self, figures: RoundFigures, parts: _Parts, fl_ctx: FLContext) -> None:
        self.log_info(fl_ctx, figures.line(parts.terms.rounds))
        parts.store.log_round(figures.to_json(), fl_ctx)
        publish(figures, self, fl_ctx)


def _public_dice(model: np.ndarray, parts: _Parts, fl_ctx: FLContext) -> float:
    """Dice on public pages; unmeasured where sites keep tensors, as nobody uses the model without theirs."""
    return UNMEASURED if parts.terms.model.local else parts.evaluator.evaluate(model, parts.plan, fl_ctx)


def _description(parts: _Parts, fl_ctx: FLContext) -> dict[str, Any]:
    """What run.json says of the job, enough to draw its report."""
    meta = fl_ctx.get_prop(FLContextKey.JOB_META) or {}
    training = deployed_training(fl_ctx.get_engine().get_workspace(), fl_ctx.get_job_id())
    return {
        "job": meta.get("name", fl_ctx.get_job_id()),
        "version": __version__,
        "plan": parts.plan.name,
        "plan_hash": parts.plan.hash,
        "terms": asdict(parts.terms),
        "terms_digest": parts.terms.digest,
        "aggregator": type(parts.aggregator).__name__,
        "optimizer": parts.aggregator.settings,
        "training": None if training is None else asdict(training),
        "public_pages": parts.evaluator.source_spec(fl_ctx),
        "start": parts.store.start,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _admit(index: int, state: GlobalState, terms: JobTerms, ledger: ServerLedger, job: str) -> AdmittedRound:
    """The round's place in the ledger; raises BudgetError where it would pass the budget."""
    # A state with shares was saved right after its last release: the ledger's last line then.
    follows = state.ledger_lines if state.shares else None
    return ledger.open.begin(job, index, clipping_norm=terms.clipping_norm, follows=follows)


def _ledger_head(ledger: ServerLedger | None) -> dict[str, Any]:
    """What a saved state remembers of the ledger, so that no later run starts another one."""
    if ledger is None:
        return {}
    return {"ledger_lines": ledger.open.head.lines, "ledger_digest": ledger.open.head.digest}


def _spent(ledger: ServerLedger | None) -> Spent | None:
    return None if ledger is None else ledger.open.spent
