"""Pages in the report: colours where they belong, and nothing run that a stranger's folder names."""

import base64
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ecg_flare.errors import ConfigError
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import initial_vector
from ecg_flare.report.pages import EXTRA_RGB, HIT_RGB, MISSED_RGB, draw_traces, model_size, page_views, to_uri
from ecg_flare.report.run import find_run, read_run
from ecg_flare.storage import write_arrays

WriteRun = Callable[..., Path]
PUBLIC = {
    "path": "ecg_flare.task.traces.sources.SyntheticPages",
    "args": {"profiles": {"public": "plain"}, "pages_per_site": 2, "seed": 3},
}


def test_each_pixel_has_the_colour_of_its_case() -> None:
    image = np.full((1, 5, 3), 255, np.uint8)
    image[0, 4] = 0
    predicted = np.array([[1, 0, 1, 2, 0]], np.uint8)
    truth = np.array([[1, 1, 0, 0, 3]], np.uint8)
    drawn = draw_traces(image, predicted, truth)
    assert drawn[0, :4].tolist() == [list(HIT_RGB), list(MISSED_RGB), list(EXTRA_RGB), [255, 255, 255]]
    assert drawn[0, 4].tolist() == [255 - int(0.45 * 255)] * 3


def test_a_uri_holds_the_picture() -> None:
    image = np.full((16, 24, 3), (200, 60, 20), np.uint8)
    head, _, data = to_uri(image).partition(",")
    assert head == "data:image/webp;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(decoded.astype(int) - image).max() < 12


def test_the_final_and_the_best_model_are_shown(write_run: WriteRun) -> None:
    plan = plan_preset("tiny")
    workspace = write_run(facts={"plan_hash": plan.hash, "public_pages": PUBLIC})
    for name, seed in (("state.npz", 1), ("best.npz", 2)):
        write_arrays(find_run(workspace) / name, {"model": initial_vector(plan, seed)})
    run = read_run(workspace)
    views = page_views(run, count=1)
    assert [(view.name, view.model) for view in views] == [("page-0000", "round 3"), ("page-0000", "round 2 (best)")]
    assert all(0 <= view.dice < 1 for view in views)
    assert model_size(run) == 121_348


@pytest.mark.parametrize("spec", [None, {"path": "subprocess.run", "args": {"args": "false"}}, {"path": "site.Pages"}])
def test_code_that_the_folder_names_is_not_run(write_run: WriteRun, spec: object) -> None:
    plan = plan_preset("tiny")
    workspace = write_run(facts={"plan_hash": plan.hash, "public_pages": spec})
    write_arrays(find_run(workspace) / "state.npz", {"model": initial_vector(plan, 1)})
    with pytest.raises(ConfigError, match="synthetic pages and those of PTB-XL alone"):
        page_views(read_run(workspace), count=1)
