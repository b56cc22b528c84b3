"""The ledger of a cohort: budget, charges that survive crashes, and what a third party recomputes."""

import itertools
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
from dp_accounting.rdp import RdpAccountant

from ecg_flare.errors import BudgetError, ConfigError, LedgerError, StorageError
from ecg_flare.privacy.accountant import ORDERS, epsilon_rdp, noise_multiplier_for
from ecg_flare.privacy.adaptive_clipping import AdaptiveClipping
from ecg_flare.privacy.chain import ChainWriter, read_chain
from ecg_flare.privacy.cohort import Adaptation, Cohort, Mechanism
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.privacy.ledger import Ledger, verify

COHORT = Cohort("consortium", "site", ("site-1", "site-2"), delta=1e-5, epsilon_budget=8.0)
WEIGHTS = {"site-1": 1.0, "site-2": 0.5}


def mechanism(round_index: int = 0, sigma: float = 5.0, **changes: Any) -> Mechanism:
    values = {"job": "job-1", "round": round_index, "clipping_norm": 0.5, "noise_multiplier": sigma, "unit": "site"}
    return Mechanism(**(values | {"weights": WEIGHTS, "denominator": 1.5} | changes))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, COHORT) as ledger:
        for index in range(3):
            charged = ledger.charge(mechanism(index))
            ledger.release(charged, model_sha256=f"{index:064x}", noised_sum_sha256="a" * 64)
    return path


def test_epsilon_grows_as_an_independent_accountant_says(path: Path) -> None:
    oracle = RdpAccountant(orders=list(ORDERS))
    for charged in verify(path).rounds:
        oracle.compose(GaussianDpEvent(5.0))
        assert charged.spent.epsilon_rdp == pytest.approx(oracle.get_epsilon(1e-5), rel=1e-9)


def test_report_tells_what_happened(path: Path) -> None:
    report = verify(path)
    assert report.cohort == COHORT
    assert [charged.mechanism for charged in report.rounds] == [mechanism(index) for index in range(3)]
    assert [charged.model_sha256 for charged in report.rounds] == [f"{index:064x}" for index in range(3)]
    assert all(charged.released for charged in report.rounds)
    assert report.spent.epsilon_rdp == epsilon_rdp([GaussianEvent(5.0, count=3)], 1e-5)
    assert report.anchored
    assert report.head.lines == 7


def test_a_later_job_continues_the_ledger(path: Path) -> None:
    with Ledger(path, COHORT) as ledger:
        ledger.charge(mechanism(0, job="job-2"))
        assert ledger.spent().epsilon_rdp == epsilon_rdp([GaussianEvent(5.0, count=4)], 1e-5)
    assert [charged.mechanism.job for charged in verify(path).rounds] == ["job-1"] * 3 + ["job-2"]


def test_the_round_that_would_pass_the_budget_is_refused_and_not_charged(tmp_path: Path) -> None:
    sigma = noise_multiplier_for(8.0, 1e-5, rounds=4)
    with Ledger(tmp_path / "ledger.jsonl", COHORT) as ledger:
        ledger.check_budget(mechanism(sigma=sigma), rounds=4)
        with pytest.raises(BudgetError, match=r"5 more release\(s\) .* above its budget 8\.0"):
            ledger.check_budget(mechanism(sigma=sigma), rounds=5)
        for index in range(4):
            ledger.charge(mechanism(index, sigma))
        before = ledger.head
        with pytest.raises(BudgetError, match=r"\(4 rounds are charged so far\)"):
            ledger.charge(mechanism(4, sigma))
        assert ledger.head == before
    assert verify(tmp_path / "ledger.jsonl").spent.epsilon_rdp <= 8.0


def test_a_round_that_crashed_before_its_release_stays_charged(path: Path) -> None:
    with Ledger(path, COHORT) as ledger:
        ledger.charge(mechanism(3))
    with Ledger(path, COHORT) as ledger:
        ledger.charge(mechanism(3))  # the job runs the round again
        assert len(ledger.rounds) == 5
    report = verify(path)
    assert [charged.released for charged in report.rounds] == [True, True, True, False, False]
    assert report.spent.epsilon_rdp == epsilon_rdp([GaussianEvent(5.0, count=5)], 1e-5)


def test_a_torn_charge_is_cut_off_and_told(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b'{"entry":{"kind":"char')
    with pytest.raises(LedgerError, match="line 8: is incomplete"):
        verify(path)
    with Ledger(path, COHORT) as ledger:
        ledger.charge(mechanism(3))
    entries = [line.entry for line in read_chain(path).lines]
    assert [entry["kind"] for entry in entries[-2:]] == ["recovery", "charge"]
    assert entries[-2]["torn_bytes"] == 22
    assert len(verify(path).rounds) == 4


