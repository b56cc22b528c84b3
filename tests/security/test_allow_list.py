"""A fresh kit builds the classes of a job and nothing else of the package, by FLARE's own loader and authorizer.

Fault 1 of issue 13: kits allowed the prefix `ecg_flare.`, and FLARE calls whatever callable below it a config names.
"""

import importlib
import importlib.util
import json
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flare_loader import Party, kits_that_allow_the_package
from nvflare.fuel.utils.class_loader import load_class

import ecg_flare
from ecg_flare.flare.deploy.allowed import SERVER_CLASSES, SITE_CLASSES
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.export import equal_roster, pages_of
from ecg_flare.flare.job.folders import NO_PUBLIC_CASES, PUBLIC_PAGES, JobSpec, Pages, job_files

SITES = ["site-1", "site-2", "site-3"]
PLAIN = BUNDLED["fedavg"]
AGGREGATORS = [
    *("FedAvg", "FedProx", "FedAvgM", "FedAdam", "FedYogi", "FedAdagrad"),
    *("Median", "TrimmedMean", "Krum", "MultiKrum", "GeometricMedian"),
]
LISTED = {"client": SITE_CLASSES, "server": SERVER_CLASSES}
PTBXL = Pages("ecg_flare.task.traces.sources.PtbxlPages", {"root": "/db", "sites": {}, "profiles": {}})


def variants() -> Iterator[JobSpec]:
    """Every kind of job that can be written without own code."""
    sources = [
        pages_of(data, SITES, BUNDLED["fedavg"])
        for data in ("own", "synthetic", "ptbxl:/db", "pages:/pages/{site}", "nnunet:/data/{site}")
    ]
    for spec, pages, public in product(BUNDLED.values(), sources, (PUBLIC_PAGES, PTBXL, NO_PUBLIC_CASES)):
        yield replace(spec, pages=pages, public_pages=public, custom=False)
    everybody = replace(PLAIN, terms=replace(PLAIN.terms, sites=equal_roster("abcde", "plain", 5)))
    for aggregator in AGGREGATORS:
        yield replace(everybody, aggregator=aggregator, optimizer={}, pages=sources[0], mlflow="", custom=False)


