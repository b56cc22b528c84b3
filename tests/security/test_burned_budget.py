"""Attack: a server burns a site's budget by requests that lead to nothing; the charge comes when all else is done."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ledger_orders import new_ledger
from nvflare.apis.executor import Executor
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from ecg_flare.errors import EcgFlareError, PolicyError, SecureSumError, StorageError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.deploy.temporary_kits import stand_in_kits
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.folders import JobSpec, Pages, job_files
from ecg_flare.flare.job.ledger_messages import with_tail
from ecg_flare.flare.job.messages import TRAIN, TrainRequest, TrainResult
from ecg_flare.flare.job.terms import update_size
from ecg_flare.flare.site.filters import StripResult
from ecg_flare.flare.site.in_memory import MemorySite
from ecg_flare.flare.site.ledger import charge_round
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import initial_vector
from ecg_flare.privacy.chain_tail import ChainTail
from ecg_flare.privacy.ledger import verify
from ecg_flare.privacy.secure_sum.memory import MAX_UPDATES
from flat_terms import varied

PLAN = plan_preset("tiny")
MODEL = initial_vector(PLAN, 0)
EXECUTOR = "ecg_flare.flare.site.executor.NnunetExecutor"


class Trained(Executor):
    """A training that is done at once."""

    def __init__(self, terms: JobTerms) -> None:
        super().__init__()
        self._size = terms.sum_size(update_size(terms, len(MODEL)))

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        request = TrainRequest.from_shareable(shareable)
        repeated = request.round_index, request.attempt, request.layout_digest
        return TrainResult(np.zeros(self._size, np.int32), *repeated).to_shareable()


class Attacked:
    """A site of a private job that sums in some way, and the server that requests it about."""

    def __init__(self, root: Path, summation: str, **policy: Any) -> None:
        bundled = BUNDLED["fedadam_dp"]
        terms = varied(bundled.terms, summation=summation)
        spec: JobSpec = replace(bundled, terms=terms, custom=False, pages=Pages("ecg_flare.site.own_pages.SitesOwn"))
        config = json.loads(job_files(spec)["app/config/config_fed_client.json"])
        kits = stand_in_kits(root, terms.roster, {"site-1": policy}, signed=summation == "masked")
        self.ledger = kits.root("site-1") / "ecg_flare_ledger" / "ledger.jsonl"
        self._digest = terms.digest
        self._servers_ledger = new_ledger(root / "servers.jsonl")
        self._site = MemorySite(config, "site-1", kits.root("site-1"), "job-1", replaced={EXECUTOR: Trained(terms)})

    def request(self, round_index: int = 0, attempt: str = "0" * 32) -> Shareable:
        """What leaves the site for a request to train."""
        request = TrainRequest(MODEL, round_index, attempt, PLAN.layout_digest, PLAN.hash, self._digest)
        return self._site.answer(TRAIN, with_tail(request.to_shareable(), ChainTail.read(self._servers_ledger)))

    @property
    def charged(self) -> int:
        """Rounds in the site's own ledger."""
        return len(verify(self.ledger).rounds) if self.ledger.exists() else 0


@pytest.fixture
def attacked(tmp_path: Path) -> Callable[..., Attacked]:
    return lambda summation, **policy: Attacked(tmp_path, summation, **({"max_epsilon": 6.0, "delta": 1e-4} | policy))


def test_sixty_orders_without_a_masked_sum_cost_nothing(attacked: Callable[..., Attacked]) -> None:
    site = attacked("masked")
    for _ in range(60):
        with pytest.raises(SecureSumError, match=r"no shares of peers .* nothing can be masked"):
            site.request()
    assert site.charged == 0


def test_with_the_charge_before_the_mask_they_cost_everything(
    attacked: Callable[..., Attacked], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the guard the attack succeeds: StripResult charged, before it was known that there is a mask."""
    honest = StripResult._process

    def charges_first(self: StripResult, shareable: Shareable, terms: JobTerms, fl_ctx: FLContext) -> Shareable:
        reply = TrainResult.from_shareable(shareable)
        charge_round(fl_ctx, terms, reply.round_index)
        return honest(self, shareable, terms, fl_ctx)

    monkeypatch.setattr(StripResult, "_process", charges_first)
    site = attacked("masked")
    ended = [ended_in(site.request) for _ in range(60)]
    assert PolicyError in ended
    assert site.charged == ended.index(PolicyError) > 0  # the budget is gone, and nothing left


def ended_in(request: Callable[[], object]) -> type[EcgFlareError] | None:
    try:
        request()
    except EcgFlareError as error:
        return type(error)
    return None


def test_each_copy_that_leaves_in_the_clear_is_charged(attacked: Callable[..., Attacked]) -> None:
    site = attacked("plain", max_epsilon=1e6)
    for copies in (1, 2, 3):
        site.request()
        assert site.charged == copies
    site.request(1)
    assert [one.mechanism.round for one in verify(site.ledger).rounds] == [0, 0, 0, 1]


def test_an_encrypted_update_is_charged_when_it_leaves_and_not_when_it_is_refused(
    attacked: Callable[..., Attacked],
) -> None:
    pytest.importorskip("tenseal", reason="needs the extra 'he'")
    site = attacked("encrypted", max_epsilon=1e6)
    for attempt in range(MAX_UPDATES):
        site.request(attempt=f"{attempt:032x}")
        with pytest.raises(SecureSumError):  # the same attempt again
            site.request(attempt=f"{attempt:032x}")
        assert site.charged == attempt + 1
    for attempt in range(MAX_UPDATES, 60):
        with pytest.raises(SecureSumError, match="3 updates left this site in the round under way"):
            site.request(attempt=f"{attempt:032x}")
    assert site.charged == MAX_UPDATES
    site.request(round_index=1)
    assert site.charged == MAX_UPDATES + 1


@pytest.mark.parametrize("summation", ["plain", "encrypted"])
def test_nothing_leaves_where_the_charge_fails(
    attacked: Callable[..., Attacked], monkeypatch: pytest.MonkeyPatch, summation: str
) -> None:
    if summation == "encrypted":
        pytest.importorskip("tenseal", reason="needs the extra 'he'")
    site = attacked(summation)

    def full(*_: object) -> None:
        raise StorageError("No space left")

    with monkeypatch.context() as patch:
        patch.setattr("ecg_flare.privacy.chain._write_all", full)
        with pytest.raises(StorageError, match="No space left"):
            site.request()
