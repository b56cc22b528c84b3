"""Attack: jobs of both units at one site, so that a limit of 8 lets a patient lose 20 (two ledgers, never added)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent
from dp_accounting.rdp import RdpAccountant
from hypothesis import given
from hypothesis import strategies as st

from ecg_flare.errors import ConfigError, LedgerError, PolicyError
from ecg_flare.federated.round import contribution
from ecg_flare.flare.site.in_memory import MemoryEngine, memory_context
from ecg_flare.flare.site.ledger import charge_round, check_limit, ledger_path
from ecg_flare.flare.site.policy import POLICY_FILE, SitePolicy
from ecg_flare.privacy.accountant import ORDERS, spent
from ecg_flare.privacy.cohort import Cohort, Mechanism
from ecg_flare.privacy.ledger import Ledger, verify
from flat_terms import flat_terms

LIMIT, SIGMA, DELTA = 8.0, 2.0, 1e-5
SITES = {f"site-{number}": 1.0 for number in (1, 2, 3)}
COMMON: dict[str, Any] = {
    "weights": SITES,
    "rounds": 1000,
    "min_sites": 3,
    "summation": "masked",
    "clipping_norm": 0.01,
    "noise_multiplier": SIGMA,
    "delta": DELTA,
    "epsilon_budget": 1e9,
}
JOBS = {
    "patient": flat_terms(**COMMON, unit="patient", sampling_rate=1.0, patients=48, patients_per_site=16),
    "site": flat_terms(**COMMON),
}


@pytest.fixture
def site(tmp_path: Path) -> Any:
    """A site that allows an epsilon of 8 in all."""
    for folder in ("startup", "local"):
        (tmp_path / folder).mkdir()
    set_policy(tmp_path, max_epsilon=LIMIT, delta=DELTA)
    return memory_context(MemoryEngine(tmp_path, "site-1", {}), "site-1", "job")


def set_policy(root: Path, **entries: Any) -> None:
    (root / "local" / POLICY_FILE).write_text(json.dumps(entries))


def rounds_until_refused(site: Any, unit: str, most: int = 1000) -> int:
    for done in range(most):
        try:
            charge_round(site, JOBS[unit], done)
        except PolicyError:
            with pytest.raises(
                PolicyError, match=rf"^max_epsilon=8\.0 at delta=1e-05: round {done + 1} would pass it$"
            ):
                check_limit(site, JOBS[unit], done)
            return done
    return most


def epsilon(*noise_and_rounds: tuple[float, int]) -> float:
    """By an accountant that is not ours."""
    oracle = RdpAccountant(orders=list(ORDERS))
    for sigma, rounds in noise_and_rounds:
        if rounds:
            oracle.compose(GaussianDpEvent(sigma), rounds)
    return float(oracle.get_epsilon(DELTA))


@pytest.mark.parametrize("first", [0, 1, 2, 1000])
def test_both_units_together_stay_within_the_sites_limit(site: Any, first: int) -> None:
    by_site = rounds_until_refused(site, "site", first)
    by_patient = rounds_until_refused(site, "patient")
    # A patient's pages move a clipped update of the site by up to 2 C: half the noise multiplier.
    assert epsilon((SIGMA / 2, by_site), (SIGMA, by_patient)) <= LIMIT
    assert epsilon((SIGMA / 2, by_site), (SIGMA, by_patient + 1)) > LIMIT
    told = verify(ledger_path(site))
    assert [one.mechanism.unit for one in told.rounds] == ["site"] * by_site + ["patient"] * by_patient
    assert told.spent_by_unit["patient"].epsilon_rdp == pytest.approx(
        epsilon((SIGMA / 2, by_site), (SIGMA, by_patient))
    )
    assert told.spent_by_unit["site"].epsilon_rdp == pytest.approx(epsilon((SIGMA, by_site)) if by_site else 0.0)


def test_it_is_the_price_to_patients_that_stops_it(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the guard the attack succeeds."""
    monkeypatch.setattr(Mechanism, "events_for", lambda self, unit: self.events if unit == self.unit else ())
    by_patient, by_site = rounds_until_refused(site, "patient"), rounds_until_refused(site, "site", 9)
    assert epsilon((SIGMA / 2, by_site), (SIGMA, by_patient)) > 2 * LIMIT


def test_a_site_says_which_units_it_takes_part_in(site: Any, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"^units=\['patient'\]: the job's is 'site'"):
        SitePolicy(units=("patient",)).check(JOBS["site"])
    with pytest.raises(PolicyError, match=r"^units=\['site'\]: the job's is 'patient'"):
        SitePolicy(units=("site",)).check(JOBS["patient"])
    SitePolicy(units=("site",)).check(JOBS["site"])
    SitePolicy(units=("patient",)).check(flat_terms(SITES, rounds=1, min_sites=1))  # without noise there is no unit
    for wrong in ((), "site", ("page",), 3):
        with pytest.raises(ConfigError, match="units "):
            SitePolicy(units=wrong)  # type: ignore[arg-type]


