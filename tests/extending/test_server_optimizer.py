"""A server optimizer of one's own: exported from outside, built by the server's kit, and stepping by its formula."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from extending_recipes import Recipe
from flare_loader import PARTIES, Party

from ecg_flare.errors import ConfigError
from ecg_flare.extensions import load_extensions
from ecg_flare.federated import optimizer_by_name
from ecg_flare.flare.job.bundled import BUNDLED

HEADING = "A server optimizer"


def server_config(job: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((job / "app" / "config" / "config_fed_server.json").read_text())
    return config


def test_the_exported_job_is_built_by_a_kit_that_allows_it(
    recipe: Callable[[str], Recipe], kits: Callable[..., Path]
) -> None:
    own = recipe(HEADING)
    own.write()
    assert "jobs/fedavg" in own.run()
    config = server_config(own.folder / "jobs" / "fedavg")
    allowed = kits(yaml.safe_load(own.text("builders.yml")))
    aggregator = Party(allowed, "server", own.folder / "app").load(config).components["aggregator"]
    assert (type(aggregator).__name__, aggregator.settings) == ("HeavyBall", {"learning_rate": 0.5, "beta": 0.8})
    policy = json.loads((allowed / PARTIES["server"] / "local" / "ecg_flare.json").read_text())
    assert policy["extensions"] == ["hospital_momentum"]


def test_a_kit_as_it_comes_refuses_the_job(recipe: Callable[[str], Recipe], kits: Callable[..., Path]) -> None:
    own = recipe(HEADING)
    own.write()
    own.run()
    with pytest.raises(Exception, match="is not in allow_list"):
        Party(kits(), "server", own.folder / "app").load(server_config(own.folder / "jobs" / "fedavg"))
    assert "hospital_momentum" not in sys.modules


def test_the_python_script_writes_a_job_with_the_same_aggregator(recipe: Callable[[str], Recipe]) -> None:
    own = recipe(HEADING)
    own.write()
    done = own.command("python write_job.py")
    assert done.returncode == 0, done.stderr
    [part] = [
        part
        for part in server_config(own.folder / "from_python" / "heavyball")["components"]
        if part["id"] == "aggregator"
    ]
    assert part == {
        "id": "aggregator",
        "path": "hospital_momentum.HeavyBall",
        "args": {"learning_rate": 0.5, "beta": 0.8},
    }


def test_two_steps_are_those_of_the_formula(recipe: Callable[[str], Recipe]) -> None:
    own = recipe(HEADING)
    own.write()
    load_extensions(["hospital_momentum"], "the test")
    optimizer = optimizer_by_name("heavyball", learning_rate=0.5, beta=0.8)
    model, state = np.float32([1.0, -1.0]), optimizer.init(2)
    for update in ([1.0, 0.0], [0.0, 2.0]):
        state, model = optimizer.step(state, model, np.float64(update))
    # m: (1, 0), then (0.8, 2); x: (1.5, -1), then (1.9, 0)
    assert model.tolist() == pytest.approx([1.9, 0.0], abs=1e-7)
    assert state.steps == 2


def test_settings_that_the_class_does_not_take_are_refused_where_it_is_loaded(
    recipe: Callable[[str], Recipe],
) -> None:
    recipe(HEADING).write()
    load_extensions(["hospital_momentum"], "the test")
    job = replace(BUNDLED["fedavg"], optimizer={})
    with pytest.raises(ConfigError, match=r"hospital_momentum\.HeavyBall does not take the optimizer's {'tau': 1}"):
        replace(job, aggregator="hospital_momentum.HeavyBall", optimizer={"tau": 1})
    with pytest.raises(ConfigError, match="is no aggregator"):
        replace(job, aggregator="hospital_momentum.Momentum")