def test_a_charge_whose_head_could_not_be_written_still_counts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, write: object) -> None:
        raise StorageError("No space left")

    with Ledger(path, COHORT) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr("ecg_flare.privacy.chain.write_atomically", full)
            with pytest.raises(StorageError, match=r"line 8 .* is recorded, but its head is not"):
                ledger.charge(mechanism(3))
        assert ledger.spent().epsilon_rdp == epsilon_rdp([GaussianEvent(5.0, count=4)], 1e-5)
        ledger.charge(mechanism(3))
    assert len(verify(path).rounds) == 5


CHILD = """
import sys
from pathlib import Path
from ecg_flare.privacy.cohort import Adaptation, Cohort, Mechanism
from ecg_flare.privacy.ledger import Ledger
cohort = Cohort("consortium", "site", ("site-1",), delta=1e-5, epsilon_budget=1e6)
with Ledger(Path(sys.argv[1]), cohort) as ledger:
    for index in range(10**6):
        ledger.charge(Mechanism("job", index, 1.0, 100.0, {"site-1": 1.0}, 1.0, unit="site"))
        print(index, flush=True)
"""


def test_killed_at_any_time_nothing_acted_upon_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    cohort = Cohort("consortium", "site", ("site-1",), delta=1e-5, epsilon_budget=1e6)
    acknowledged = 0
    for stop_after in (1, 2, 5, 13):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        seen = [child.stdout.readline() for _ in range(stop_after)]
        os.kill(child.pid, signal.SIGKILL)
        rest = child.stdout.read().splitlines()
        child.wait()
        acknowledged += len(seen) + len(rest)
        with Ledger(path, cohort) as ledger:
            assert acknowledged <= len(ledger.rounds) <= acknowledged + stop_after
            acknowledged = len(ledger.rounds)
    assert len(verify(path).rounds) == acknowledged


def test_another_cohort_is_refused_by_what_differs(path: Path) -> None:
    with pytest.raises(LedgerError, match=r"epsilon_budget 8\.0, not 80\.0"):
        Ledger(path, replace(COHORT, epsilon_budget=80.0))
    for changed, named in (({"delta": 1e-6}, "delta"), ({"unit": "patient"}, "unit"), ({"name": "other"}, "name")):
        with pytest.raises(LedgerError, match=f"a cohort with {named} "):
            Ledger(path, replace(COHORT, roster=("site-1",), **changed))  # type: ignore[arg-type]
    assert verify(path).cohort == COHORT
    Ledger(path, COHORT).close()  # the refusals gave the lock back


def test_two_jobs_cannot_write_at_once(path: Path) -> None:
    with Ledger(path, COHORT), pytest.raises(LedgerError, match="another job writes"):
        Ledger(path, COHORT)


def test_a_release_needs_its_own_charge(path: Path) -> None:
    with Ledger(path, COHORT) as ledger:
        first = ledger.rounds[0]
        with pytest.raises(LedgerError, match="charge of line 2, which is unknown or was used"):
            ledger.release(first, model_sha256="b" * 64)
        with pytest.raises(LedgerError, match="charge of line 99"):
            ledger.release(replace(first, line=99), model_sha256="b" * 64)


def test_what_is_not_the_cohorts_is_refused(path: Path) -> None:
    with Ledger(path, COHORT) as ledger:
        with pytest.raises(LedgerError, match="site-9 is not on the roster"):
            ledger.charge(mechanism(weights={"site-9": 1.0}))
        for strange in ({"sampling": "poisson", "sampling_rate": 0.5}, {"patients": 2}, {"shared_patients": True}):
            with pytest.raises(LedgerError, match="under unit site, expected all sites"):
                ledger.charge(mechanism(**strange))


