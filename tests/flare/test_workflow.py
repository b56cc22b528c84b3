"""The rounds of a whole job without FLARE's processes: sites answer in the same thread."""

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory_ask import MemoryAsk
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from ecg_flare.errors import WorkerError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.ledger_messages import WITNESS, with_countersignature
from ecg_flare.flare.job.messages import TrainRequest, TrainResult, model_sha256
from ecg_flare.flare.server import mechanism
from ecg_flare.flare.server.aggregators import FedAdam
from ecg_flare.flare.server.evaluator import PublicEvaluator
from ecg_flare.flare.server.mechanism import ChargedRound, CohortLedger, GaussianMechanism
from ecg_flare.flare.server.persistor import ModelStore
from ecg_flare.flare.server.policy import LEDGER_FILE
from ecg_flare.flare.server.robust import Median
from ecg_flare.flare.server.workflow import FederatedRounds
from ecg_flare.flare.site.filters import ClipUpdate
from ecg_flare.flare.site.heads import WitnessExecutor, countersign_request
from ecg_flare.nnunet.plan import parameter_count
from ecg_flare.nnunet.settings import TrainingSettings
from ecg_flare.privacy.accountant import epsilon_rdp
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.privacy.ledger import verify
from flat_terms import flat_of, flat_terms

SITES = ("site-1", "site-2", "site-3")
PRIVATE = flat_terms(
    dict.fromkeys(SITES, 1.0), 3, min_sites=2, clipping_norm=1.0, noise_multiplier=2.0, epsilon_budget=9.0
)


class OfOnes:
    """A site that answers at once with an update of ones."""

    def __init__(self, name: str, context: Callable[..., Any], terms: Any) -> None:
        self._fl_ctx, self._terms = context(name=name, terms=terms), terms

    def answer(self, task: str, message: Shareable) -> Shareable:
        if task == WITNESS:
            return WitnessExecutor().execute(task, message, self._fl_ctx, Signal())
        request = TrainRequest.from_shareable(message)
        update = np.ones_like(request.model)
        result = TrainResult(update, request.round_index, request.attempt, request.layout_digest)
        clipped = ClipUpdate().process(result.to_shareable(), self._fl_ctx)
        return with_countersignature(clipped, countersign_request(self._fl_ctx, self._terms, message))


class Rounds(FederatedRounds):
    """The workflow, whose sites answer at once with the same update of ones."""

    def __init__(self, context: Callable[..., Any], **components: Any) -> None:
        super().__init__(mechanism="mechanism")
        self.fl_ctx = context(name="server", **components)
        self._engine = self.fl_ctx.get_engine()
        terms = components["terms"]
        self.asking = MemoryAsk({name: OfOnes(name, context, terms) for name in terms.roster}, strict=True)
        self.panic = ""

    def ask(  # type: ignore[override]
        self, task_name: str, messages: Mapping[str, Shareable], receive: Callable[..., None], **others: Any
    ) -> tuple[str, ...]:
        return self.asking(task_name, messages, receive)

    def system_panic(self, reason: str, fl_ctx: FLContext) -> None:
        self.panic = reason

    def fire_event(self, event_type: str, fl_ctx: FLContext) -> None: ...


class Evaluator(PublicEvaluator):
    """Starts from zeros; its process dies at measurement number `dies_at`."""

    def __init__(self, dies_at: int = 0) -> None:
        super().__init__()
        self._dies_at, self._measured = dies_at, 0

    def start_model(self, start: str, plan: Any, fl_ctx: FLContext) -> Any:
        return np.zeros(parameter_count(plan), np.float32)

    def evaluate(self, model: Any, plan: Any, fl_ctx: FLContext) -> float:
        self._measured += 1
        if self._measured == self._dies_at:
            raise WorkerError("the process died")
        self.pages_digest = "5e" * 32
        self.measures = {"snr_db": 10.0 + self._measured}
        return 0.5

    def export(self, model: Any, plan: Any, folder: Path) -> None: ...

    def source_spec(self, fl_ctx: FLContext) -> dict[str, Any]:
        return {}


