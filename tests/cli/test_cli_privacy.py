"""privacy plan, report and verify."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from ecg_flare.privacy import second_accountant
from ecg_flare.privacy.accountant import Spent
from ecg_flare.privacy.chain import Head
from ecg_flare.privacy.cohort import Cohort, Mechanism
from ecg_flare.privacy.countersignature import Countersignature, write_countersignatures
from ecg_flare.privacy.ledger import Ledger, verify
from secure_sum_certs import Authority

RunCli = Callable[..., Result]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    cohort = Cohort("cohort", "site", ("a", "b", "c"), delta=1e-5, epsilon_budget=20.0)
    with Ledger(path, cohort) as opened:
        for number in range(2):
            mechanism = Mechanism(
                job="fedadam_dp",
                round=number,
                clipping_norm=0.5,
                noise_multiplier=5.0,
                weights={"a": 1.0, "b": 1.0, "c": 1.0},
                denominator=3.0,
                unit="site",
            )
            opened.release(opened.charge(mechanism), model_sha256="0" * 64)
    return path


def test_the_plan_keeps_its_promise_and_gives_the_ratio(run_cli: RunCli) -> None:
    arguments = ("--sites", 10, "--rounds", 100, "--epsilon", 4, "--parameters", 50_000, "--json")
    told = json.loads(run_cli("privacy", "plan", *arguments).stdout)
    # Mironov 2017 and Balle et al. 2020, minimized over a finer grid of orders than the accountant's
    orders = np.linspace(1.01, 200, 200_000)
    renyi = 100 * orders / (2 * told["noise_multiplier"] ** 2)
    epsilon = (renyi + np.log1p(-1 / orders) - (np.log(1e-5) + np.log(orders)) / (orders - 1)).min()
    assert epsilon == pytest.approx(4.0, abs=2e-3)
    assert told["epsilon_rdp"] == pytest.approx(epsilon, abs=2e-3)
    assert told["epsilon_prv"] < told["epsilon_rdp"]
    assert told["noise_to_signal"] == pytest.approx(told["noise_multiplier"] * math.sqrt(50_000) / 10)


def test_sampling_patients_needs_less_noise(run_cli: RunCli) -> None:
    def sigma(*rate: object) -> float:
        arguments = ("--patients", 1000, "--rounds", 100, "--epsilon", 4, *rate, "--json")
        return float(json.loads(run_cli("privacy", "plan", *arguments).stdout)["noise_multiplier"])

    assert sigma("--rate", 0.1) < sigma() / 5


def test_the_plan_says_in_words_whether_it_can_work(run_cli: RunCli) -> None:
    few = run_cli("privacy", "plan", "--sites", 3, "--rounds", 20, "--epsilon", 8).stdout
    many = run_cli("privacy", "plan", "--patients", 19_000, "--rounds", 20, "--epsilon", 8, "--delta", 1e-6).stdout
    assert "little is learnt" in few
    assert "training can follow it" in many


@pytest.mark.parametrize(
    "arguments",
    [
        ("--rounds", 10, "--epsilon", 4),
        ("--rounds", 10, "--epsilon", 4, "--sites", 3, "--patients", 30),
        ("--rounds", 10, "--epsilon", 4, "--sites", 3, "--rate", 0.5),
        ("--rounds", 10, "--epsilon", 4, "--patients", 3, "--rate", 0),
    ],
)
def test_a_plan_for_nobody_is_refused(run_cli: RunCli, arguments: tuple[object, ...]) -> None:
    assert run_cli("privacy", "plan", *arguments).exit_code == 2


def test_an_impossible_epsilon_is_refused(run_cli: RunCli) -> None:
    told = run_cli("privacy", "plan", "--sites", 3, "--rounds", 10, "--epsilon", -1)
    assert (told.exit_code, "epsilon is -1.0" in told.stderr) == (1, True)


def test_a_whole_ledger_is_accepted(run_cli: RunCli, ledger: Path) -> None:
    told = json.loads(run_cli("privacy", "verify", ledger, "--json").stdout)
    assert told["valid"] is True
    assert told["lines"] == 5  # the cohort, and a charge and a release for each of two rounds


def test_a_changed_ledger_is_refused(run_cli: RunCli, ledger: Path) -> None:
    ledger.write_text(ledger.read_text().replace('"noise_multiplier":5.0', '"noise_multiplier":9.0', 1))
    told = run_cli("privacy", "verify", ledger)
    assert told.exit_code == 1
    assert "line 2" in told.stderr


def test_the_report_tells_each_round(run_cli: RunCli, ledger: Path) -> None:
    told = json.loads(run_cli("privacy", "report", ledger, "--json").stdout)
    assert [each["mechanism"]["round"] for each in told["rounds"]] == [0, 1]
    lines = run_cli("privacy", "report", ledger).stdout.splitlines()
    assert lines[0] == "cohort cohort: 3 sites, unit site, zero-out adjacency"
    assert lines[2].startswith(f"a site lost epsilon {told['spent']['epsilon_rdp']:.3f} (PRV: ")
    assert len(lines) == 6


def test_the_report_tells_both_units_and_who_joined(run_cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    weights = {"a": 1.0, "b": 1.0}
    for roster in (("a", "b"), ("a", "b", "c")):
        with Ledger(path, Cohort("cohort", "patient", roster, 1e-5, None)) as opened:
            opened.charge(Mechanism("job", 0, 0.5, 5.0, weights, denominator=2.0, unit="site"))
    told = run_cli("privacy", "report", path).stdout
    # Balle & Wang's exact epsilon of two releases, at noise 2.5 for a patient and 5 for a site
    assert "a patient lost epsilon " in told
    assert "(PRV: 2.29) in all jobs" in told
    assert "(PRV: 1.06) in jobs of unit site" in told
    assert "sites from line 1 on: a, b\n" in told
    assert "sites from line 3 on: a, b, c\n" in told


def test_the_report_draws_the_ledger_for_people(run_cli: RunCli, ledger: Path, tmp_path: Path) -> None:
    page = tmp_path / "ledger.html"
    assert run_cli("privacy", "report", ledger, "-o", page).exit_code == 0
    text = page.read_text("utf-8")
    spent = json.loads(run_cli("privacy", "report", ledger, "--json").stdout)["spent"]["epsilon_rdp"]
    assert f"Each site of this cohort is hidden with epsilon {spent:.2f} at delta 10⁻⁵" in text
    assert "budget 20" in text
    assert text.count('<svg class="chart"') == 1
    assert text.count("<tr>") == 3


def test_a_changed_ledger_is_not_drawn(run_cli: RunCli, ledger: Path, tmp_path: Path) -> None:
    ledger.write_text(ledger.read_text().replace("fedadam_dp", "fedadam_dq", 1))
    assert run_cli("privacy", "report", ledger, "-o", tmp_path / "ledger.html").exit_code == 1
    assert not (tmp_path / "ledger.html").exists()


def test_the_plan_draws_epsilon_by_rounds_and_noise(run_cli: RunCli, tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    arguments = ("--patients", 1000, "--rounds", 40, "--rate", 0.1, "--epsilon", 4, "-o", page, "--json")
    sigma = json.loads(run_cli("privacy", "plan", *arguments).stdout)["noise_multiplier"]
    text = page.read_text("utf-8")
    for times in (0.5, 1, 2):
        assert f"noise multiplier {times * sigma:.3g}</span>" in text
    assert "times as long as the longest step" in text


def test_signatures_are_checked_where_a_certificate_is_given(run_cli: RunCli, ledger: Path, tmp_path: Path) -> None:
    certificate = tmp_path / "server.crt"
    certificate.write_bytes(Authority().pem)
    unsigned = run_cli("privacy", "verify", ledger, "--cert", certificate)
    assert (unsigned.exit_code, "line 1: its signature is missing" in unsigned.stderr) == (1, True)
    assert run_cli("privacy", "verify", ledger, "--root", certificate).exit_code == 2
    assert json.loads(run_cli("privacy", "verify", ledger, "--json").stdout)["signatures_checked"] is False


def test_heads_and_witnesses_are_told(run_cli: RunCli, ledger: Path, tmp_path: Path) -> None:
    head = json.loads(run_cli("privacy", "verify", ledger, "--json").stdout)
    remembered = f"{head['lines']}:{head['head']}"
    assert f"Its head is {remembered}." in run_cli("privacy", "verify", ledger, "--head", remembered).stdout
    first = json.loads(ledger.read_text().splitlines()[1])["prev"]
    witness = tmp_path / "early.witness"
    signed = Countersignature.sign("a", first, Head(1, first), Authority().signer("a"))
    write_countersignatures(witness, [signed])
    told = json.loads(run_cli("privacy", "verify", ledger, "--witness", witness, "--json").stdout)
    assert told["vouched_lines_by_site"] == {"a": 1}
    assert [one["round"] for one in told["released_rounds_without_witness"]] == [0, 1]
    lines = run_cli("privacy", "verify", ledger, "--witness", witness).stdout
    assert "1 site vouches for all up to line 1: a." in lines
    assert "Released, and nobody vouches for it: round 1 of fedadam_dp, round 2 of fedadam_dp." in lines
    assert "Give --root" in lines


def test_pins_and_witnesses_go_together(run_cli: RunCli, ledger: Path, tmp_path: Path) -> None:
    policy = tmp_path / "ecg_flare.json"
    policy.write_text("{}")
    assert run_cli("privacy", "verify", ledger, "--pins", policy).exit_code == 2
    witness = tmp_path / "none.witness"
    write_countersignatures(witness, [])
    told = run_cli("privacy", "verify", ledger, "--witness", witness, "--pins", policy)
    assert (told.exit_code, "pins no certificate" in told.stderr) == (1, True)


def test_a_ledger_is_priced_by_opacus_too(run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, Cohort("cohort", "patient", ("a", "b"), 1e-5, None)) as opened:
        weights = {"a": 1.0, "b": 1.0}
        for index in range(3):
            opened.charge(Mechanism("job", index, 0.5, 1.1, weights, 10.0, 0.5, "poisson", 20, unit="patient"))
    told = run_cli("privacy", "verify", path, "--opacus")
    assert told.exit_code == 0
    assert "opacus agrees: epsilon " in told.stdout
    both = json.loads(run_cli("privacy", "verify", path, "--opacus", "--json").stdout)
    assert both["spent_by_opacus"]["epsilon_rdp"] == pytest.approx(verify(path).spent.epsilon_rdp, rel=1e-9)
    monkeypatch.setattr(second_accountant, "spent_by_opacus", lambda events, delta: Spent(delta, 1.0, None))
    refused = run_cli("privacy", "verify", path, "--opacus")
    assert refused.exit_code == 1
    assert "by opacus: one of the two is wrong" in refused.stderr


@pytest.mark.parametrize(("rounds", "delta"), [(20, "0.5"), (100, "0.5"), (100, "1e-3")])
def test_a_plan_at_a_delta_that_promises_nothing_is_refused(run_cli: RunCli, rounds: int, delta: str) -> None:
    told = run_cli(
        *("privacy", "plan", "--patients", 19000, "--rounds", rounds, "--rate", 0.05, "--epsilon", 4, "--delta", delta)
    )
    assert told.exit_code == 1
    assert f"delta is {float(delta):g} for 19000 patients, expected it below 1 / 19000" in told.stderr
    assert "take 1e-05" in told.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.replace(b"\n", b"\r\n"), "line 1: ends in CR LF"),
        (lambda data: b"\xef\xbb\xbf" + data, "begins with a byte order mark"),
    ],
)
def test_a_ledger_that_an_editor_rewrote_fails_and_says_by_what(
    run_cli: RunCli, tmp_path: Path, change: Callable[[bytes], bytes], said: str
) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, Cohort("cohort", "site", ("a", "b", "c"), delta=1e-5, epsilon_budget=20.0)):
        pass
    path.write_bytes(change(path.read_bytes()))
    told = run_cli("privacy", "verify", path)
    assert told.exit_code == 1
    assert said in told.stderr
    assert "restore it from a copy" in told.stderr