def test_a_ledger_that_promises_patients_nothing_does_not_become_one_that_does(site: Any, tmp_path: Path) -> None:
    set_policy(tmp_path, max_epsilon=LIMIT, units=["site"])
    charge_round(site, JOBS["site"], 0)
    with pytest.raises(LedgerError, match="which promises patients nothing"):
        charge_round(site, JOBS["patient"], 0)
    set_policy(tmp_path, max_epsilon=LIMIT)
    with pytest.raises(LedgerError, match="unit 'site', not 'patient'"):
        charge_round(site, JOBS["patient"], 0)


@pytest.mark.parametrize("name", ["patient.jsonl", "site.jsonl"])
def test_no_new_ledger_begins_beside_one_of_an_earlier_version(site: Any, name: str) -> None:
    path = ledger_path(site)
    path.parent.mkdir()
    (path.parent / name).touch()
    for entry in (charge_round, check_limit):
        with pytest.raises(LedgerError, match=rf"has {name} of an earlier version.*lower max_epsilon by it"):
            entry(site, JOBS["site"], 0)
    assert not path.exists()


rounds_of_both = st.lists(st.tuples(st.booleans(), st.floats(0.5, 50), st.floats(0.01, 1)), min_size=1, max_size=6)


@given(rounds_of_both)
def test_what_a_site_lost_is_never_above_what_a_patient_lost(rounds: list[tuple[bool, float, float]]) -> None:
    """So one limit on what patients lose bounds both figures."""
    made = [mechanism(sigma, None if by_site else rate) for by_site, sigma, rate in rounds]
    lost = {unit: [event for one in made for event in one.events_for(unit)] for unit in ("patient", "site")}
    assert spent(lost["site"], DELTA).epsilon_rdp <= spent(lost["patient"], DELTA).epsilon_rdp


def mechanism(sigma: float, rate: float | None, **changes: Any) -> Mechanism:
    """A round of unit site, or of unit patient at a rate."""
    drawn = {"sampling": "poisson", "sampling_rate": rate, "patients": 10, "denominator": 10 * (rate or 1)}
    values = {"job": "job", "round": 0, "clipping_norm": 1.0, "noise_multiplier": sigma, "weights": {"site-1": 1.0}}
    values |= {"unit": "site", "denominator": 1.0} if rate is None else {"unit": "patient", **drawn}
    return Mechanism(**(values | changes))


def test_brute_force_a_patient_moves_the_sum_by_at_most_twice_the_sensitivity() -> None:
    """A site's update with a patient's pages and without may be anything: every pair, as the site would send them."""
    weights = {"a": 0.25, "b": 1.0, "c": 0.5}
    config = flat_terms(weights, min_sites=3, clipping_norm=0.5, noise_multiplier=SIGMA)
    fixed = config.fixed_encoding(2)
    assert fixed is not None
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    updates = [
        np.array([length * np.cos(angle), length * np.sin(angle)], np.float32)
        for length in (0.0, 0.1, 0.5, 3.0, 1e6)
        for angle in angles
    ]
    moved = dict.fromkeys(weights, 0.0)
    for site, weight in weights.items():
        sent = np.array([contribution(update, weight, config, 2) for update in updates], np.float64)
        moved[site] = float(np.linalg.norm(sent[:, None] - sent[None], axis=-1).max())
    one = mechanism(SIGMA, None, weights=weights)
    (event,) = one.events_for("patient")
    assert event.sampling_rate == 1.0
    assert fixed.noise_sd / max(moved.values()) >= event.noise_multiplier  # never passed
    assert fixed.noise_sd / max(moved.values()) == pytest.approx(event.noise_multiplier, rel=1e-6)  # and reached
    # A patient with pages at every site moves all of their updates, all the same way at worst.
    (shared,) = mechanism(SIGMA, None, weights=weights, shared_patients=True).events_for("patient")
    assert fixed.noise_sd / sum(moved.values()) >= shared.noise_multiplier
    assert fixed.noise_sd / sum(moved.values()) == pytest.approx(shared.noise_multiplier, rel=1e-6)


def test_a_ledger_counts_shared_patients_in_both_units_or_in_none(tmp_path: Path) -> None:
    cohort = Cohort("north", "patient", ("site-1",), DELTA, None)
    with Ledger(tmp_path / "ledger.jsonl", cohort) as ledger:
        ledger.charge(mechanism(SIGMA, 0.5, shared_patients=True))
        with pytest.raises(LedgerError, match="takes no round of unit site"):
            ledger.charge(mechanism(SIGMA, None))
        ledger.charge(mechanism(SIGMA, None, shared_patients=True))
    assert len(verify(tmp_path / "ledger.jsonl").rounds) == 2


def test_a_charge_in_another_unit_than_its_shape_is_refused(tmp_path: Path) -> None:
    cohort = Cohort("north", "patient", ("site-1",), DELTA, None)
    with Ledger(tmp_path / "ledger.jsonl", cohort) as ledger:
        for wrong in (mechanism(SIGMA, 0.5, unit="site"), mechanism(SIGMA, None, unit="patient")):
            with pytest.raises(LedgerError, match=f"under unit {wrong.unit}, expected"):
                ledger.charge(wrong)
        with pytest.raises(ConfigError, match="unit is 'page'"):
            mechanism(SIGMA, None, unit="page")
    assert verify(tmp_path / "ledger.jsonl").rounds == ()