@pytest.fixture
def run(tmp_path: Path, context: Callable[..., Any]) -> Callable[..., str]:
    def one(terms: JobTerms = PRIVATE, *, dies_at: int = 0) -> str:
        rounds = Rounds(
            context,
            terms=terms,
            aggregator=FedAdam(),
            persistor=ModelStore(folder=str(tmp_path / "state")),
            evaluator=Evaluator(dies_at),
            mechanism=GaussianMechanism(),
        )
        try:
            rounds.control_flow(Signal(), rounds.fl_ctx)
        finally:
            rounds.stop_controller(rounds.fl_ctx)  # gives the lock back, as the end of a process does
        return rounds.panic

    return one


def test_a_round_that_was_released_is_kept_and_not_paid_for_twice(run: Callable[..., str], tmp_path: Path) -> None:
    assert "the process died" in run(dies_at=3)  # in round 2, after its release
    with np.load(tmp_path / "state" / "state.npz") as state:
        fields, model = json.loads(state["fields"].tobytes()), state["model"]
    released = verify(tmp_path / "server" / LEDGER_FILE).rounds
    assert fields["rounds_done"] == len(released) == 2
    assert released[-1].model_sha256 == model_sha256(model).hex()
    assert "the process died" in json.loads((tmp_path / "state" / "ended.json").read_text())["outcome"]
    assert run() == ""
    assert json.loads((tmp_path / "state" / "ended.json").read_text()) == {"outcome": "finished"}
    assert [one.mechanism.round for one in verify(tmp_path / "state" / "ledger.jsonl").rounds] == [0, 1, 2]


def test_a_run_tells_which_pages_each_dice_is_of_and_how_its_sites_train(
    run: Callable[..., str], tmp_path: Path
) -> None:
    config = tmp_path / "server" / "job-1" / "app_site-1" / "config" / "config_fed_client.json"  # as FLARE deploys it
    config.parent.mkdir(parents=True)
    executor = {"path": "ecg_flare.flare.site.executor.NnunetExecutor", "args": {"training": {"steps": 7}}}
    config.write_text(json.dumps({"executors": [{"tasks": ["train", "validate"], "executor": executor}]}))
    assert run() == ""
    assert json.loads((tmp_path / "state" / "run.json").read_text())["training"] == asdict(TrainingSettings(steps=7))
    lines = [json.loads(line) for line in (tmp_path / "state" / "metrics.jsonl").read_text().splitlines()]
    assert [one["pages"] for one in lines] == ["5e" * 32] * 4
    assert [one["measures"] for one in lines] == [{"snr_db": 10.0 + measured} for measured in range(1, 5)]


