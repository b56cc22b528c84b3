"""jobs list, build and export."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ecg_flare.cli import main

RunCli = Callable[..., Result]


@pytest.fixture
def custom(tmp_path: Path) -> Path:
    folder = tmp_path / "custom"
    folder.mkdir()
    (folder / "site_pages.py").write_text("class SitePages: ...\n")
    return folder


def _client_component(job: Path, component_id: str) -> dict[str, Any]:
    config = json.loads((job / "app" / "config" / "config_fed_client.json").read_text())
    return next(each for each in config["components"] if each["id"] == component_id)


def test_the_jobs_are_listed(run_cli: RunCli) -> None:
    told = json.loads(run_cli("jobs", "list", "--json").stdout)
    assert {"fedavg", "fedprox", "fedadam", "fedadam_dp", "fedadam_site_dp", "centralized"} <= told.keys()
    assert all(name in run_cli("jobs", "list").stdout for name in told)


def test_built_jobs_are_not_stale_until_one_is_touched(run_cli: RunCli, custom: Path, tmp_path: Path) -> None:
    where = ("--jobs", tmp_path / "jobs", "--custom", custom)
    assert run_cli("jobs", "build", *where).exit_code == 0
    assert run_cli("jobs", "build", "--check", *where).exit_code == 0
    (tmp_path / "jobs" / "fedavg" / "meta.json").write_text("{}")
    told = run_cli("jobs", "build", "--check", *where)
    assert told.exit_code == 1
    assert "fedavg/meta.json" in told.stderr


def test_a_job_for_other_sites_names_them_everywhere(run_cli: RunCli, custom: Path, tmp_path: Path) -> None:
    options = ("--sites", "berlin, lyon,porto,turin", "--rounds", 9, "--custom", custom, "-o", tmp_path / "out")
    told = run_cli("jobs", "export", "fedadam_dp", *options)
    assert told.exit_code == 0, told.output
    job = tmp_path / "out" / "fedadam_dp"
    meta = json.loads((job / "meta.json").read_text())
    assert meta["deploy_map"]["app"] == ["server", "berlin", "lyon", "porto", "turin"]
    assert meta["min_clients"] == 3  # more than two thirds of four, or the masked sum could be opened twice
    terms = _client_component(job, "terms")["args"]
    assert terms["sites"]["weights"] == dict.fromkeys(("berlin", "lyon", "porto", "turin"), 1.0)
    assert terms["rounds"] == 9
    assert _client_component(job, "pages")["args"]["profiles"].keys() == terms["sites"]["weights"].keys()
    assert (job / "app" / "custom" / "site_pages.py").exists()


@pytest.mark.parametrize(
    ("name", "options", "seed"),
    [
        ("fedadam_secure", (), None),
        ("fedadam_he", (), None),
        ("fedadam_dp", (), None),
        ("fedadam_dp", ("--seed", 5), 5),
        ("fedadam_secure", ("--seed", 0), 0),
        ("fedadam", (), 0),
    ],
)
def test_each_export_is_a_job_of_its_own_and_leaves_the_seeds_of_hidden_updates_to_the_sites(
    run_cli: RunCli, tmp_path: Path, name: str, options: tuple[Any, ...], seed: int | None
) -> None:
    nonces = set()
    for output in (tmp_path / "one", tmp_path / "two"):
        sites = ("--sites", "a,b,c", "--data", "own", "--no-code", "-o", output)
        assert run_cli("jobs", "export", name, *sites, *options).exit_code == 0
        nonces.add(_client_component(output / name, "terms")["args"]["nonce"])
        config = json.loads((output / name / "app" / "config" / "config_fed_client.json").read_text())
        assert config["executors"][0]["executor"]["args"]["seed"] == seed
    assert len(nonces - {""}) == 2


def test_what_a_private_job_will_spend_is_told(run_cli: RunCli, tmp_path: Path) -> None:
    def told(rounds: int) -> str:
        options = ("--sites", "a,b,c", "--rounds", rounds, "--data", "synthetic", "--no-code", "-o", tmp_path)
        return run_cli("jobs", "export", "fedadam_site_dp", *options).stderr

    # sigma 1, delta 1e-5: epsilon 19.05 after 10 rounds by Rényi accounting
    assert told(10) == "epsilon 19.05 at delta 1e-05 after 10 rounds, budget 20\n"
    assert told(50).endswith("budget 20: the job will stop after round 10\n")


def test_what_a_job_that_draws_patients_will_spend_counts_the_draw(run_cli: RunCli, tmp_path: Path) -> None:
    options = ("--sites", "a,b,c", "--rounds", 3, "--data", "synthetic", "--no-code", "-o", tmp_path)
    told = run_cli("jobs", "export", "fedadam_dp", *options).stderr
    # sigma 1, rate 0.5, delta 1e-4: 7.77 after three rounds, which a run's ledger says too; undrawn it were 10.66
    assert told == "epsilon 7.77 at delta 0.0001 after 3 rounds, budget 8\n"
    pages = _client_component(tmp_path / "fedadam_dp", "pages")["args"]
    # as many patients as the terms count, 16 at each site
    assert (pages["pages_per_site"], pages["pages_per_patient"]) == (16, 1)


def test_a_job_whose_norm_follows_its_patients_has_the_papers_settings(run_cli: RunCli, tmp_path: Path) -> None:
    options = ("--sites", "a,b,c", "--data", "synthetic", "--no-code", "--adaptive-clipping", "0.5", "-o", tmp_path)
    run_cli("jobs", "export", "fedadam_dp", *options)
    terms = _client_component(tmp_path / "fedadam_dp", "terms")["args"]
    rule, norm = terms["clipping"]["adaptive"], terms["clipping"]["norm"]
    assert (rule["quantile"], rule["rate"]) == (0.5, 0.2)
    assert rule["count_noise"] == max(
        0.5 * terms["sampling"]["patients"] / 20, 2.5 * terms["privacy"]["noise_multiplier"]
    )
    assert (rule["least"], rule["most"]) == pytest.approx((norm / 10, norm * 10))
    refused = run_cli("jobs", "export", "fedadam_site_dp", *options)
    assert refused.exit_code == 2
    assert "for jobs that hide patients" in refused.stderr


@pytest.mark.parametrize(
    ("data", "source", "args"),
    [
        ("pages:/data/{site}", "page_folder.PageFolder", {"folder": "/data/{site}"}),
        (
            "synthetic",
            "sources.SyntheticPages",
            {"pages_per_site": 8, "seed": 1, "profiles": {"a": "district", "b": "university"}},
        ),
        (
            "ptbxl:/data/ptbxl",
            "sources.PtbxlPages",
            {
                "root": "/data/ptbxl",
                "sites": {"a": {"shard": 0, "of": 2}, "b": {"shard": 1, "of": 2}},
                "profiles": {"a": "district", "b": "university"},
            },
        ),
    ],
)
def test_the_pages_can_come_from_ecg_flare_itself(
    run_cli: RunCli, tmp_path: Path, data: str, source: str, args: dict[str, Any]
) -> None:
    options = ("--sites", "a,b", "--data", data, "--no-code", "-o", tmp_path)
    told = run_cli("jobs", "export", "fedavg", *options)
    assert told.exit_code == 0, told.output
    pages = _client_component(tmp_path / "fedavg", "pages")
    assert pages == {"id": "pages", "path": f"ecg_flare.task.traces.{source}", "args": args}
    assert not (tmp_path / "fedavg" / "app" / "custom").exists()


def test_results_can_outlive_the_job(run_cli: RunCli, tmp_path: Path) -> None:
    options = ("--sites", "a,b", "--data", "synthetic", "--no-code", "--results", "/srv/ecg", "-o", tmp_path)
    assert run_cli("jobs", "export", "fedavg", *options).exit_code == 0
    server = json.loads((tmp_path / "fedavg" / "app" / "config" / "config_fed_server.json").read_text())
    store = next(part for part in server["components"] if part["id"] == "persistor")
    assert store["args"]["folder"] == "/srv/ecg"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--sites", ""), 2),
        (("--sites", "a,a"), 2),
        (("--sites", "a,b", "--data", "ptbxl"), 2),
        (("--sites", "a,b", "--data", "cloud:x"), 2),
        (("--sites", "a,b", "--no-code"), 2),
        (("--sites", "a,b", "--min-sites", 3, "--data", "synthetic", "--no-code"), 2),
        (("--sites", "a,b", "--custom", "/nowhere"), 1),
    ],
)
def test_impossible_jobs_are_refused(run_cli: RunCli, tmp_path: Path, options: tuple[object, ...], code: int) -> None:
    assert run_cli("jobs", "export", "fedavg", *options, "-o", tmp_path).exit_code == code


def test_weights_can_be_hidden_in_a_masked_job_alone(run_cli: RunCli, tmp_path: Path) -> None:
    options = ("--sites", "a,b,c", "--data", "synthetic", "--no-code", "--max-weight", 100, "-o", tmp_path)
    assert run_cli("jobs", "export", "fedadam_secure", *options).exit_code == 0
    assert _client_component(tmp_path / "fedadam_secure", "terms")["args"]["sites"]["hidden"]["max_weight"] == 100
    refused = run_cli("jobs", "export", "fedadam_dp", *options)
    assert refused.exit_code == 2
    assert "promises privacy" in refused.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--setting", "beta=1"], "are arguments of an aggregator, and none is named"),
        (["--aggregator", "FedYogi", "--setting", "beta1=much"], "--setting takes NAME=NUMBER"),
        (["--aggregator", "hospital.rules"], "aggregator must be one of FedAvg"),
        (["--aggregator", "FedYogi", "--setting", "beta=1"], "FedYogi does not take the optimizer's {'beta': 1.0}"),
    ],
)
def test_an_aggregator_or_setting_that_is_none_is_said(tmp_path: Path, options: list[str], said: str) -> None:
    arguments = ["--sites", "a,b,c", "--data", "own", "--no-code", "-o", str(tmp_path)]
    done = CliRunner().invoke(main, ["jobs", "export", "fedavg", *arguments, *options])
    assert done.exit_code != 0
    assert said in " ".join(done.output.split())


def test_an_aggregator_of_the_package_takes_its_settings(tmp_path: Path) -> None:
    arguments = ["--sites", "a,b,c", "--data", "own", "--no-code", "-o", str(tmp_path)]
    own = ["--aggregator", "FedYogi", "--setting", "learning_rate=0.01", "--setting", "beta1=0.5"]
    assert CliRunner().invoke(main, ["jobs", "export", "fedavg", *arguments, *own]).exit_code == 0
    config = json.loads((tmp_path / "fedavg" / "app" / "config" / "config_fed_server.json").read_text())
    [part] = [part for part in config["components"] if part["id"] == "aggregator"]
    assert part["path"] == "ecg_flare.flare.server.aggregators.FedYogi"
    assert part["args"] == {"learning_rate": 0.01, "beta1": 0.5}


@pytest.mark.parametrize(
    "sites", ["Uni Köln,b,c", "st.mary,b,c", "server,b,c", "a/b,c,d", "../x,b,c", "a;b;c", "A,a,b"]
)
def test_sites_that_flare_refuses_later_are_refused_at_once(run_cli: RunCli, tmp_path: Path, sites: str) -> None:
    told = run_cli("jobs", "export", "fedavg", "--sites", sites, "--data", "own", "--no-code", "-o", tmp_path / "out")
    assert told.exit_code == 2
    assert repr(sites.split(",")[0]) in told.stderr
    assert not (tmp_path / "out").exists()


def test_too_few_sites_for_a_masked_sum_are_named(run_cli: RunCli, tmp_path: Path) -> None:
    options = ("--sites", "a,b", "--data", "own", "--no-code", "-o", tmp_path / "out")
    told = run_cli("jobs", "export", "fedadam_secure", *options)
    assert told.exit_code == 2
    assert "there are 2 sites (a, b), expected 3 or more: a masked sum" in told.stderr


def test_a_delta_that_promises_nothing_is_not_exported(run_cli: RunCli, tmp_path: Path) -> None:
    options = ("--sites", "a,b,c", "--data", "own", "--no-code", "--delta", 0.05, "-o", tmp_path / "out")
    told = run_cli("jobs", "export", "fedadam_dp", *options)
    assert told.exit_code == 2
    assert "delta is 0.05 for 48 patients, expected it below 1 / 48" in told.stderr
