"""A site's own ledger and limit: charged when its update leaves, refused in the right round, and by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
from dp_accounting.rdp import RdpAccountant
from ledger_orders import new_ledger, ordered
from memory_job import MemoryJob

from ecg_flare.errors import LedgerError, PolicyError, StorageError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TrainResult
from ecg_flare.flare.site.filters import StripResult
from ecg_flare.flare.site.ledger import charge_round, check_limit, ledger_path
from ecg_flare.flare.site.policy import POLICY_FILE
from ecg_flare.flare.summation.masked.messages import CONSENT
from ecg_flare.privacy.accountant import ORDERS, spent
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.privacy.ledger import verify
from flat_terms import flat_terms, varied

SIGMA = 8.0


def private(sites: int, rounds: int, **changes: Any) -> JobTerms:
    values: dict[str, Any] = {
        "weights": {f"site-{number}": 1.0 for number in range(1, sites + 1)},
        "rounds": rounds,
        "min_sites": 3,
        "clipping_norm": 1.0,
        "noise_multiplier": SIGMA,
        "epsilon_budget": 9.0,
        "summation": "masked",
    }
    return flat_terms(**(values | changes))


PATIENTS = {"unit": "patient", "patients": 10, "patients_per_site": 8, "sampling_rate": 0.5}


def rounds_within(epsilon: float, *, sigma: float, rate: float = 1.0, delta: float = 1e-5) -> int:
    """How many rounds an independent accountant finds within epsilon."""
    oracle, done = RdpAccountant(orders=list(ORDERS)), 0
    while True:
        oracle.compose(PoissonSampledDpEvent(rate, GaussianDpEvent(sigma)))
        if oracle.get_epsilon(delta) > epsilon:
            return done
        done += 1


def policy(fl_ctx: Any, **entries: Any) -> None:
    folder = Path(fl_ctx.get_engine().get_workspace().get_site_config_dir())
    (folder / POLICY_FILE).write_text(json.dumps(entries), encoding="utf-8")


@pytest.mark.parametrize(
    ("unit", "rate", "units", "sigma", "costs_as"),
    [
        ("site", 1.0, ["site"], SIGMA, SIGMA),
        ("site", 1.0, ["patient", "site"], 2 * SIGMA, SIGMA),  # a patient is hidden as by half the noise
        ("patient", 0.1, ["patient"], 1.7, 1.7),
    ],
)
def test_a_site_refuses_the_first_round_that_would_pass_its_own_limit(
    context: Callable[..., Any], unit: str, rate: float, units: list[str], sigma: float, costs_as: float
) -> None:
    terms = private(3, 20, noise_multiplier=sigma, **(PATIENTS | {"sampling_rate": rate} if unit == "patient" else {}))
    fl_ctx = context(terms=terms)
    policy(fl_ctx, max_epsilon=1.0, delta=1e-5, units=units)
    within = rounds_within(1.0, sigma=costs_as, rate=rate)
    assert within >= 2
    for index in range(within):
        check_limit(fl_ctx, terms, index)
        charge_round(fl_ctx, terms, index)
    for refuses in (check_limit, charge_round):
        with pytest.raises(PolicyError, match=rf"^max_epsilon=1\.0 at delta=1e-05: round {within + 1} would pass it"):
            refuses(fl_ctx, terms, within)
    assert len(verify(ledger_path(fl_ctx)).rounds) == within


def test_what_leaves_is_charged_with_the_servers_events_and_later_jobs_go_on(
    context: Callable[..., Any], tmp_path: Path
) -> None:
    weights = {"site-1": 0.5, "site-2": 1.0, "site-3": 1.0}
    terms = private(3, 2, weights=weights, summation="plain", **PATIENTS)
    servers = new_ledger(tmp_path / "servers.jsonl")
    for index in range(2):
        fl_ctx = ordered(context, terms, servers)
        message = TrainResult(np.array([1, 2], np.int64), index, "a", "l").to_shareable()
        StripResult().process(message, fl_ctx)
    told = verify(ledger_path(fl_ctx))
    assert (told.cohort.name, told.cohort.unit, told.cohort.roster) == ("site-1", "patient", ("site-1",))
    assert [one.mechanism.events for one in told.rounds] == [terms.events] * 2
    assert {one.mechanism.sensitivity for one in told.rounds} == {1.0}  # the noise was measured against weight 1
    assert not any(one.released for one in told.rounds)  # what becomes of the sum the site does not see
    charge_round(fl_ctx, private(4, 2), 0)  # another job, another unit: the same ledger
    both = verify(ledger_path(fl_ctx))
    assert [one.mechanism.unit for one in both.rounds] == ["patient", "patient", "site"]
    patients = GaussianEvent(SIGMA, sampling_rate=0.5, count=2)
    assert both.spent_by_unit == {
        "patient": spent([patients, GaussianEvent(SIGMA / 2)], 1e-5),
        "site": spent([GaussianEvent(SIGMA)], 1e-5),
    }


def test_a_job_without_noise_is_refused_under_a_limit_and_not_charged_without(context: Callable[..., Any]) -> None:
    from ecg_flare.flare.site.policy import read_policy

    terms = flat_terms({"site-1": 1.0}, 1, 1, clipping_norm=1.0)
    fl_ctx = context(terms=terms)
    read_policy(fl_ctx.get_engine().get_workspace()).check(terms)
    StripResult().process(TrainResult(np.ones(2, np.float32), 0, "a", "l").to_shareable(), fl_ctx)
    assert not ledger_path(fl_ctx).exists()
    policy(fl_ctx, max_epsilon=4.0)
    with pytest.raises(PolicyError, match=r"^max_epsilon=4\.0: the job adds no noise"):
        read_policy(fl_ctx.get_engine().get_workspace()).check(terms)


def test_a_limit_may_change_and_a_changed_ledger_stops_the_site(context: Callable[..., Any]) -> None:
    terms = private(3, 9)
    fl_ctx = context(terms=terms)
    policy(fl_ctx, max_epsilon=0.1)
    with pytest.raises(PolicyError):
        charge_round(fl_ctx, terms, 0)
    policy(fl_ctx, max_epsilon=3.0)
    charge_round(fl_ctx, terms, 0)
    path = ledger_path(fl_ctx)
    path.write_bytes(path.read_bytes().replace(b'"noise_multiplier":8.0', b'"noise_multiplier":9.0'))
    with pytest.raises(LedgerError, match="line 2"):
        check_limit(fl_ctx, terms, 1)


def test_the_others_go_on_without_the_site_whose_limit_is_reached(context: Callable[..., Any], tmp_path: Path) -> None:
    within = rounds_within(1.0, sigma=SIGMA)
    job = MemoryJob(context, private(4, within + 2), tmp_path / "state")
    job.set_policy("site-2", '{"max_epsilon": 1.0, "units": ["site"]}')
    job.run()
    assert job.panic == ""
    assert [(task, site) for task, site, _ in job.out if task == "sum_keys"] == [("sum_keys", "site-2")] * 2
    assert "its own limit max_epsilon=1.0 at delta=1e-05: round" in job.out[0][2]
    answered = [json.loads(line)["answered"] for line in (tmp_path / "state" / "metrics.jsonl").open()][1:]
    everybody = ["site-1", "site-2", "site-3", "site-4"]
    assert answered == [everybody] * within + [["site-1", "site-3", "site-4"]] * 2
    rounds = {
        site: len(verify(one.root / "ecg_flare_ledger" / "ledger.jsonl").rounds) for site, one in job.sites.items()
    }
    assert rounds == {"site-1": within + 2, "site-2": within, "site-3": within + 2, "site-4": within + 2}
    assert len(verify(tmp_path / "state" / "ledger.jsonl").rounds) == within + 2


def test_the_job_ends_where_the_threshold_needs_the_site_that_refuses(
    context: Callable[..., Any], tmp_path: Path
) -> None:
    within = rounds_within(1.0, sigma=SIGMA)
    job = MemoryJob(context, private(3, within + 4), tmp_path / "state")
    job.set_policy("site-3", '{"max_epsilon": 1.0, "units": ["site"]}')
    job.run()
    assert "nothing was recovered" in job.panic
    assert {site for task, site, _ in job.out if task == "sum_keys"} == {"site-3"}
    assert len(verify(tmp_path / "state" / "ledger.jsonl").rounds) == within  # a lost round costs nothing
    lost = [bool(json.loads(line)["failure"]) for line in (tmp_path / "state" / "metrics.jsonl").open()][1:]
    assert lost == [False] * within + [True, True]


def test_a_job_of_other_terms_counts_in_the_same_ledger(context: Callable[..., Any]) -> None:
    """Epsilon is the site's, over all jobs: a round at one noise, then some at another."""
    first = private(3, 9)
    fl_ctx = context(terms=first)
    policy(fl_ctx, max_epsilon=1.0, units=["site"])
    charge_round(fl_ctx, first, 0)
    second = varied(first, noise_multiplier=12.0)
    oracle = RdpAccountant(orders=list(ORDERS))
    oracle.compose(GaussianDpEvent(SIGMA))
    done = 0
    while oracle.compose(GaussianDpEvent(12.0)).get_epsilon(1e-5) <= 1.0:
        charge_round(fl_ctx, second, done)
        done += 1
    with pytest.raises(PolicyError):
        charge_round(fl_ctx, second, done)


