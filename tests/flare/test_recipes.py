"""Recipes give the jobs of the command line, and run where FLARE runs recipes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nvflare.recipe import SimEnv

from ecg_flare.errors import ConfigError
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.folders import Pages, Training, stale_files
from ecg_flare.flare.job.recipes import OWN_PAGES, FedECGRecipe, PatientPrivacy, SitePrivacy
from ecg_flare.flare.site.filters import StripResult

ROOT = Path(__file__).resolve().parents[2]
SITES = ("site-1", "site-2", "site-3")
SEEDED = Training(seed=0)
ADAM = {"beta1": 0.9, "beta2": 0.99, "tau": 0.001}

TYPED: dict[str, dict[str, Any]] = {
    "fedavg": {"optimizer": {"learning_rate": 1.0}, "training": SEEDED},
    "fedprox": {
        "algorithm": "fedprox",
        "optimizer": {"learning_rate": 1.0},
        "training": Training(proximal_mu=0.01, seed=0),
    },
    "fedadam": {"algorithm": "fedadam", "optimizer": {"learning_rate": 0.003, **ADAM}, "training": SEEDED},
    "fedadam_secure": {
        "algorithm": "fedadam",
        "optimizer": {"learning_rate": 0.003, **ADAM},
        "summation": "masked",
        "clipping_norm": 2.0,
        "training": SEEDED,
    },
    "fedadam_he": {
        "algorithm": "fedadam",
        "optimizer": {"learning_rate": 0.003, **ADAM},
        "summation": "encrypted",
        "clipping_norm": 2.0,
        "training": SEEDED,
    },
    "fedadam_site_dp": {
        "algorithm": "fedadam",
        "optimizer": {"learning_rate": 0.0001, **ADAM},
        "clipping_norm": 0.5,
        "training": SEEDED,
        "privacy": SitePrivacy(noise_multiplier=1.0, epsilon_budget=20.0),
    },
    "fedadam_dp": {
        "algorithm": "fedadam",
        "optimizer": {"learning_rate": 0.006, **ADAM, "tau": 1e-5},
        "summation": "masked",
        "clipping_norm": 0.01,
        "trained": ["decoder.transpconvs.2.*", "decoder.stages.2.*", "decoder.seg_layers.2.*"],
        "training": Training(steps=2, learning_rate=0.02, seed=0),
        "privacy": PatientPrivacy(
            noise_multiplier=0.8,
            epsilon_budget=8.0,
            patients=48,
            patients_per_site=16,
            sampling_rate=0.5,
            delta=1e-4,
        ),
    },
}


@pytest.mark.parametrize("name", sorted(TYPED))
def test_typed_arguments_give_the_projects_job_file_by_file(tmp_path: Path, name: str) -> None:
    spec = BUNDLED[name]
    same = {"about": spec.about, "pages": spec.pages, "custom": ROOT / "custom", "nonce": spec.terms.nonce}
    recipe = FedECGRecipe(SITES, name=name, **same, **TYPED[name])
    recipe.export(str(tmp_path))
    written = {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
    folder = ROOT / "jobs" / name
    assert written == {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if "__pycache__" not in path.parts
    }


def test_each_recipe_is_a_job_of_its_own_with_seeds_that_nobody_knows() -> None:
    one, other = (FedECGRecipe(SITES, summation="masked", clipping_norm=1.0).spec for _ in range(2))
    assert len(one.terms.nonce.replace("-", "")) == 32
    assert one.terms.digest != other.terms.digest
    assert one.training.seed is None


def test_a_bundled_recipe_is_the_bundled_job(tmp_path: Path) -> None:
    recipe = FedECGRecipe.bundled("centralized", custom=ROOT / "custom")
    recipe.export(str(tmp_path))
    assert stale_files(BUNDLED["centralized"], tmp_path, ROOT / "custom") == []


def test_by_default_pages_are_the_sites_own_and_no_code_goes_along(tmp_path: Path) -> None:
    recipe = FedECGRecipe(("lyon", "berlin"), algorithm="fedadam")
    recipe.export(str(tmp_path))
    assert recipe.sites == ("berlin", "lyon")
    assert recipe.spec.pages == OWN_PAGES
    assert not (tmp_path / "fedadam" / "app" / "custom").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"algorithm": "fedsgd"}, "fedsgd"),
        ({"optimizer": {"tau": 1.0}}, "tau"),
        ({"summation": "masked"}, "clipping_norm"),
        ({"privacy": SitePrivacy(1.0, -1.0), "clipping_norm": 1.0}, "epsilon_budget is -1.0"),
    ],
)
def test_impossible_arguments_are_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        FedECGRecipe(SITES, **arguments)


def test_a_bundled_job_without_code_needs_other_pages() -> None:
    with pytest.raises(ConfigError, match="site_pages"):
        FedECGRecipe.bundled("fedavg")
    assert FedECGRecipe.bundled("fedavg", pages=OWN_PAGES).spec == replace(
        BUNDLED["fedavg"], pages=OWN_PAGES, custom=False
    )


def test_what_flare_would_add_to_a_recipe_is_refused() -> None:
    recipe = FedECGRecipe(SITES)
    for add in (
        lambda: recipe.add_client_output_filter(StripResult()),
        lambda: recipe.add_server_config({"key": 1}),
        lambda: recipe.enable_log_streaming(),
    ):
        with pytest.raises(ConfigError, match="terms need"):
            add()


def test_an_environment_of_other_sites_is_refused(tmp_path: Path) -> None:
    recipe = FedECGRecipe(SITES)
    with pytest.raises(ConfigError, match="site-1, site-2, site-3"):
        recipe.execute(SimEnv(num_clients=2, workspace_root=str(tmp_path)))


@pytest.mark.slow
def test_a_recipe_runs_in_the_simulator_without_code_of_its_own(tmp_path: Path) -> None:
    pages = Pages(
        "ecg_flare.nnunet.sources.SyntheticPages",
        {"profiles": dict.fromkeys(SITES[:2], "plain"), "pages_per_site": 2, "pages_per_patient": 1},
    )
    public = Pages("ecg_flare.nnunet.sources.SyntheticPages", {"profiles": {"public": "plain"}, "pages_per_site": 1})
    recipe = FedECGRecipe(SITES[:2], rounds=1, training=Training(steps=1), pages=pages, public_pages=public)
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
