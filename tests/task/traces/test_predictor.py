"""Probabilities of a page: whole-page passes against nnU-Net's own sliding window, bands against the whole."""

import contextlib
import io
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunet_scribbles import scribbled_page

from ecg_flare.errors import ConfigError, PageError
from ecg_flare.nnunet.environment import nnunet_environment
from ecg_flare.nnunet.export import bundled_names, load_bundled
from ecg_flare.nnunet.plan import Plan, network, unflatten_into
from ecg_flare.task.traces import predictor as predictor_module
from ecg_flare.task.traces.evaluate import evaluate_pages
from ecg_flare.task.traces.plans import CONFIGURATION
from ecg_flare.task.traces.predictor import NetworkSegmenter, _bands
from ecg_flare.task.traces.sources import SyntheticPages


@pytest.fixture(scope="module")
def segmenter(tiny: Plan, trained: np.ndarray) -> NetworkSegmenter:
    return NetworkSegmenter(tiny, trained)


@pytest.fixture(scope="module")
def page() -> tuple[np.ndarray, np.ndarray]:
    return scribbled_page(np.random.default_rng(99), 317, 601)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.sum(a & b) / (np.sum(a) + np.sum(b))


def test_probabilities_are_those_of_the_page(segmenter: NetworkSegmenter, page: tuple[np.ndarray, np.ndarray]) -> None:
    image, mask = page
    probabilities = segmenter(image)
    assert probabilities.shape == (4, 317, 601)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(0), 1, atol=1e-5)
    assert dice(probabilities.argmax(0) == 1, mask == 1) > 0.7


def test_a_page_passes_as_nnunets_sliding_window_has_it() -> None:
    with nnunet_environment():
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
    model = load_bundled("segmenter")
    module = network(model.plan).eval()
    unflatten_into(module, model.vector)
    manager = PlansManager(model.plan.nnunet_plans())
    page = next(SyntheticPages({"x": "university"}, pages_per_site=1, seed=5).cases("x"))
    with contextlib.redirect_stdout(io.StringIO()):
        sliding = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
        sliding.manual_initialization(
            module, manager, manager.get_configuration(CONFIGURATION), None, model.plan.nnunet_dataset_json(), "", None
        )
        logits = sliding.predict_sliding_window_return_logits(
            torch.from_numpy(page.image.transpose(2, 0, 1)[:, None].astype(np.float32) / 255)
        )
    theirs = logits.argmax(0)[0].numpy()
    ours = NetworkSegmenter(model.plan, model.vector)(page.image).argmax(0)
    assert np.mean(theirs == ours) > 0.99
    assert dice(theirs == 1, ours == 1) > 0.95
    assert dice(ours == 1, page.mask == 1) > dice(theirs == 1, page.mask == 1) - 0.01


def test_a_large_page_runs_in_bands(
    segmenter: NetworkSegmenter, page: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = segmenter(page[0])
    sizes: list[int] = []
    run = NetworkSegmenter._probabilities

    def counted(self: NetworkSegmenter, image: np.ndarray) -> np.ndarray:
        sizes.append(image.shape[0] * image.shape[1])
        return run(self, image)

    monkeypatch.setattr(predictor_module, "MAX_WHOLE_PAGE_PX", 140_000)
    monkeypatch.setattr(NetworkSegmenter, "_probabilities", counted)
    banded = segmenter(page[0])
    assert len(sizes) > 1
    assert max(sizes) <= 140_000
    assert np.mean(banded.argmax(0) == whole.argmax(0)) > 0.97


@pytest.mark.parametrize(("height", "rows", "multiple"), [(1, 9, 8), (1000, 300, 8), (1000, 10, 64), (640, 641, 8)])
def test_bands_cover_each_row_once(height: int, rows: int, multiple: int) -> None:
    page = np.arange(height)
    result = np.full(height, -1)
    for band, inner, target in _bands(height, rows, multiple):
        assert (result[target] == -1).all()
        result[target] = page[band][inner]
    np.testing.assert_array_equal(result, page)


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float32), np.zeros((0, 9, 3), np.uint8)]
)
def test_what_is_no_page_is_refused(segmenter: NetworkSegmenter, image: np.ndarray) -> None:
    with pytest.raises(PageError, match="RGB uint8"):
        segmenter(image)


def test_a_page_of_any_size_passes(segmenter: NetworkSegmenter) -> None:
    for shape in ((1, 1, 3), (7, 300, 3), (16, 8, 3)):
        assert segmenter(np.full(shape, 255, np.uint8)).shape == (4, *shape[:2])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from Linux's /proc")
def test_pages_of_many_sizes_do_not_pile_up_memory(segmenter: NetworkSegmenter) -> None:
    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

    sizes = [(500 + 37 * k, 900 - 29 * k) for k in range(10)]
    used = []
    for height, width in sizes:
        segmenter(np.full((height, width, 3), 255, np.uint8))
        used.append(resident_mb())
    assert used[-1] - used[1] < 60


def test_the_bundled_models_read_a_page() -> None:
    assert {"start", "segmenter"} <= set(bundled_names())
    pages = list(SyntheticPages({"x": "university"}, pages_per_site=2, pages_per_patient=1, seed=5).cases("x"))
    start, reader = (evaluate_pages(NetworkSegmenter.bundled(name), pages).mean_dice for name in ("start", "segmenter"))
    assert 0.4 < start < reader
    assert reader > 0.8


def test_an_unknown_bundled_model_names_the_known() -> None:
    with pytest.raises(ConfigError, match=r"'best'.*start"):
        NetworkSegmenter.bundled("best")