def config_of(spec: JobSpec, side: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(job_files(spec)[f"app/config/config_fed_{side}.json"])
    return config


def paths_in(value: Any) -> Iterator[str]:
    """Class paths anywhere in a config."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str):
            yield value["path"]
        for one in value.values():
            yield from paths_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from paths_in(one)


@pytest.fixture(params=["client", "server"])
def party(request: pytest.FixtureRequest, fresh_kits: Path, tmp_path: Path) -> Party:
    return Party(fresh_kits, request.param, tmp_path / "app")


@pytest.fixture(scope="module")
def callables() -> dict[str, Any]:
    """Every callable that a dotted path of two parts, module and attribute, reaches below ecg_flare."""
    found = {}
    for module in pkgutil.walk_packages(ecg_flare.__path__, "ecg_flare."):
        if module.name == "ecg_flare.flare.server.tracking" and importlib.util.find_spec("mlflow") is None:
            continue
        loaded = importlib.import_module(module.name)
        found |= {f"{module.name}.{name}": one for name in dir(loaded) if callable(one := getattr(loaded, name))}
    return found


@pytest.mark.parametrize("side", ["client", "server"])
def test_the_list_is_what_jobs_name_and_nothing_else(side: str) -> None:
    assert {path for spec in variants() for path in paths_in(config_of(spec, side))} == set(LISTED[side])
    assert len(set(LISTED[side])) == len(LISTED[side])


def test_no_callable_of_the_package_is_let_through_but_the_listed(party: Party, callables: dict[str, Any]) -> None:
    assert len(callables) > 3000
    assert {"ecg_flare.flare.site.in_memory.build", "ecg_flare.cli.main", "ecg_flare.flare.job.folders._json"} <= set(
        callables
    )
    through = {path for path in callables if not party.refusal({"path": path})}
    assert through == set(LISTED[party.side]) & set(callables)
    assert set(LISTED[party.side]) - through <= {
        "ecg_flare.flare.server.tracking.ServerMLflow",  # where mlflow is not installed
        "nvflare.app_opt.tracking.tb.tb_receiver.TBAnalyticsReceiver",
    }


def test_what_lies_below_a_listed_class_is_no_module_that_can_be_loaded(
    party: Party, callables: dict[str, Any]
) -> None:
    below = {
        f"{path}.{name}"
        for path, one in callables.items()
        if isinstance(one, type) and one.__module__.startswith("ecg_flare.")
        for name in dir(one)
        if callable(getattr(one, name, None))
    }
    through = [path for path in below if not party.refusal({"path": path})]
    assert all(path.rpartition(".")[0] in LISTED[party.side] for path in through)
    for path in through:  # FLARE's list takes a name and a dot for a prefix
        with pytest.raises(TypeError, match="Can't load class"):
            load_class(path)


@pytest.mark.parametrize("name", BUNDLED)
def test_each_job_is_built_at_each_party(party: Party, name: str) -> None:
    config = config_of(replace(BUNDLED[name], pages=pages_of("own", SITES, PLAIN), custom=False), party.side)
    built = party.load(config).components
    assert {part["id"]: part["path"] for part in config["components"]}.items() <= {
        key: f"{type(one).__module__}.{type(one).__qualname__}" for key, one in built.items()
    }.items()


LISTED_ENTRY = "ecg_flare.federated.terms.JobTerms"
TRICKS = {
    "a function": {"path": "ecg_flare.flare.site.in_memory.build"},
    "the command line": {"path": "ecg_flare.cli.main"},
    "another module's name for a listed class": {"path": "ecg_flare.flare.job.folders.JobTerms"},
    "a re-export": {"path": "ecg_flare.task.traces.sources.PageFolder"},
    "a method": {"path": f"{LISTED_ENTRY}.at_norm"},
    "a listed class's own class": {"path": f"{LISTED_ENTRY}.__class__"},
    "by class_path": {"class_path": "ecg_flare.cli.main"},
    "by name": {"name": "JobTerms"},
    "name beside path": {"path": LISTED_ENTRY, "name": "NPTrainer"},
    "lower case": {"path": LISTED_ENTRY.lower()},
    "upper case": {"path": LISTED_ENTRY.upper()},
    "a space": {"path": f" {LISTED_ENTRY}"},
    "a line's end": {"path": f"{LISTED_ENTRY}\n"},
    "another alphabet": {"path": LISTED_ENTRY.replace("J", "\u0408")},
    "longer": {"path": f"{LISTED_ENTRY}s"},
    "a builtin": {"path": "eval"},
    "of another package": {"path": "subprocess.Popen"},
    "of FLARE": {"path": "nvflare.app_common.statistics.min_count_cleanser.MinCountCleanser"},
    "no dict for building, by its type": {"path": "ecg_flare.cli.main", "config_type": "dict"},
    "in an argument": {"path": LISTED_ENTRY, "args": {"weights": {"path": "ecg_flare.cli.main"}}},
    "in a list in an argument": {"path": LISTED_ENTRY, "args": {"trained": [{"path": "ecg_flare.cli.main"}]}},
    "deep in an argument": {"path": LISTED_ENTRY, "args": {"weights": {"a": {"class_path": "ecg_flare.cli.main"}}}},
    "by a variable": {"path": "{HIDDEN}"},
    "in an argument by a variable": {"path": LISTED_ENTRY, "args": {"weights": {"path": "{HIDDEN}"}}},
}


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Class paths that FLARE came to call; nothing is called."""
    called: list[str] = []
    monkeypatch.setattr(
        "nvflare.fuel.utils.component_builder.instantiate_class", lambda path, args: called.append(path)
    )
    return called


def attempt(party: Party, entry: dict[str, Any], place: str) -> Exception | None:
    config: dict[str, Any] = {"format_version": 2, "HIDDEN": "ecg_flare.cli.main"}
    if place == "components":
        config |= {"components": [{"id": "x", **entry}]}
    elif place == "filters":
        config |= {"task_result_filters": [{"tasks": ["train"], "filters": [entry]}]}
    elif party.side == "client":
        config |= {"executors": [{"tasks": ["train"], "executor": entry}]}
    else:
        config |= {"workflows": [{"id": "x", **entry}]}
    try:
        party.load(config)
    except Exception as error:  # FLARE's own are many
        return error
    return None


@pytest.mark.parametrize("place", ["components", "filters", "executors and workflows"])
@pytest.mark.parametrize("trick", TRICKS)
def test_no_spelling_gets_past_the_loader(party: Party, built: list[str], trick: str, place: str) -> None:
    error = attempt(party, json.loads(json.dumps(TRICKS[trick])), place)
    assert error is not None
    # a path below a listed class is called by nobody, since it cannot be loaded: see above
    assert set(built) <= {f"{LISTED_ENTRY}.at_norm", f"{LISTED_ENTRY}.__class__"}
    if not built:
        assert "allow_list" in str(error) or "dotted Python path" in str(error) or "name is not allowed" in str(error)


def test_the_loader_refuses_what_the_authorizer_does(party: Party, built: list[str], callables: dict[str, Any]) -> None:
    unlisted = sorted(set(callables) - set(LISTED[party.side]))
    for path in np.random.default_rng(0).choice(unlisted, 60, replace=False):
        assert "allow_list" in str(attempt(party, {"path": str(path)}, "components"))
    assert built == []


def test_a_kit_that_allows_the_package_lets_all_through(tmp_path: Path) -> None:
    """What the tests above would see without the exact list."""
    old = Party(kits_that_allow_the_package(tmp_path), "client", tmp_path / "app")
    assert old.refusal({"path": "ecg_flare.flare.site.in_memory.build"}) == ""
    assert old.refusal({"path": "ecg_flare.cli.main"}) == ""