def test_a_server_without_the_sites_configuration_tells_no_training(run: Callable[..., str], tmp_path: Path) -> None:
    assert run() == ""
    assert json.loads((tmp_path / "state" / "run.json").read_text())["training"] is None


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def dies(honest: Callable[..., Any], call: int) -> Callable[..., Any]:
    """The function, which is killed as its call number `call` begins."""
    calls = itertools.count(1)

    def function(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == call:
            raise Killed
        return honest(*args, **kwargs)

    return function


@pytest.mark.parametrize(
    ("dies_before", "charged", "released", "done"),
    [
        ("noise", 2, 1, 1),  # paid for, its noise never drawn
        ("release", 2, 1, 1),  # noise was drawn, and nothing left
        ("saved", 2, 2, 1),  # the model may have left, and the state does not know it
        ("next round", 2, 2, 2),
    ],
)
def test_a_server_killed_in_its_second_round_goes_on_and_has_paid_for_all_that_was_drawn(
    run: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dies_before: str,
    charged: int,
    released: int,
    done: int,
) -> None:
    owner, name = {
        "noise": (mechanism, "add_noise"),
        "release": (ChargedRound, "release"),
        "saved": (ModelStore, "save"),
        "next round": (CohortLedger, "begin"),
    }[dies_before]
    calls = {"saved": 4, "next round": 3}.get(dies_before, 2)  # the start is saved once, each round twice
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dies(getattr(owner, name), calls))
        with pytest.raises(Killed):
            run()
    ledger = tmp_path / "server" / LEDGER_FILE
    before = verify(ledger)
    assert (len(before.rounds), sum(one.released for one in before.rounds)) == (charged, released)
    assert before.spent.epsilon_rdp == epsilon_rdp([GaussianEvent(2.0, count=charged)], before.cohort.delta)
    with np.load(tmp_path / "state" / "state.npz") as state:
        assert json.loads(state["fields"].tobytes())["rounds_done"] == done
    assert run() == ""
    after = verify(ledger)
    assert len(after.rounds) == charged + PRIVATE.rounds - done  # what was interrupted is run, and paid for, again
    assert {one.mechanism.round for one in after.rounds if one.released} == {0, 1, 2}
    with np.load(tmp_path / "state" / "state.npz") as state:
        assert after.rounds[-1].model_sha256 == model_sha256(state["model"]).hex()


def test_a_refused_job_leaves_what_stands_in_the_folder(run: Callable[..., str], tmp_path: Path) -> None:
    assert run() == ""
    before = {name: (tmp_path / "state" / name).read_bytes() for name in ("run.json", "ended.json")}
    assert "terms_digest" in run(replace(PRIVATE, rounds=5))
    assert {name: (tmp_path / "state" / name).read_bytes() for name in before} == before


def test_a_server_runs_no_job_whose_delta_promises_nothing(run: Callable[..., str], tmp_path: Path) -> None:
    terms = flat_terms(**{**flat_of(PRIVATE), "delta": 0.5})
    assert "delta is 0.5 for 3 sites, expected it below 1 / 3" in run(terms)
    assert not (tmp_path / "state").exists()  # neither a description nor a round
    assert not list(tmp_path.rglob("*ledger*.jsonl"))


class Silence(Rounds):
    """The workflow, whose sites never answer."""

    def __init__(self, context: Callable[..., Any], **components: Any) -> None:
        super().__init__(context, **components)
        self.asking.away = lambda task: SITES


def test_two_lost_rounds_in_a_row_end_the_job_with_the_model_kept(tmp_path: Path, context: Callable[..., Any]) -> None:
    terms = flat_terms(dict.fromkeys(SITES, 1.0), 5, min_sites=2)
    workflow = Silence(
        context,
        terms=terms,
        aggregator=FedAdam(),
        persistor=ModelStore(str(tmp_path / "state")),
        evaluator=Evaluator(),
    )
    workflow._mechanism = ""
    workflow.control_flow(Signal(), workflow.fl_ctx)
    assert "missing: site-1, site-2, site-3" in workflow.panic
    rounds = [json.loads(line) for line in (tmp_path / "state" / "metrics.jsonl").read_text().splitlines()]
    assert [bool(one["failure"]) for one in rounds] == [False, True, True]
    assert (tmp_path / "state" / "state.npz").exists()


def test_a_rule_that_needs_single_updates_is_refused_over_a_sum_that_hides_them(
    tmp_path: Path, context: Callable[..., Any]
) -> None:
    terms = flat_terms(dict.fromkeys(SITES, 1.0), 1, min_sites=3, clipping_norm=1.0, summation="masked")
    workflow = Silence(
        context,
        terms=terms,
        aggregator=Median(),
        persistor=ModelStore(str(tmp_path / "state")),
        evaluator=Evaluator(),
    )
    workflow._mechanism = ""
    workflow.control_flow(Signal(), workflow.fl_ctx)
    assert "Median compares single updates" in workflow.panic
