"""Recipes give the jobs of the command line, and run where FLARE runs recipes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from nvflare.recipe import SimEnv

from ecg_flare.cli.jobs import jobs
from ecg_flare.errors import ConfigError
from ecg_flare.federated.parts import Clipping, Privacy, Sampling, TrainedModel
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.export import Changes, equal_roster
from ecg_flare.flare.job.folders import OWN_PAGES, JobSpec, Pages, Training, stale_files
from ecg_flare.flare.job.recipes import FedECGRecipe
from ecg_flare.flare.site.filters import StripResult

ROOT = Path(__file__).resolve().parents[2]
SITES = ("site-1", "site-2", "site-3")
PLAIN = JobTerms(equal_roster(SITES, "plain"), rounds=3)
MASKED = JobTerms(equal_roster(SITES, "masked"), rounds=3, summation="masked", clipping=Clipping(2.0))
PATIENTS = JobTerms(
    equal_roster(SITES, "masked"),
    rounds=3,
    model=TrainedModel(trained=["decoder.transpconvs.2.*", "decoder.stages.2.*", "decoder.seg_layers.2.*"]),
    clipping=Clipping(0.01),
    privacy=Privacy(noise_multiplier=0.8, epsilon_budget=8.0, delta=1e-4),
    sampling=Sampling(rate=0.5, patients=48, patients_per_site=16),
    summation="masked",
)
SITE_PRIVACY = replace(PLAIN, clipping=Clipping(0.5), privacy=Privacy(noise_multiplier=1.0, epsilon_budget=20.0))
ADAM = {"beta1": 0.9, "beta2": 0.99, "tau": 0.001}

TYPED: dict[str, tuple[str, JobTerms, dict[str, float], Training]] = {
    "fedavg": ("FedAvg", PLAIN, {"learning_rate": 1.0}, Training(seed=0)),
    "fedprox": ("FedProx", PLAIN, {"learning_rate": 1.0}, Training(proximal_mu=0.01, seed=0)),
    "fedadam": ("FedAdam", PLAIN, {"learning_rate": 0.003, **ADAM}, Training(seed=0)),
    "fedadam_secure": ("FedAdam", MASKED, {"learning_rate": 0.003, **ADAM}, Training(seed=0)),
    "fedadam_he": (
        "FedAdam",
        replace(MASKED, summation="encrypted"),
        {"learning_rate": 0.003, **ADAM},
        Training(seed=0),
    ),
    "fedadam_site_dp": ("FedAdam", SITE_PRIVACY, {"learning_rate": 0.0001, **ADAM}, Training(seed=0)),
    "fedadam_dp": (
        "FedAdam",
        PATIENTS,
        {"learning_rate": 0.006, **ADAM, "tau": 1e-5},
        Training(steps=2, learning_rate=0.02, seed=0),
    ),
}


def job(name: str = "own", terms: JobTerms = PLAIN, **fields: Any) -> JobSpec:
    return JobSpec(name, "a job of one's own", "FedAdam", terms, custom=False, **fields)


@pytest.mark.parametrize("name", sorted(TYPED))
def test_typed_parts_give_the_projects_job_file_by_file(tmp_path: Path, name: str) -> None:
    known = BUNDLED[name]
    aggregator, terms, optimizer, training = TYPED[name]
    terms = replace(terms, nonce=known.terms.nonce)
    spec = JobSpec(name, known.about, aggregator, terms, known.pages, optimizer=optimizer, training=training)
    FedECGRecipe(spec, ROOT / "custom").export(str(tmp_path))
    written = {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
    folder = ROOT / "jobs" / name
    assert written == {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if "__pycache__" not in path.parts
    }


def test_each_recipe_is_a_job_of_its_own_with_seeds_that_nobody_knows() -> None:
    one, other = (FedECGRecipe(job(terms=MASKED)).spec for _ in range(2))
    assert len(one.terms.nonce.replace("-", "")) == 32
    assert one.terms.digest != other.terms.digest
    assert one.training.seed is None


def test_a_bundled_recipe_with_changes_is_what_the_command_line_exports(tmp_path: Path) -> None:
    changes = Changes(sites=("a", "b", "c"), rounds=7, pages=OWN_PAGES, mlflow="", code=False)
    spec = FedECGRecipe.bundled("fedadam_dp", changes).spec
    command = ["export", "fedadam_dp", "--sites", "a,b,c", "--rounds", "7", "--data", "own", "--no-code"]
    done = CliRunner().invoke(jobs, [*command, "--mlflow", "", "-o", str(tmp_path)])
    assert done.exit_code == 0, done.output
    nonce = json.loads((tmp_path / "fedadam_dp/app/config/config_fed_server.json").read_text())["components"][0]
    same = replace(spec, terms=replace(spec.terms, nonce=nonce["args"]["nonce"]))
    assert stale_files(same, tmp_path) == []


def test_a_bundled_recipe_is_the_bundled_job(tmp_path: Path) -> None:
    recipe = FedECGRecipe.bundled("centralized", custom=ROOT / "custom")
    recipe.export(str(tmp_path))
    assert stale_files(BUNDLED["centralized"], tmp_path, ROOT / "custom") == []


def test_by_default_pages_are_the_sites_own_and_no_code_goes_along(tmp_path: Path) -> None:
    recipe = FedECGRecipe(job("fedadam", JobTerms(equal_roster(("lyon", "berlin"), "plain"))))
    recipe.export(str(tmp_path))
    assert recipe.sites == ("berlin", "lyon")
    assert recipe.spec.pages == OWN_PAGES
    assert not (tmp_path / "fedadam" / "app" / "custom").exists()


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: replace(job(), aggregator="FedSGD"), "FedSGD"),
        (lambda: job(optimizer={"rate": 1.0}), "rate"),
        (lambda: job(terms=replace(MASKED, clipping=None)), "clipping"),
        (lambda: job(terms=replace(SITE_PRIVACY, privacy=Privacy(1.0, -1.0))), r"epsilon_budget is -1\.0"),
        (lambda: job(terms=replace(SITE_PRIVACY, privacy=Privacy(1.0))), "needs an epsilon_budget"),
    ],
)
def test_impossible_jobs_are_named(make: Callable[[], JobSpec], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        FedECGRecipe(make())


def test_a_bundled_job_without_code_needs_other_pages() -> None:
    with pytest.raises(ConfigError, match="site_pages"):
        FedECGRecipe.bundled("fedavg")
    with_own = FedECGRecipe.bundled("fedavg", Changes(SITES, pages=OWN_PAGES)).spec
    assert (with_own.pages, with_own.custom, with_own.training) == (OWN_PAGES, False, BUNDLED["fedavg"].training)


def test_what_flare_would_add_to_a_recipe_is_refused() -> None:
    recipe = FedECGRecipe(job())
    for add in (
        lambda: recipe.add_client_output_filter(StripResult()),
        lambda: recipe.add_server_config({"key": 1}),
        lambda: recipe.enable_log_streaming(),
    ):
        with pytest.raises(ConfigError, match="terms need"):
            add()


def test_an_environment_of_other_sites_is_refused(tmp_path: Path) -> None:
    recipe = FedECGRecipe(job())
    with pytest.raises(ConfigError, match="site-1, site-2, site-3"):
        recipe.execute(SimEnv(num_clients=2, workspace_root=str(tmp_path)))


@pytest.mark.slow
def test_a_recipe_runs_in_the_simulator_without_code_of_its_own(tmp_path: Path) -> None:
    pages = Pages(
        "ecg_flare.task.traces.sources.SyntheticPages",
        {"profiles": dict.fromkeys(SITES[:2], "plain"), "pages_per_site": 2, "pages_per_patient": 1},
    )
    public = Pages(
        "ecg_flare.task.traces.sources.SyntheticPages", {"profiles": {"public": "plain"}, "pages_per_site": 1}
    )
    terms = JobTerms(equal_roster(SITES[:2], "plain"))
    recipe = FedECGRecipe(job("fedavg", terms, training=Training(steps=1), pages=pages, public_pages=public))
    run = recipe.execute(SimEnv(clients=list(recipe.sites), num_threads=1, workspace_root=str(tmp_path)))
    assert run is not None
    results = tmp_path / "fedavg" / "server" / "simulate_job"
    lines = [json.loads(line) for line in (results / "ecg_flare" / "metrics.jsonl").read_text().splitlines()]
    assert [line["round"] for line in lines] == [0, 1]
    assert lines[1]["answered"] == ["site-1", "site-2"]
    assert json.loads((results / "ecg_flare" / "ended.json").read_text()) == {"outcome": "finished"}
    (told,) = _scalars(results / "tb_events").values()  # by the server alone
    assert told == {"dice": 2, "seconds": 2, "sites_answered": 2, "update_norm": 2}


def _scalars(folder: Path) -> dict[str, dict[str, int]]:
    """Who told TensorBoard what, and how often."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for party in folder.iterdir():
        events = EventAccumulator(str(party))
        events.Reload()
        found[party.name] = {tag: len(events.Scalars(tag)) for tag in events.Tags()["scalars"]}
    return found


def test_a_delta_that_promises_nothing_makes_no_job() -> None:
    terms = replace(PATIENTS, privacy=Privacy(noise_multiplier=0.8, epsilon_budget=8.0, delta=0.05))
    with pytest.raises(ConfigError, match=r"delta is 0\.05 for 48 patients, expected it below 1 / 48"):
        FedECGRecipe(job(terms=terms))
    with pytest.raises(ConfigError, match=r"delta is 0\.05 for 48 patients, expected it below 1 / 48"):
        FedECGRecipe.bundled("fedadam_dp", Changes(SITES, pages=OWN_PAGES, delta=0.05))
