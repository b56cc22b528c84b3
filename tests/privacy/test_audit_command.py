"""`ecg-flare privacy audit`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ecg_flare.cli import main
from ecg_flare.federated import round as federated_round
from ecg_flare.flare.deploy import deployed_audit
from ecg_flare.privacy.audit import AuditResult

SMALL = ("--parameters", "4000", "--canaries", "100", "--trials", "200", "--candidates", "200")


def audit(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["privacy", "audit", *SMALL, *arguments])


def test_each_audit_has_its_line_and_its_bound() -> None:
    told = audit("--seed", "3")
    assert told.exit_code == 0
    names = ["one-shot canaries", "many-trial canary", "sensitivity", "gradient inversion", "membership inference"]
    assert [line[:20].strip() for line in told.stdout.splitlines()[::2]] == names
    assert told.stdout.count("passed") == len(names)


def test_machines_get_the_figures() -> None:
    told = json.loads(audit("--unit", "site", "--json").stdout)
    assert [each["name"] for each in told][2] == "sensitivity"
    assert all(each["estimate"] <= each["bound"] and each["passed"] for each in told)


def test_a_round_without_noise_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(federated_round, "add_noise", lambda total, fixed, *, stream=None: total)
    told = audit()
    assert told.exit_code == 1
    assert "one-shot canaries, many-trial canary, membership inference exceeded the bound" in told.stderr


def test_too_many_canaries_are_refused() -> None:
    told = audit("--canaries", "500")
    assert (told.exit_code, "no more than a twentieth" in told.stderr) == (1, True)


@pytest.mark.parametrize(("estimate", "code"), [(2.0, 0), (9.0, 1)])
def test_the_deployed_path_is_audited_on_request(monkeypatch: pytest.MonkeyPatch, estimate: float, code: int) -> None:
    """Only the command; `tests/flare/test_deployed_audit.py` runs the jobs."""
    asked = {}

    def audited(folder: Path, design: deployed_audit.Design, **_: object) -> tuple[AuditResult, ...]:
        asked.update(folder=folder, seed=design.seed)
        return (AuditResult("one-run epsilon", estimate, 4.0, 1.0, "of a stand-in"),)

    monkeypatch.setattr(deployed_audit, "audit_deployed", audited)
    told = CliRunner().invoke(main, ["privacy", "audit", "--deployed", "--seed", "7", "--json"])
    assert told.exit_code == code
    assert json.loads(told.stdout)[0]["passed"] is (code == 0)
    assert asked["seed"] == 7
    assert not asked["folder"].exists()
