"""The server's own settings: where the ledger lies, what it promises, and which jobs keep to that."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecg_flare.errors import BudgetError, ConfigError, LedgerError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.server.mechanism import GaussianMechanism
from ecg_flare.flare.server.policy import LEDGER_FILE, ServerPolicy, read_server_policy
from ecg_flare.flare.site.policy import POLICY_FILE
from ecg_flare.privacy.accountant import epsilon_rdp
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.privacy.ledger import read_cohort
from flat_terms import flat_terms, varied

D = 5000
SITE = flat_terms(
    dict.fromkeys(("site-1", "site-2", "site-3"), 1.0),
    rounds=9,
    min_sites=3,
    clipping_norm=1.0,
    noise_multiplier=4.0,
    epsilon_budget=2.0,
)
PATIENT = varied(SITE, unit="patient", patients=10, patients_per_site=8, sampling_rate=0.5)


def opened(root: Path, terms: JobTerms = SITE, **policy: Any) -> None:
    GaussianMechanism().open(terms, D, root, policy=ServerPolicy(**policy)).close()


def promise(root: Path) -> tuple[str, float, float | None]:
    cohort = read_cohort(root / LEDGER_FILE)
    assert cohort is not None
    return cohort.unit, cohort.delta, cohort.epsilon_budget


def test_left_out_the_first_job_makes_the_promise_and_later_ones_keep_it(tmp_path: Path) -> None:
    opened(tmp_path)
    assert promise(tmp_path) == ("site", 1e-5, 2.0)
    opened(tmp_path, varied(SITE, epsilon_budget=1.5, noise_multiplier=7.0))
    for changed in ({"epsilon_budget": 2.1}, {"delta": 1e-4}, {"delta": 1e-6}):
        with pytest.raises(LedgerError, match=r"promises epsilon 2\.0 at delta 1e-05 over all jobs"):
            opened(tmp_path, varied(SITE, **changed))
    assert promise(tmp_path) == ("site", 1e-5, 2.0)


def test_the_policy_goes_before_any_job(tmp_path: Path) -> None:
    policy: dict[str, Any] = {"epsilon_budget": 8.0, "unit": "patient", "cohort": "north"}
    opened(tmp_path, PATIENT, **policy)
    assert promise(tmp_path) == ("patient", 1e-5, 8.0)
    with pytest.raises(LedgerError, match=r"epsilon_budget 8\.0, not 9\.0"):
        opened(tmp_path, PATIENT, **(policy | {"epsilon_budget": 9.0}))
    with pytest.raises(LedgerError, match="name 'north', not 'cohort'"):
        opened(tmp_path, PATIENT)


def test_a_ledger_of_sites_takes_no_job_of_patients_and_says_what_to_do(tmp_path: Path) -> None:
    opened(tmp_path, SITE)
    with pytest.raises(LedgerError, match=r'set "unit": "patient" in the server\'s local/ecg_flare.json before'):
        opened(tmp_path, PATIENT)


def test_a_jobs_own_smaller_budget_ends_it_first(tmp_path: Path) -> None:
    affordable = max(count for count in range(1, 9) if epsilon_rdp([GaussianEvent(4.0, count=count)], 1e-5) <= 1.5)
    policy = ServerPolicy(epsilon_budget=2.0)
    ledger = GaussianMechanism().open(varied(SITE, epsilon_budget=1.5), D, tmp_path, policy=policy)
    for index in range(affordable):
        ledger.begin("job", index).charge()
    with pytest.raises(BudgetError, match=r"above the job's own budget 1\.5"):
        ledger.begin("job", affordable)
    ledger.close()
    ledger = GaussianMechanism().open(SITE, D, tmp_path)
    ledger.begin("other", affordable)  # the ledger has some left for another job
    ledger.close()


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ({"ledger": ""}, "ledger is ''"),
        ({"ledger": 3}, "ledger is 3"),
        ({"cohort": ""}, "cohort is ''"),
        ({"unit": "page"}, "unit is 'page'"),
        ({"delta": 0}, "delta is 0"),
        ({"delta": 1.0}, r"delta is 1\.0"),
        ({"delta": True}, "delta is True"),
        ({"epsilon_budget": -1}, "epsilon_budget is -1"),
        ({"epsilon_budget": "8"}, "epsilon_budget is '8'"),
        ({"pinned": []}, r"pinned is \[\]"),
        ({"pinned": {"site-1": "ab"}}, "the pin of site-1 has 1 bytes"),
    ],
)
def test_an_impossible_entry_is_refused_by_name(
    context: Callable[..., Any], entries: dict[str, Any], named: str
) -> None:
    workspace = context(name="server").get_engine().get_workspace()
    (Path(workspace.get_site_config_dir()) / POLICY_FILE).write_text(json.dumps(entries))
    with pytest.raises(ConfigError, match=named):
        _ = read_server_policy(workspace).fingerprints


def test_no_job_can_name_a_ledger(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        GaussianMechanism(ledger=str(tmp_path / "mine.jsonl"))  # type: ignore[call-arg]
    assert ServerPolicy().ledger_path(tmp_path) == tmp_path / LEDGER_FILE
    assert ServerPolicy(ledger="other/ledger.jsonl").ledger_path(tmp_path) == tmp_path / "other" / "ledger.jsonl"
    assert ServerPolicy(ledger="/srv/ledger.jsonl").ledger_path(tmp_path) == Path("/srv/ledger.jsonl")
