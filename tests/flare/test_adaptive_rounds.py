"""Masked jobs whose clipping norm follows the patients, without FLARE's processes: C, its ledger, and liars."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from masked_sites import Site
from memory_job import MemoryJob

from ecg_flare.errors import PolicyError
from ecg_flare.federated.promise import privacy_text
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TrainRequest, TrainResult, to_wire
from ecg_flare.flare.job.terms import in_request, subset
from ecg_flare.flare.server.mechanism import ChargedRound
from ecg_flare.flare.site.policy import SitePolicy
from ecg_flare.flare.summation.masked.offer import sum_context
from ecg_flare.flare.summation.masked.site import SecureSumSite
from ecg_flare.privacy.accountant import epsilon_rdp
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.privacy.ledger import verify
from flat_terms import flat_terms, varied

LENGTHS = (0.2, 0.5, 4.0)  # of a site's patients: two of three are below the first C
TERMS = flat_terms(
    weights=dict.fromkeys(("site-1", "site-2", "site-3"), 1.0),
    rounds=4,
    min_sites=3,
    trained=("decoder.seg_layers.2.*",),
    unit="patient",
    patients=9,
    patients_per_site=3,
    clipping_norm=1.0,
    noise_multiplier=0.05,
    epsilon_budget=1e9,
    summation="masked",
    adaptive_clipping={"quantile": 0.25, "rate": 1.0, "count_noise": 0.1, "least": 0.25, "most": 2.0},
)
assert TERMS.adaptive is not None
RULE = TERMS.adaptive


class PatientSite(Site):
    """Three patients, all of whom are drawn, and whose updates are the same in each round."""

    def reply(self, request: TrainRequest) -> TrainResult:
        terms = in_request(TERMS, request)
        encoding = terms.patient_encoding(subset(terms).dimension)
        updates = (np.eye(1, encoding.dimension, dtype=np.float32)[0] * np.float32(length) for length in LENGTHS)
        integers = sum(encoding.encode(update, 1.0).astype(np.int64) for update in updates)
        return TrainResult(
            to_wire(np.asarray(integers)),
            request.round_index,
            request.attempt,
            request.layout_digest,
            clipping_norm=request.clipping_norm,
        )


@pytest.fixture
def job(context: Callable[..., Any], tmp_path: Path) -> Callable[..., MemoryJob]:
    def one(terms: JobTerms = TERMS) -> MemoryJob:
        made = MemoryJob(context, terms, tmp_path / "state")
        made.sites = {name: PatientSite(name, context, terms=terms) for name in terms.roster}
        return made

    return one


def test_the_norm_goes_where_the_shares_lead_it_in_metrics_ledger_and_at_the_sites(
    job: Callable[..., MemoryJob], tmp_path: Path
) -> None:
    run = job()
    run.run()
    assert run.panic == ""
    told = verify(tmp_path / "state" / "ledger.jsonl")
    # Two of three are within C while it is above 0.5: C falls by e^-(2/3 - 1/4) a round, to 0.43, then more slowly
    norms = [1.0, math.exp(-5 / 12), math.exp(-10 / 12), math.exp(-11 / 12)]
    assert [one.share for one in told.rounds] == pytest.approx([2 / 3, 2 / 3, 1 / 3, 1 / 3], abs=0.05)
    assert [one.mechanism.clipping_norm for one in told.rounds] == pytest.approx(norms, rel=0.1)
    assert told.spent.epsilon_rdp == epsilon_rdp([GaussianEvent(0.05, count=4)], 1e-5)
    lines = [json.loads(line) for line in (tmp_path / "state" / "metrics.jsonl").open()]
    assert [line["clipping_norm"] for line in lines[1:]] == [one.mechanism.clipping_norm for one in told.rounds]
    for site in run.sites.values():
        own = verify(site.root / "ecg_flare_ledger" / "ledger.jsonl").rounds
        assert [one.mechanism.clipping_norm for one in own] == [one.mechanism.clipping_norm for one in told.rounds]
        assert [one.mechanism.sensitivity for one in own] == pytest.approx(
            [one.mechanism.sensitivity for one in told.rounds]
        )


def test_a_job_that_was_ended_goes_on_with_the_norm_that_its_ledger_leads_to(
    job: Callable[..., MemoryJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Nothing catches it."""

    honest = ChargedRound.release

    def dies_in_the_third(self: ChargedRound, *released: Any) -> None:
        honest(self, *released)
        if len(self.ledger.rounds) == 3:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ChargedRound, "release", dies_in_the_third)
        first = job()
        with pytest.raises(Killed):
            first.run()
        first.stop_controller(first.fl_ctx)
    second = job()
    second.run()
    assert second.panic == ""
    rounds = verify(tmp_path / "state" / "ledger.jsonl").rounds
    # The third was opened and lost: the same sites train it again, at the same C, and it is charged again.
    assert [one.mechanism.round for one in rounds] == [0, 1, 2, 2, 3]
    assert rounds[3].mechanism.clipping_norm == rounds[2].mechanism.clipping_norm
    lines = [one.mechanism.adaptation.line for one in rounds if one.mechanism.adaptation]
    assert lines == [None, *(rounds[index].release_line for index in (0, 1, 1, 3))]


def test_no_site_masks_an_update_clipped_to_another_norm_than_the_sums(
    job: Callable[..., MemoryJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server offers a sum at one C, within the bounds, and requests training at the one that the shares lead to."""
    honest = SecureSumSite.open_round

    def offered(self: SecureSumSite, fl_ctx: Any, terms: Any) -> Any:
        other = TERMS.at_norm(1.5)
        lie = replace(terms, clipping_norm=1.5, dp=privacy_text(other))
        return honest(self, fl_ctx, lie)

    run = job()
    monkeypatch.setattr(SecureSumSite, "open_round", offered)
    monkeypatch.setattr("ecg_flare.flare.summation.masked.server.sum_context", _at(1.5))
    run.run()
    assert "nothing was recovered" in run.panic
    whys = [why for task, _, why in run.out if task == "train"]
    assert len(whys) == 6  # three sites, two rounds
    assert all("clipped to 1.0; the sum under way is of round" in why for why in whys)


def _at(norm: float) -> Callable[..., Any]:
    return lambda terms, attempt: sum_context(terms.at_norm(norm), attempt)


def test_a_norm_out_of_bounds_is_refused_when_it_is_offered(
    job: Callable[..., MemoryJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = job()
    wide = varied(TERMS, adaptive_clipping={**asdict(RULE), "most": 50.0})
    monkeypatch.setattr(
        "ecg_flare.flare.summation.masked.server.sum_context", lambda terms, attempt: _at(40.0)(wide, attempt)
    )
    run.run()
    assert "train" not in {task for task, _, _ in run.out}
    assert "nothing was recovered" in run.panic


def test_a_sites_largest_norm_is_held_against_the_bound_that_c_never_passes() -> None:
    SitePolicy(max_clipping_norm=2.0).check(TERMS)
    with pytest.raises(PolicyError, match=r"max_clipping_norm=1\.9: the job's is 2\.0"):
        SitePolicy(max_clipping_norm=1.9).check(TERMS)


def test_the_bounds_hold_whatever_is_counted() -> None:
    rule = RULE
    assert rule.norm_after(1.0, [0.0] * 50) == 2.0
    assert rule.norm_after(1.0, [1.0] * 50) == 0.25
