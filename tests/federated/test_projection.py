"""The public projection: against its own dense matrix, over seeds, and inside a round."""

import numpy as np
import pytest

from ecg_flare.errors import ConfigError, UpdateError
from ecg_flare.federated import projection as module
from ecg_flare.federated.optimizers import FedAdam
from ecg_flare.federated.projection import RandomProjection
from ecg_flare.federated.round import contribution
from ecg_flare.federated.terms import JobTerms
from ecg_flare.privacy.gaussian import ChaChaStream
from flat_terms import flat_terms, round_in_memory

D = 60


def dense(projection: RandomProjection, dimension: int = D) -> np.ndarray:
    return np.stack([projection.project(row) for row in np.eye(dimension, dtype=np.float32)], axis=1)


def test_each_coordinate_has_one_bucket_and_one_sign() -> None:
    matrix = dense(RandomProjection(7, seed=1))
    assert matrix.shape == (7, D)
    assert (np.abs(matrix).sum(axis=0) == 1).all()
    assert {-1.0, 0.0, 1.0} == set(matrix.ravel().tolist())
    assert not np.array_equal(matrix, dense(RandomProjection(7, seed=2)))


def test_folding_is_the_matrix_and_unfolding_its_transpose() -> None:
    rng, projection = np.random.default_rng(0), RandomProjection(9, seed=3)
    matrix = dense(projection)
    x, y = rng.standard_normal(D).astype(np.float32), rng.standard_normal(9)
    assert projection.project(x) == pytest.approx(matrix @ x, abs=1e-6)
    assert np.array_equal(projection.transpose(y, D), matrix.T @ y)


def test_a_seed_gives_the_same_matrix_at_every_party_and_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dense(RandomProjection(5, seed=7), 20)
    monkeypatch.setattr(module, "_CHUNK", 3)
    assert np.array_equal(dense(RandomProjection(5, seed=7), 20), whole)
    # Another version of this package must fold alike, or a job's sites would not.
    assert np.abs(whole).argmax(axis=0)[:8].tolist() == [3, 2, 0, 4, 1, 3, 4, 3]
    assert whole.sum(axis=0)[:8].tolist() == [1, 1, -1, 1, 1, 1, -1, 1]


def test_over_seeds_lengths_and_vectors_come_back() -> None:
    x = np.random.default_rng(4).standard_normal(D).astype(np.float32)
    seeds = range(3000)
    folded = [RandomProjection(20, seed).project(x) for seed in seeds]
    lengths = np.array([float(y @ y) for y in folded])
    truth = float(x @ x)
    assert lengths.mean() == pytest.approx(truth, abs=5 * lengths.std() / np.sqrt(len(seeds)))
    assert lengths.std() == pytest.approx(truth * np.sqrt(2 / 20), rel=0.2)  # sum over pairs, 2 / p of |x|^4 at most
    back = np.mean(
        [RandomProjection(20, seed).transpose(y.astype(float), D) for seed, y in zip(seeds, folded, strict=True)], 0
    )
    deviation = np.sqrt(truth / 20 / len(seeds))
    assert np.abs(back - x).max() < 5 * deviation


def config(**changes: object) -> JobTerms:
    values = {"weights": {"a": 1.0, "b": 1.0}, "min_sites": 1, "clipping_norm": 0.5, "noise_multiplier": 1.0}
    patients = {"patients": 6, "patients_per_site": 3, "projection": RandomProjection(11, 2)}
    return flat_terms(**{**values, **patients, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [0.01, 0.5, 100.0])
def test_what_a_patient_adds_is_clipped_after_folding(length: float) -> None:
    terms = config()
    fixed = terms.fixed_encoding(D)
    assert fixed is not None
    assert (fixed.dimension, fixed.sensitivity) == (11, fixed.scale)
    for row in np.eye(D, dtype=np.float32)[:20] + np.float32(0.3):  # folding lengthens such a vector
        sent = contribution((length * row)[None], 1.0, terms, D)
        folded = terms.projection.project(length * row) if terms.projection else row
        expected = folded * min(1.0, 0.5 / np.linalg.norm(folded)) * fixed.scale / 0.5
        assert sent == pytest.approx(expected, abs=2)
        assert float(np.linalg.norm(sent.astype(float))) <= fixed.sensitivity


@pytest.mark.parametrize("unit", ["site", "patient"])
def test_the_server_steps_in_the_folded_directions(unit: str) -> None:
    changes = {} if unit == "patient" else {"unit": "site", "patients": None, "patients_per_site": 1}
    terms, optimizer = config(**changes), FedAdam(learning_rate=0.1)
    assert terms.projection is not None
    rng = np.random.default_rng(8)
    rows = rng.standard_normal((2, D)).astype(np.float32)
    update = rows[0] if unit == "site" else rows
    start = np.zeros(D, np.float32)
    result = round_in_memory(
        start,
        optimizer.init(D),
        {"a": lambda model, index: update},
        terms,
        optimizer,
        stream=ChaChaStream(bytes(32)),
    )
    assert result.summed.shape == (11,)
    fixed = terms.fixed_encoding(D)
    assert fixed is not None
    mean = fixed.decode(result.summed, 2.0 if unit == "site" else 6.0)
    _, short = optimizer.step(optimizer.init(11), np.zeros(11, np.float32), mean)
    assert result.mean_update == pytest.approx(terms.projection.transpose(mean, D))
    assert result.model == pytest.approx(terms.projection.transpose(short.astype(float), D), rel=1e-6)


def test_impossible_projections_are_refused() -> None:
    with pytest.raises(ConfigError, match="size is 0"):
        RandomProjection(0, 1)
    with pytest.raises(ConfigError, match="seed -1"):
        RandomProjection(5, -1)
    with pytest.raises(UpdateError, match=r"shape \(4,\), expected \(5,\)"):
        RandomProjection(5, 1).transpose(np.zeros(4), D)
    with pytest.raises(ConfigError, match="projection is for sums in fixed point"):
        flat_terms({"a": 1.0}, 1, clipping_norm=1.0, projection=RandomProjection(5, 1))