def test_patients_are_sampled_and_amplified(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    drawn = {"sigma": 2.0, "sampling": "poisson", "sampling_rate": 0.1, "patients": 400, "denominator": 40.0}
    drawn["unit"] = "patient"
    with Ledger(path, replace(COHORT, unit="patient")) as ledger:
        for index in range(3):
            ledger.charge(mechanism(index, **drawn))
        sampled = ledger.spent().epsilon_rdp
        for wrong in ({"denominator": 41.0}, {"patients": 401}):
            with pytest.raises(LedgerError, match=r"expected the public 0\.1 \* 40"):
                ledger.charge(mechanism(3, **(drawn | wrong)))
        with pytest.raises(LedgerError, match="under unit patient, expected 'poisson'"):
            ledger.charge(mechanism(3, unit="patient"))
    assert sampled < epsilon_rdp([GaussianEvent(2.0, count=3)], 1e-5) / 3
    report = verify(path)
    assert report.spent.epsilon_rdp == pytest.approx(sampled)
    assert report.rounds[2].mechanism == mechanism(2, **drawn)


def test_each_line_says_what_the_round_was_and_what_was_spent_by_then(path: Path) -> None:
    entries = [line.entry for line in read_chain(path).lines]
    assert entries[0] | {"kind": "cohort", "unit": "site", "adjacency": "zero-out", "delta": 1e-5} == entries[0]
    for charge, release in zip(entries[1::2], entries[2::2], strict=True):
        assert (charge["sampling"], charge["sampling_rate"], charge["denominator"]) == ("all", 1.0, 1.5)
        assert (charge["clipping_norm"], charge["noise_multiplier"], charge["sensitivity"]) == (0.5, 5.0, 0.5)
        assert release["spent"] == charge["spent"]
        assert set(release["spent"]) == {"delta", "epsilon_rdp", "epsilon_prv"}


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Forge a ledger with valid hashes throughout: what only recomputing can notice."""
    entries = [json.loads(json.dumps(dict(line.entry))) for line in read_chain(path).lines]
    change(entries)
    path.unlink()
    path.with_name(path.name + ".head").unlink()
    with ChainWriter(path) as chain:
        for entry in entries:
            chain.append(entry)


@pytest.mark.parametrize(
    ("line", "fields", "message"),
    [
        (4, {"noise_multiplier": 50.0}, "line 4: claims .* but recomputing gives"),
        (6, {"spent": {"delta": 1e-5, "epsilon_rdp": 0.1, "epsilon_prv": 0.1}}, "line 6: claims"),
        (6, {"spent": {"delta": 1e-3, "epsilon_rdp": 0.1, "epsilon_prv": None}}, "line 6: claims"),
        (5, {"spent": {"delta": 1e-5, "epsilon_rdp": 0.1, "epsilon_prv": 0.1}}, "line 5: claims"),
        (4, {"sensitivity": 0.25}, r"line 4: claims a sensitivity of 0\.25, but its terms give 0\.5"),
        (4, {"noise_multiplier": -5.0}, r"line 4: noise_multiplier is -5\.0"),
        (4, {"kind": "gift"}, "line 4: an entry 'gift' cannot stand here"),
        (3, {"charge": 6}, "line 3: the release names the charge of line 6"),
        (2, {"extra": 1}, "line 2: .*unexpected keyword argument 'extra'"),
        (1, {"kind": "recovery"}, "line 1: an entry 'recovery' cannot stand here"),
        (1, {"epsilon_budget": 1.0}, r"line 4: epsilon 1\.158.* passes the budget 1\.0"),
    ],
)
def test_a_forged_but_well_chained_ledger_fails_at_its_first_wrong_line(
    path: Path, line: int, fields: dict[str, Any], message: str
) -> None:
    rewrite(path, lambda entries: entries[line - 1].update(fields))
    with pytest.raises(LedgerError, match=message):
        verify(path)


def test_every_single_byte_counts(path: Path) -> None:
    written = path.read_bytes()
    for position in range(len(written)):
        changed = bytearray(written)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(LedgerError):
            verify(path)
    path.write_bytes(written)
    assert len(verify(path).rounds) == 3


def test_every_line_counts_and_its_place(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    changed = [lines[:one] + lines[one + 1 :] for one in range(len(lines))]
    for one, other in itertools.combinations(range(len(lines)), 2):
        swapped = lines.copy()
        swapped[one], swapped[other] = lines[other], lines[one]
        changed.append(swapped)
    assert len(changed) == 7 + 21
    for wrong in changed:
        path.write_bytes(b"".join(wrong))
        with pytest.raises(LedgerError, match=r"line \d"):
            verify(path)


def test_lines_missing_at_the_end_show_against_a_remembered_head(path: Path) -> None:
    remembered = verify(path).head
    rewrite(path, lambda entries: entries.__delitem__(slice(5, None)))
    assert len(verify(path).rounds) == 2
    with pytest.raises(LedgerError, match="line 6: missing"):
        verify(path, expected_head=remembered)


def test_a_copy_without_its_head_is_read_but_not_anchored(path: Path) -> None:
    path.with_name(path.name + ".head").unlink()
    assert not verify(path).anchored


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unit": "page"}, "unit is 'page'"),
        ({"roster": ()}, "roster is"),
        ({"roster": ("a", "a")}, "distinct"),
        ({"delta": 0.0}, "delta is 0.0"),
        ({"epsilon_budget": -1.0}, "epsilon_budget is -1.0"),
    ],
)
def test_impossible_promises_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(COHORT, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clipping_norm": 0.0}, "clipping_norm is 0.0"),
        ({"denominator": -1.0}, "denominator is -1.0"),
        ({"weights": {}}, "weights are"),
        ({"weights": {"site-1": 0.0}}, "weights are"),
        ({"sigma": float("nan")}, "noise_multiplier is nan"),
    ],
)
def test_impossible_mechanisms_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mechanism(**change)


PATIENTS = replace(COHORT, unit="patient")
RULE = AdaptiveClipping(quantile=0.5, rate=0.2, count_noise=4.0, least=0.1, most=2.0)


def following(round_index: int, norm: float, line: int | None, **changes: Any) -> Mechanism:
    """A round of patients whose C follows the release in that line."""
    values = {"clipping_norm": norm, "sampling": "poisson", "sampling_rate": 0.5, "patients": 20, "denominator": 10.0}
    values["unit"] = "patient"
    adaptation = Adaptation(changes.pop("rule", RULE), changes.pop("start", 0.5), line)
    return mechanism(round_index, **(values | {"adaptation": adaptation} | changes))


@pytest.fixture
def adaptive(tmp_path: Path) -> Path:
    """Two rounds whose shares let C go from 0.5 to 0.5 e^-0.1 to 0.5 e^-0.05."""
    path = tmp_path / "adaptive.jsonl"
    with Ledger(path, PATIENTS) as ledger:
        ledger.release(ledger.charge(following(0, 0.5, None)), model_sha256="0" * 64, share=1.0)
        norm = 0.5 * math.exp(-0.1)
        ledger.release(ledger.charge(following(1, norm, 3)), model_sha256="1" * 64, share=0.25)
    return path


def test_a_third_party_recomputes_the_norm_and_what_count_and_update_cost(adaptive: Path) -> None:
    told = verify(adaptive)
    assert [one.share for one in told.rounds] == [1.0, 0.25]
    # 5^-2 = z_u^-2 + 8^-2: an update with its bit is longer than C by z_u / 5
    assert told.rounds[0].mechanism.sensitivity == pytest.approx(0.5 * (25**-1 - 64**-1) ** -0.5 / 5)
    oracle = RdpAccountant(orders=list(ORDERS))
    oracle.compose(PoissonSampledDpEvent(0.5, GaussianDpEvent(5.0)), 2)
    assert told.spent.epsilon_rdp == pytest.approx(oracle.get_epsilon(1e-5), rel=0.02)
    with Ledger(adaptive, PATIENTS) as ledger:  # a job that goes on
        ledger.charge(following(2, 0.5 * math.exp(-0.05), 5))
    assert len(verify(adaptive).rounds) == 3


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (following(2, 0.5, 5), r"clipping_norm is 0\.5, expected 0\.47"),
        (following(2, 0.5, 3), r"clipping_norm is 0\.5, expected 0\.45"),
        (following(2, 0.4, None), r"clipping_norm is 0\.4, expected 0\.5: it is the start"),
        (following(2, 0.5, 2), "follows line 2, which releases no earlier round's share"),
        (following(1, 0.5 * math.exp(-0.05), 5), "follows line 5, which releases no earlier"),
        (following(2, 0.5, 5, rule=replace(RULE, rate=0.3)), "line 5, whose rule is another"),
        (following(2, 0.5, 5, start=0.6), "line 5, whose rule is another"),
    ],
)
def test_a_norm_that_no_released_share_leads_to_is_not_charged(adaptive: Path, asked: Mechanism, named: str) -> None:
    with Ledger(adaptive, PATIENTS) as ledger, pytest.raises(LedgerError, match=named):
        ledger.charge(asked)
    assert len(verify(adaptive).rounds) == 2


def test_a_ledger_with_a_chosen_norm_is_found_out_by_its_line(adaptive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecg_flare.privacy.ledger_history._check_follows", lambda *told: None)
    with Ledger(adaptive, PATIENTS) as ledger:
        ledger.charge(following(2, 1.9, 5))
    monkeypatch.undo()
    with pytest.raises(LedgerError, match=r"line 6: clipping_norm is 1\.9, expected 0\.47"):
        verify(adaptive)


@pytest.mark.parametrize("share", [None, 1.5])
def test_a_release_without_a_share_to_follow_is_refused(adaptive: Path, share: float | None) -> None:
    with Ledger(adaptive, PATIENTS) as ledger:
        charged = ledger.charge(following(2, 0.5 * math.exp(-0.05), 5))
        with pytest.raises(LedgerError, match="share is"):
            ledger.release(charged, model_sha256="2" * 64, share=share)


def test_sites_have_no_adaptive_norm(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.jsonl", COHORT) as ledger, pytest.raises(LedgerError, match="adaptive under unit"):
        ledger.charge(mechanism(adaptation=Adaptation(RULE, 0.5)))
