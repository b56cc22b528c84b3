import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ecg_flare.errors import ConfigError
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.folders import Training, job_files, stale_files, write_job

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_the_projects_jobs_are_what_the_code_writes(name: str) -> None:
    stale = stale_files(BUNDLED[name], ROOT / "jobs", ROOT / "custom")
    assert stale == [], f"jobs/{name} is stale: run 'ecg-flare jobs build'"


def test_there_is_no_job_that_nobody_writes() -> None:
    assert {path.name for path in (ROOT / "jobs").iterdir()} == set(BUNDLED)


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_server_and_sites_hold_the_same_terms(name: str) -> None:
    files = job_files(BUNDLED[name])
    terms = [
        next(
            part["args"]
            for part in json.loads(files[f"app/config/config_fed_{side}.json"])["components"]
            if part["id"] == "terms"
        )
        for side in ("server", "client")
    ]
    assert terms[0] == terms[1]


# Written down from docs/privacy.md and docs/threat-model.md: what stands between an update and the network, in order.
FILTERS = {
    "centralized": ["StripResult"],
    "fedavg": ["StripResult"],
    "fedprox": ["StripResult"],
    "fedadam": ["StripResult"],
    "fedadam_site_dp": ["ClipUpdate", "StripResult"],
    "fedadam_secure": ["ClipUpdate", "StripResult", "MaskUpdate"],
    "fedadam_he": ["ClipUpdate", "StripResult", "EncryptUpdate"],
    "fedadam_dp": ["StripResult", "MaskUpdate"],  # each patient's update is clipped where it is trained
}


def test_updates_pass_the_filters_in_the_order_that_their_terms_need() -> None:
    for name, spec in BUNDLED.items():
        client = json.loads(job_files(spec)["app/config/config_fed_client.json"])
        chain = next(one["filters"] for one in client["task_result_filters"] if one["tasks"] == ["train"])
        assert [one["path"].rpartition(".")[2] for one in chain] == FILTERS[name], name


def test_a_written_job_is_not_stale_and_a_changed_one_is(tmp_path: Path) -> None:
    spec, custom = BUNDLED["fedavg"], ROOT / "custom"
    folder = write_job(spec, tmp_path, custom)
    assert stale_files(spec, tmp_path, custom) == []
    (folder / "meta.json").write_text("{}")
    (folder / "app" / "custom" / "extra.py").write_text("")
    assert stale_files(spec, tmp_path, custom) == ["app/custom/extra.py", "meta.json"]


def test_a_job_without_own_code_ships_none(tmp_path: Path) -> None:
    spec = replace(BUNDLED["fedavg"], custom=False)
    assert not (write_job(spec, tmp_path) / "app" / "custom").exists()
    with pytest.raises(ConfigError, match="own code"):
        write_job(BUNDLED["fedavg"], tmp_path / "refused", tmp_path / "nothing")
    assert not (tmp_path / "refused").exists()


def test_unknown_aggregators_and_misplaced_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="'FedMagic'"):
        replace(BUNDLED["fedavg"], aggregator="FedMagic")
    with pytest.raises(ConfigError, match=r"proximal_mu=0\.1"):
        replace(BUNDLED["fedavg"], training=Training(proximal_mu=0.1))


@pytest.mark.parametrize(("name", "unit"), [("fedadam_dp", "patient"), ("fedadam_site_dp", "site")])
def test_the_private_jobs_say_whom_they_hide(name: str, unit: str) -> None:
    spec = BUNDLED[name]
    assert spec.terms.unit == unit
    assert unit in spec.about
    assert (spec.terms.private, spec.terms.epsilon_budget is not None) == (True, True)


def test_the_optimizers_settings_are_those_of_its_aggregator() -> None:
    with pytest.raises(ConfigError, match=r"FedAvg does not take .*beta1"):
        replace(BUNDLED["fedavg"], optimizer={"beta1": 0.9})
    with pytest.raises(ConfigError, match="learning_rate"):
        replace(BUNDLED["fedavg"], optimizer={"learning_rate": -1.0})


def server_parts(name: str, **changes: Any) -> dict[str, dict[str, Any]]:
    files = job_files(replace(BUNDLED[name], **changes))
    return {part["id"]: part for part in json.loads(files["app/config/config_fed_server.json"])["components"]}


def test_trackers_hear_the_server_alone() -> None:
    for name in BUNDLED:
        assert server_parts(name)["tensorboard"]["args"] == {"events": ["analytix_log_stats"]}


def test_mlflow_is_told_where_a_job_says_so() -> None:
    assert "mlflow" not in server_parts("fedavg")
    part = server_parts("fedavg", mlflow="http://mlflow:5000")["mlflow"]
    assert part["path"] == "ecg_flare.flare.server.tracking.ServerMLflow"
    assert part["args"] == {"tracking_uri": "http://mlflow:5000"}