def test_a_masked_update_whose_charge_fails_does_not_leave(
    context: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = MemoryJob(context, private(4, 2), tmp_path / "state")

    def full_at_one(fl_ctx: Any, terms: JobTerms, round_index: int) -> None:
        if (fl_ctx.get_identity_name(), round_index) == ("site-2", 0):
            raise StorageError("No space left")
        charge_round(fl_ctx, terms, round_index)

    monkeypatch.setattr("ecg_flare.flare.summation.masked.site.charge_round", full_at_one)
    job.run()
    assert job.panic == ""
    assert job.out[0] == ("train", "site-2", "No space left")
    assert {site for _, site, _ in job.out} == {"site-2"}  # it was out of the round, and back in the next
    answered = [json.loads(line)["answered"] for line in (tmp_path / "state" / "metrics.jsonl").open()][1:]
    assert answered == [["site-1", "site-3", "site-4"], ["site-1", "site-2", "site-3", "site-4"]]
    assert rounds_charged(job) == {"site-1": [0, 1], "site-2": [1], "site-3": [0, 1], "site-4": [0, 1]}


def test_a_round_that_is_aborted_after_the_masks_is_charged_once(context: Callable[..., Any], tmp_path: Path) -> None:
    job = MemoryJob(context, private(3, 2), tmp_path / "state")
    ask, aborted = job.ask, []

    def aborts_the_first(task_name: str, *given: Any, **named: Any) -> tuple[str, ...]:
        if task_name == CONSENT and not aborted:
            aborted.append(task_name)
            return ()
        return ask(task_name, *given, **named)

    job.ask = aborts_the_first  # type: ignore[method-assign,assignment]
    job.run()
    assert (job.panic, aborted) == ("", [CONSENT])
    assert rounds_charged(job) == {site: [0, 1] for site in job.sites}  # what left stays charged
    assert [one.mechanism.round for one in verify(tmp_path / "state" / "ledger.jsonl").rounds] == [1]


def rounds_charged(job: MemoryJob) -> dict[str, list[int]]:
    """The rounds in each site's own ledger."""
    paths = {site: one.root / "ecg_flare_ledger" / "ledger.jsonl" for site, one in job.sites.items()}
    return {site: [one.mechanism.round for one in verify(path).rounds] for site, path in paths.items()}
