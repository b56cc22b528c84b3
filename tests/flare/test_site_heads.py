"""What a site remembers of the server's ledger, and what it refuses because of that."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ledger_orders import new_ledger, ordered, request
from nvflare.apis.dxo import DXO
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from ecg_flare.errors import ConfigError, LedgerError, PolicyError, StorageError
from ecg_flare.flare.job.ledger_messages import (
    COUNTERSIGNATURE_HEADER,
    TAIL_HEADER,
    WITNESS,
    countersignature_of,
    tail_of,
    with_tail,
)
from ecg_flare.flare.job.messages import ERROR_HEADER, TRAIN, TrainRequest, TrainResult
from ecg_flare.flare.server.policy import read_server_policy
from ecg_flare.flare.site.executor import NnunetExecutor
from ecg_flare.flare.site.filters import ClipUpdate, StripResult
from ecg_flare.flare.site.heads import HEADS_FOLDER, SiteHeads, WitnessExecutor, follow_ledger
from ecg_flare.flare.site.policy import POLICY_FILE, SitePolicy, read_policy
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import parameter_count
from ecg_flare.privacy.chain_tail import ChainTail
from ecg_flare.privacy.cohort import Cohort, Mechanism
from ecg_flare.privacy.countersignature import auditor, check_on_ledger
from ecg_flare.privacy.ledger import Ledger, read_cohort
from flat_terms import flat_terms

TERMS = flat_terms({"site-1": 1.0}, 1, 1, clipping_norm=1.0, noise_multiplier=8.0, epsilon_budget=9.0)
ANY = SitePolicy()


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return new_ledger(tmp_path / "ledger.jsonl")


def grow(path: Path, rounds: int = 1, sigma: float = 8.0) -> Path:
    """Charge some rounds more, a line each."""
    cohort = read_cohort(path)
    assert cohort is not None
    with Ledger(path, cohort) as opened:
        for index in range(rounds):
            opened.charge(Mechanism("job", index, 1.0, sigma, {"site-1": 1.0}, 1.0, unit="site"))
    return path


def lines(path: Path) -> int:
    return len(path.read_bytes().splitlines())


def test_the_head_goes_forward_and_outlives_the_process(tmp_path: Path, ledger: Path) -> None:
    root = tmp_path / "site"
    for _ in range(3):
        SiteHeads(root).advance(ChainTail.read(grow(ledger)), ANY)
        [held] = SiteHeads(root).all()
        assert (held.head.lines, held.cohort) == (lines(ledger), "cohort")
    again = SiteHeads(root).advance(ChainTail.read(ledger), ANY)
    assert again == held


def test_an_old_order_is_refused_whatever_it_begins_with(tmp_path: Path, ledger: Path) -> None:
    heads, old = SiteHeads(tmp_path / "site"), ChainTail.read(ledger)
    heads.advance(old, ANY)
    heads.advance(ChainTail.read(grow(ledger), old.head), ANY)
    before = heads.all()
    for replayed in (old, ChainTail(old.ledger, old.head, ())):
        with pytest.raises(LedgerError, match="ends at line 1, though line 2 was seen"):
            heads.advance(replayed, ANY)
    assert heads.all() == before


def test_a_fork_is_seen_by_the_site_that_is_shown_both(tmp_path: Path, ledger: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_bytes(ledger.read_bytes())
    heads = SiteHeads(tmp_path / "site")
    heads.advance(ChainTail.read(grow(ledger)), ANY)
    with pytest.raises(LedgerError, match="line 2 of the ledger is another one than it was"):
        heads.advance(ChainTail.read(grow(other, 2, sigma=4.0)), ANY)


@pytest.mark.parametrize("text", ["", '{"lines": 3', "[]", '{"lines": -1}', "\x00"])
def test_a_torn_head_file_stops_the_site(context: Callable[..., Any], tmp_path: Path, ledger: Path, text: str) -> None:
    fl_ctx = ordered(context, TERMS, ledger)
    out = StripResult().process(TrainResult(np.array([1], np.int32), 0, "a", "l").to_shareable(), fl_ctx)
    assert out.get_header(COUNTERSIGNATURE_HEADER)
    [file] = (tmp_path / "site-1" / HEADS_FOLDER).glob("*.json")
    file.write_text(text)
    with pytest.raises(StorageError, match="lets the server spend again"):
        follow_ledger(fl_ctx, TERMS, with_tail(Shareable(), ChainTail.read(ledger)))
    request(fl_ctx, fl_ctx.get_engine().get_component(WITNESS), ledger)
    with pytest.raises(StorageError):
        StripResult().process(TrainResult(np.array([1], np.int32), 0, "a", "l").to_shareable(), fl_ctx)
    assert file.read_text() == text


def test_the_first_ledger_is_followed_and_no_other_unless_the_policy_lists_it(tmp_path: Path, ledger: Path) -> None:
    heads = SiteHeads(tmp_path / "site")
    first, south = ChainTail.read(ledger), ChainTail.read(new_ledger(tmp_path / "south.jsonl", "south"))
    fresh = ChainTail.read(with_delta(tmp_path / "fresh.jsonl", 1e-6, "cohort"))  # the budget from the start again
    heads.advance(first, ANY)
    for other in (south, fresh):
        with pytest.raises(PolicyError, match="ledgers: this site follows 'cohort'"):
            heads.advance(other, ANY)
    both = SitePolicy(ledgers=("cohort", "south"))
    heads.advance(first, both)
    heads.advance(south, both)
    with pytest.raises(PolicyError, match="ledgers="):
        heads.advance(south, SitePolicy(ledgers=("cohort",)))


def test_a_listed_name_means_the_first_ledger_of_that_name(tmp_path: Path) -> None:
    heads, policy = SiteHeads(tmp_path / "site"), SitePolicy(ledgers=("north",))
    first, second = (ChainTail.read(with_delta(tmp_path / f"{delta}.jsonl", delta)) for delta in (1e-5, 1e-6))
    heads.advance(first, policy)
    with pytest.raises(PolicyError, match="ledgers="):
        heads.advance(second, policy)
    heads.advance(second, SitePolicy(ledgers=("north", second.ledger)))
    assert len(heads.all()) == 2


def with_delta(path: Path, delta: float, name: str = "north") -> Path:
    with Ledger(path, Cohort(name, "site", ("site-1",), delta, 9.0)):
        return path


@pytest.mark.parametrize("ledgers", ["north", [1], [""], {"north": 1}])
def test_a_list_of_ledgers_is_a_list_of_texts(ledgers: Any) -> None:
    with pytest.raises(ConfigError, match="ledgers is"):
        SitePolicy(ledgers=ledgers)


def test_training_does_not_begin_on_an_order_without_a_ledger_or_with_one_rolled_back(
    context: Callable[..., Any], tmp_path: Path, ledger: Path
) -> None:
    fl_ctx = context(terms=TERMS)
    fl_ctx.get_prop(FLContextKey.RUNNER).task_result_filters["train/out"] = [ClipUpdate(), StripResult()]
    plan = plan_preset(TERMS.model.plan)
    model = np.zeros(parameter_count(plan), np.float32)
    plain = TrainRequest(model, 0, "a" * 32, plan.layout_digest, plan.hash, TERMS.digest).to_shareable()
    executor = NnunetExecutor()
    SiteHeads(tmp_path / "site-1").advance(ChainTail.read(grow(ledger)), ANY)
    old = ChainTail.read(ledger)
    rolled_back = with_tail(plain, ChainTail(old.ledger, old.base, old.texts[:1]))
    for message, why in (
        (plain, "its own limit ledger_head: the request carries no ledger"),
        (rolled_back, "its own limit ledger_head: the ledger ends"),
    ):
        answer = executor.execute(TRAIN, message, fl_ctx, Signal())
        assert answer.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
        assert answer.get_header(ERROR_HEADER).startswith(why)


def test_a_job_without_noise_carries_nothing(context: Callable[..., Any]) -> None:
    terms = flat_terms({"site-1": 1.0}, 1, 1)
    out = StripResult().process(TrainResult(np.ones(2, np.float32), 0, "a", "l").to_shareable(), context(terms=terms))
    assert out.get_header(COUNTERSIGNATURE_HEADER) is None


def test_the_last_task_signs_the_head(context: Callable[..., Any], ledger: Path) -> None:
    fl_ctx = context(terms=TERMS)
    message = with_tail(DXO("ANY", data={}).to_shareable(), ChainTail.read(grow(ledger)))
    answer = WitnessExecutor().execute(WITNESS, message, fl_ctx, Signal())
    signed = countersignature_of("site-1", answer)
    assert check_on_ledger(ledger, [signed], auditor(None)).heads == {"site-1": ChainTail.read(ledger).head}
    assert WitnessExecutor().execute("train", message, fl_ctx, Signal()).get_return_code() == ReturnCode.TASK_UNKNOWN
    refused = WitnessExecutor().execute(WITNESS, Shareable(), fl_ctx, Signal())
    assert "ledger_head" in refused.get_header(ERROR_HEADER)


@pytest.mark.parametrize(
    "fields",
    [
        "text",
        {},
        {"ledger": "../../etc/passwd", "base": f"0:{'0' * 64}", "text": b""},
        {"ledger": "0" * 64, "base": "0", "text": b""},
        {"ledger": "0" * 64, "base": f"0:{'0' * 64}", "text": "text"},
        {"ledger": "0" * 64, "base": f"0:{'0' * 64}", "text": b"no end"},
    ],
)
def test_a_header_of_another_form_is_a_ledger_error(fields: Any) -> None:
    message = Shareable()
    message.set_header(TAIL_HEADER, fields)
    with pytest.raises(LedgerError, match=TAIL_HEADER):
        tail_of(message)
    message.set_header(COUNTERSIGNATURE_HEADER, fields)
    with pytest.raises(LedgerError, match="did not countersign"):
        countersignature_of("site-1", message)


def test_two_entries_of_one_file_each_have_their_reader(context: Callable[..., Any]) -> None:
    """FLARE's simulator gives its one policy file to the server and to all sites."""
    workspace = context().get_engine().get_workspace()
    path = Path(workspace.get_site_config_dir()) / POLICY_FILE
    path.write_text(json.dumps({"ledger": "/srv/ledger.jsonl", "min_cohort": 4, "ledgers": ["north"], "delta": 1e-6}))
    assert (read_policy(workspace).min_cohort, read_policy(workspace).ledgers) == (4, ["north"])
    assert read_server_policy(workspace).ledger_path(Path("/root")) == Path("/srv/ledger.jsonl")
    path.write_text(json.dumps({"leger": "/srv/ledger.jsonl"}))
    for read in (read_policy, read_server_policy):
        with pytest.raises(ConfigError, match="leger"):
            read(workspace)
