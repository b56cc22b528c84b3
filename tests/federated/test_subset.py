"""Training some tensors only: what is left out stays bit by bit, and gets neither update nor noise."""

import doctest

import numpy as np
import pytest

from ecg_flare.errors import ConfigError, UpdateError
from ecg_flare.federated import subset as subset_module
from ecg_flare.federated.optimizers import FedAdam
from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.federated.update import flatten, layout_digest, unflatten
from ecg_flare.privacy.gaussian import ChaChaStream
from flat_terms import flat_terms, round_in_memory

LAYOUT = (("a.weight", (2, 2)), ("a.bias", (2,)), ("b.weight", (3,)), ("b.bias", (1,)))
MODEL = np.arange(10, dtype=np.float32)


def test_takes_and_puts_the_chosen_tensors() -> None:
    subset = TrainableSubset.matching(LAYOUT, ["*.bias", "b.w*"])
    assert subset.names == ("a.bias", "b.weight", "b.bias")
    assert subset.dimension == 6
    np.testing.assert_array_equal(subset.take(MODEL), [4, 5, 6, 7, 8, 9])
    moved = subset.put(MODEL, subset.take(MODEL) + 1)
    np.testing.assert_array_equal(moved, [0, 1, 2, 3, 5, 6, 7, 8, 9, 10])
    np.testing.assert_array_equal(MODEL, np.arange(10))


def test_agrees_with_the_layouts_own_cutting() -> None:
    rng = np.random.default_rng(0)
    vector = rng.normal(size=10).astype(np.float32)
    subset = TrainableSubset(LAYOUT, ("a.weight", "b.bias"))
    tensors = unflatten(vector, LAYOUT)
    chosen = {name: tensors[name] for name in subset.names}
    np.testing.assert_array_equal(subset.take(vector), flatten(chosen, subset.trained_layout))
    assert subset.digest == layout_digest(subset.trained_layout)


def test_all_tensors_are_the_whole_vector() -> None:
    subset = TrainableSubset.matching(LAYOUT, ["*"])
    np.testing.assert_array_equal(subset.take(MODEL), MODEL)
    assert subset.digest == layout_digest(LAYOUT)


def test_what_is_not_finite_elsewhere_is_kept_as_it_is() -> None:
    strange = MODEL.copy()
    strange[0], strange[1] = np.nan, -0.0
    moved = TrainableSubset.matching(LAYOUT, ["b.*"]).put(strange, np.ones(4, np.float32))
    assert moved[:6].tobytes() == strange[:6].tobytes()


def test_a_private_round_moves_and_noises_only_the_chosen() -> None:
    subset = TrainableSubset.matching(LAYOUT, ["b.*"])
    config = flat_terms(
        {"site-1": 1.0},
        min_sites=1,
        clipping_norm=1.0,
        noise_multiplier=2.0,
        patients_per_site=3,
        patients=3,
    )
    part, optimizer = subset.take(MODEL), FedAdam(0.1)

    def training(model: np.ndarray, round_index: int) -> np.ndarray:
        assert model.shape == (4,)
        return np.full((3, 4), 0.1, np.float32)

    result = round_in_memory(
        part, optimizer.init(subset.dimension), {"site-1": training}, config, optimizer, stream=ChaChaStream(bytes(32))
    )
    released = subset.put(MODEL, result.model)
    assert result.summed.shape == (4,)
    np.testing.assert_array_equal(released[:6], MODEL[:6])
    assert (released[6:] != MODEL[6:]).all()


@pytest.mark.parametrize("names", [(), ("b.bias", "a.bias"), ("a.bias", "a.bias"), ("c.bias",)])
def test_names_that_are_no_subset_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="trained tensors"):
        TrainableSubset(LAYOUT, names)


def test_a_pattern_for_another_network_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no tensor matches 'decoder\.\*'"):
        TrainableSubset.matching(LAYOUT, ["a.*", "decoder.*"])


def test_vectors_of_another_length_are_refused() -> None:
    subset = TrainableSubset.matching(LAYOUT, ["a.*"])
    with pytest.raises(UpdateError, match=r"\(9,\), expected \(10,\)"):
        subset.take(MODEL[:9])
    with pytest.raises(UpdateError, match=r"\(9,\), expected \(10,\)"):
        subset.put(MODEL[:9], MODEL[:6])
    with pytest.raises(UpdateError, match=r"\(1,\), expected \(6,\)"):
        subset.put(MODEL, MODEL[:1])


def test_examples_in_the_documentation() -> None:
    results = doctest.testmod(subset_module)
    assert results.attempted >= 2
    assert results.failed == 0
