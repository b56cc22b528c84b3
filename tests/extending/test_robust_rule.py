"""A robust rule of one's own holds a poisoned site off, in memory and as the aggregator of a job."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from extending_recipes import Recipe

from ecg_flare.errors import ConfigError
from ecg_flare.extensions import load_extensions
from ecg_flare.flare.job.bundled import BUNDLED

HEADING = "A robust rule"


def test_the_mean_is_the_formulas_and_the_poisoned_site_moves_it_by_a_radius(
    recipe: Callable[[str], Recipe],
) -> None:
    own = recipe(HEADING)
    own.write()
    # The median is (1.2, 0). Berlin is 0.2 from it and stays; porto is drawn to 0.3 in its direction.
    porto = np.array([998.8, -1000.0])
    expected = np.array([1.2, 0.0]) + (np.array([-0.2, 0.0]) + 0.3 * porto / np.linalg.norm(porto)) / 3
    said = own.run().strip().strip("[]").split()
    assert [float(value) for value in said] == pytest.approx(expected.tolist(), abs=1e-6)
    config = json.loads((own.folder / "jobs/fedavg/app/config/config_fed_server.json").read_text())
    [aggregator] = [part for part in config["components"] if part["id"] == "aggregator"]
    assert (aggregator["path"], aggregator["args"]) == ("hospital_rules.ClippedMean", {"radius": 0.3})


def test_a_job_that_hides_updates_does_not_take_the_rule(recipe: Callable[[str], Recipe]) -> None:
    recipe(HEADING).write()
    load_extensions(["hospital_rules"], "the test")
    for name in ("fedadam_secure", "fedadam_site_dp"):
        with pytest.raises(ConfigError, match="CenteredClipping compares single updates"):
            replace(BUNDLED[name], aggregator="hospital_rules.ClippedMean", optimizer={})
