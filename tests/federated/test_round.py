"""Whole rounds: by hand, against published values, and against the promises of the private path."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecg_flare.errors import BudgetError, ConfigError, RoundError, SiteDataError
from ecg_flare.federated.optimizers import FedAdam, FedAvg, ServerOptimizer
from ecg_flare.federated.round import LocalTraining, RoundResult, contribution
from ecg_flare.federated.terms import JobTerms
from ecg_flare.privacy.adaptive_clipping import AdaptiveClipping
from ecg_flare.privacy.cohort import Cohort, Mechanism
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.privacy.gaussian import ChaChaStream, gaussian_noise
from ecg_flare.privacy.ledger import Ledger
from flat_terms import flat_terms, round_in_memory

KEY = bytes(range(32))


def vector(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def sends(*values: float) -> LocalTraining:
    return lambda model, round_index: vector(*values)


def config(**changes: Any) -> JobTerms:
    values = {"weights": {"a": 1.0, "b": 0.5}, "min_sites": 1}
    return flat_terms(**(values | changes))


def play(
    terms: JobTerms,
    sites: dict[str, LocalTraining],
    model: np.ndarray,
    optimizer: ServerOptimizer = FedAvg(),  # noqa: B008 - frozen
    **options: Any,
) -> RoundResult:
    return round_in_memory(model, optimizer.init(model.size), sites, terms, optimizer, **options)


def sgd(batches: Sequence[Sequence[float]], *, learning_rate: float = 1.0, mu: float | None = None) -> LocalTraining:
    """Local training on the loss x * w, with the proximal term mu/2 * (w - global)^2 where mu is given."""

    def train(model: np.ndarray, round_index: int) -> np.ndarray:
        local = model.copy()
        for batch in batches:
            gradient = np.full_like(local, np.mean(batch))
            if mu is not None:
                gradient = gradient + np.float32(mu) * (local - model)
            local = local - np.float32(learning_rate) * gradient
        return local - model

    return train


def test_plain_round_by_hand() -> None:
    result = play(config(), {"a": sends(1, 0), "b": sends(4, -6)}, vector(10, 10))
    # (1 * [1, 0] + 0.5 * [4, -6]) / 1.5 = [2, -2]
    assert result.model.tolist() == [12, 8]
    assert result.model.dtype == np.float32
    assert result.answered == ("a", "b")


def test_fedprox_gives_the_published_value() -> None:
    # FedJAX's fed_prox_test: w = 4, loss x * w, learning rate 1, mu 0.01; clients of 3 and 2 examples
    sites = {"a": sgd([[4, 6], [2]], mu=0.01), "b": sgd([[8, 10]], mu=0.01)}
    model = vector(4.0)
    assert sites["a"](model, 0) == pytest.approx([-6.95])
    assert sites["b"](model, 0) == pytest.approx([-9.0])
    assert play(config(weights={"a": 3.0, "b": 2.0}), sites, model).model == pytest.approx([-3.77])


def test_fedprox_without_its_term_is_fedavg_bit_for_bit() -> None:
    rng = np.random.default_rng(5)
    batches = rng.standard_normal((4, 3, 8)).tolist()
    model = rng.standard_normal(50).astype(np.float32)
    results = [
        play(
            config(weights={"a": 3.0, "b": 2.0}),
            {"a": sgd(batches[0], learning_rate=0.1, mu=mu), "b": sgd(batches[1], learning_rate=0.1, mu=mu)},
            model,
        )
        for mu in (None, 0.0)
    ]
    assert results[0].model.tobytes() == results[1].model.tobytes()


def test_clipped_round_by_hand() -> None:
    result = play(config(clipping_norm=1.0), {"a": sends(3, 4), "b": sends(0, 0.5)}, vector(0, 0))
    # ([0.6, 0.8] + 0.5 * [0, 0.5]) / 1.5
    assert result.model == pytest.approx([0.4, 0.7], rel=1e-6)


def test_round_goes_on_without_a_failed_site() -> None:
    def fails(model: np.ndarray, round_index: int) -> np.ndarray:
        raise SiteDataError("no pages")

    result = play(config(), {"a": sends(1, 2), "b": fails}, vector(0, 0))
    assert result.model.tolist() == [1, 2]
    assert result.dropped == {"b": "no pages"}
    assert play(config(), {"b": sends(3, 3)}, vector(0, 0)).model.tolist() == [3, 3]


@pytest.mark.parametrize("bad", [(1.0, np.nan), (1.0,), (1.0, 2.0, 3.0)])
def test_a_bad_update_is_a_dropout(bad: tuple[float, ...]) -> None:
    result = play(config(), {"a": sends(1, 2), "b": sends(*bad)}, vector(0, 0))
    assert result.answered == ("a",)
    assert "the update" in result.dropped["b"]


def test_too_few_answers_end_the_round() -> None:
    with pytest.raises(RoundError, match=r"updates of 1 sites arrived, expected at least 2; dropped: \{'b'"):
        play(config(min_sites=2), {"a": sends(1, 2), "b": sends(np.nan, 0)}, vector(0, 0))


def test_fixed_point_agrees_with_floats_to_a_unit_of_the_grid() -> None:
    rng = np.random.default_rng(2)
    roster = {"weights": {"a": 1.0, "b": 0.5, "c": 1.0}, "min_sites": 3, "clipping_norm": 1.0}
    sites = {site: sends(*rng.standard_normal(64)) for site in ("a", "b", "c")}
    model = np.zeros(64, np.float32)
    floats = play(config(**roster), sites, model)
    integers = play(config(**roster, summation="masked"), sites, model)
    assert integers.summed.dtype == np.int64
    assert np.abs(integers.mean_update - floats.mean_update).max() <= 3 * 2 / (2.5 * 2**24)


def test_private_round_adds_the_noise_of_the_stream_once_over_the_roster() -> None:
    terms = config(clipping_norm=2.0, noise_multiplier=0.5)
    model = vector(1, 1, 1)
    result = play(terms, {"a": sends(2, 0, 0)}, model, FedAdam(learning_rate=0.1), stream=ChaChaStream(KEY))
    exact = np.array([2**24 - 1, 0, 0])  # the guard against rounding takes the last unit of a vector as long as C
    noise = gaussian_noise(3, 2**23, ChaChaStream(KEY))  # 0.5 * max weight 1 * 2^24
    assert result.summed.tolist() == (exact + noise).tolist()
    mean = (exact + noise) * 2.0 / (2**24 * 1.5)  # 1.5 though b did not answer
    assert result.mean_update == pytest.approx(mean, rel=1e-15)
    assert np.array_equal(result.model, FedAdam(learning_rate=0.1).step(FedAdam().init(3), model, mean)[1])


def test_private_noise_differs_from_round_to_round() -> None:
    terms = config(clipping_norm=1.0, noise_multiplier=1.0)
    first, second = (play(terms, {"a": sends(0, 0)}, vector(0, 0)) for _ in range(2))
    assert not np.array_equal(first.summed, second.summed)


class Untouched:
    """A stream that must not be read."""

    def words(self, n: int) -> np.ndarray:
        raise AssertionError("noise was drawn")


def test_a_round_beyond_the_budget_draws_no_noise(tmp_path: Path) -> None:
    cohort = Cohort("test", "site", ("a", "b"), delta=1e-5, epsilon_budget=5.0)
    terms = config(clipping_norm=1.0, noise_multiplier=1.0)

    with Ledger(tmp_path / "ledger.jsonl", cohort) as ledger:

        def charge(events: tuple[GaussianEvent, ...]) -> None:
            ledger.charge(Mechanism("job", 0, 1.0, events[0].noise_multiplier, terms.weights, 1.5, unit="site"))

        play(terms, {"a": sends(1, 0)}, vector(0, 0), before_noise=charge)
        with pytest.raises(BudgetError):
            play(terms, {"a": sends(1, 0)}, vector(0, 0), before_noise=charge, stream=Untouched())
        assert len(ledger.rounds) == 1


def patient_config(**changes: Any) -> JobTerms:
    values = {"clipping_norm": 1.0, "noise_multiplier": 1.0, "patients_per_site": 4, "patients": 6}
    return config(**(values | {"sampling_rate": 0.5} | changes))


def test_patients_are_clipped_and_encoded_one_by_one() -> None:
    terms = patient_config()
    fixed = terms.fixed_encoding(2)
    assert fixed is not None
    sent = contribution(np.stack([vector(3, 4), vector(0, 0.5)]), 0.5, terms, 2)
    assert sent == pytest.approx([0.3 * fixed.scale, 0.65 * fixed.scale], abs=3)
    assert contribution(np.zeros((0, 2), np.float32), 0.5, terms, 2).tolist() == [0, 0]
    result = play(terms, {"a": lambda model, index: np.zeros((0, 2), np.float32)}, vector(0, 0))
    assert result.mean_update == pytest.approx(result.summed / (fixed.scale * 0.5 * 6))


@pytest.mark.parametrize("update", [vector(1, 2), np.zeros((5, 2), np.float32), np.zeros((1, 3), np.float32)])
def test_patients_beyond_the_terms_are_a_dropout(update: np.ndarray) -> None:
    with pytest.raises(RoundError, match="the update has shape"):
        play(patient_config(), {"a": lambda model, index: update}, vector(0, 0))


def largest_change(sites: dict[str, np.ndarray], terms: JobTerms) -> float:
    """Brute force: the largest change of the integer sum when one row of one site is left out."""

    def total(left: dict[str, np.ndarray]) -> np.ndarray:
        rows = [contribution(update, terms.weights[site], terms, 8) for site, update in left.items()]
        return np.sum(rows, axis=0, dtype=np.int64) if rows else np.zeros(8, np.int64)

    whole = total(sites)
    changes = []
    for site, update in sites.items():
        if terms.unit == "site":
            changes.append(whole - total({name: sites[name] for name in sites if name != site}))
        else:
            changes += [whole - total(sites | {site: np.delete(update, row, axis=0)}) for row in range(len(update))]
    return max(float(np.linalg.norm(change.astype(np.float64))) for change in changes)


@pytest.mark.parametrize("unit", ["site", "patient"])
@pytest.mark.parametrize("length", [0.1, 1.0, 100.0])
def test_leaving_out_one_unit_never_moves_the_sum_beyond_the_sensitivity(unit: str, length: float) -> None:
    rng = np.random.default_rng(4)
    terms = patient_config() if unit == "patient" else config(clipping_norm=1.0, noise_multiplier=1.0)
    fixed = terms.fixed_encoding(8)
    assert fixed is not None
    shape = (4, 8) if unit == "patient" else (8,)
    change = max(
        largest_change({site: (length * rng.standard_normal(shape)).astype(np.float32) for site in ("a", "b")}, terms)
        for _ in range(20)
    )
    assert change <= fixed.sensitivity
    if length == 100.0:
        assert change > 0.999 * fixed.sensitivity


def test_a_patient_of_two_sites_moves_the_sum_by_the_shared_sensitivity_at_most() -> None:
    terms = patient_config(shared_patients=True)
    fixed, alone = terms.fixed_encoding(8), patient_config().fixed_encoding(8)
    assert fixed is not None
    assert alone is not None
    assert terms.sensitivity == 1.5  # C = 1, weights 1 and 0.5
    assert (fixed.noise_sd / fixed.scale, alone.noise_sd / alone.scale) == (1.5, 1.0)  # sigma = 1
    row = np.full((1, 8), 9.0, np.float32)
    change = sum(contribution(row, terms.weights[site], terms, 8) for site in ("a", "b"))
    assert fixed.sensitivity < np.linalg.norm(change) <= terms.sensitivity * fixed.scale


def test_a_patient_whose_training_diverged_counts_as_zero() -> None:
    rows = np.array([[0.3, 0.4], [np.nan, 1.0], [np.inf, 0.0]], np.float32)
    assert np.array_equal(
        contribution(rows, 1.0, patient_config(), 2), contribution(rows[:1], 1.0, patient_config(), 2)
    )


RULE = AdaptiveClipping(quantile=0.5, rate=0.5, count_noise=3.0, least=0.01, most=10.0)


def adaptive_config(**changes: Any) -> JobTerms:
    """Sixteen patients, all of whom are drawn."""
    values = {"weights": {"a": 0.5, "b": 0.5}, "patients_per_site": 8, "patients": 16, "sampling_rate": 1.0}
    return patient_config(**(values | {"adaptive_clipping": RULE} | changes))


def test_the_norm_follows_the_patients_round_by_round_as_the_paper_says() -> None:
    lengths = np.linspace(0.13, 1.63, 16)
    rows = {"a": lengths[:8], "b": lengths[8:]}
    sites: dict[str, LocalTraining] = {
        site: lambda model, index, held=held: np.outer(held, [0.6, 0.8]).astype(np.float32)
        for site, held in rows.items()
    }
    terms, model = (
        adaptive_config(noise_multiplier=1e-6, adaptive_clipping=replace(RULE, count_noise=1e-5)),
        vector(0, 0),
    )
    norm = 1.0
    for index in range(6):
        result = play(terms, sites, model, round_index=index)
        share = np.mean(lengths <= norm)
        assert result.share == pytest.approx(share, abs=1e-4)
        clipped = np.minimum(lengths, norm)
        assert result.mean_update == pytest.approx(clipped.sum() * 0.5 / 16 * np.array([0.6, 0.8]), rel=1e-4)
        norm *= np.exp(-0.5 * (share - 0.5))
        terms = terms.after([result.share])
        assert terms.clipping_norm == pytest.approx(norm, rel=1e-3)
    assert norm == pytest.approx(0.88, abs=0.06)  # the median


def test_count_and_update_get_the_papers_noise() -> None:
    terms, size = adaptive_config(noise_multiplier=2.0, weights={"a": 1.0, "b": 1.0}), 40_000
    nobody: dict[str, LocalTraining] = {"a": lambda model, index: np.zeros((0, size), np.float32)}
    result = play(terms, nobody, np.zeros(size, np.float32))
    # z_u = (1/4 - 1/36)^(-1/2), over 16 patients; C = 1
    assert result.mean_update.std() == pytest.approx(2.1213203 / 16, rel=0.02)
    stream = ChaChaStream(KEY)
    shares = [play(terms, {"a": lambda model, index: np.zeros((0, 1), np.float32)}, vector(0), stream=stream).share]
    shares += [
        play(terms, {"a": lambda model, index: np.zeros((0, 1), np.float32)}, vector(0), stream=stream).share
        for _ in range(1000)
    ]
    counts = np.array(shares, dtype=float) * 16 - 8
    assert counts.std() == pytest.approx(3.0, rel=0.08)
    assert terms.events == (GaussianEvent(2.0),)  # and nothing else is charged


def test_a_sum_without_noise_says_no_share_where_the_norm_is_fixed() -> None:
    result = play(patient_config(), {"a": lambda model, index: np.zeros((1, 2), np.float32)}, vector(0, 0))
    assert result.share is None
    assert patient_config().after(None) == patient_config()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("length", [0.1, 1.0, 100.0])
def test_a_patient_moves_sum_and_count_together_by_the_sensitivity_at_most(length: float, shared: bool) -> None:
    rng = np.random.default_rng(4)
    terms = adaptive_config(shared_patients=shared)
    fixed = terms.fixed_encoding(8)
    assert fixed is not None
    assert fixed.dimension == 9
    rows = (length * rng.standard_normal((20, 1, 8)) / np.sqrt(8)).astype(np.float32)
    changes = [np.linalg.norm(contribution(row, 0.5, terms, 8).astype(float)) for row in rows]
    copies = 2 if shared else 1  # at both sites
    assert terms.sensitivity == pytest.approx(0.5 * copies / np.sqrt(1 - 1 / 36))
    assert copies * max(changes) <= terms.sensitivity * fixed.scale / fixed.clipping_norm
    if length == 100.0:
        assert copies * max(changes) > 0.9999 * terms.sensitivity * fixed.scale / fixed.clipping_norm
    assert fixed.noise_sd == pytest.approx(terms.sensitivity * fixed.scale / fixed.clipping_norm, rel=1e-6)


def test_adaptive_terms_come_back_from_json() -> None:
    terms = adaptive_config()
    assert JobTerms(**json.loads(json.dumps(asdict(terms)))) == terms
    assert JobTerms(**asdict(patient_config())) == patient_config()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": {"a": 1.0, "b": 0.5}}, "weights differ"),
        ({"clipping_norm": 11.0}, r"clipping_norm is 11\.0, expected it within"),
        ({"noise_multiplier": 6.0}, "count_noise is 3\\.0, expected more than half"),
        ({"unit": "site", "patients": None, "patients_per_site": 1}, "expected unit patient"),
    ],
)
def test_adaptive_clipping_is_refused_where_it_has_no_meaning(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        adaptive_config(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_sites": 3}, "min_sites is 3, expected 1 to the 2 sites"),
        ({"min_sites": 0}, "min_sites is 0"),
        ({"weights": {}}, "0 sites"),
        ({"weights": {"a": -1.0}}, r"weight of a is -1\.0"),
        ({"clipping_norm": 0.0}, r"clipping_norm is 0\.0"),
        ({"clipping_norm": -2.0}, r"clipping_norm is -2\.0"),
        ({"clipping_norm": 1.0, "noise_multiplier": -1.0}, r"noise_multiplier is -1\.0"),
        ({"clipping_norm": 1.0, "noise_multiplier": float("nan")}, "noise_multiplier is nan"),
        ({"noise_multiplier": 1.0}, "clipping is None"),
        ({"summation": "masked", "weights": dict.fromkeys("abc", 1.0), "min_sites": 3}, "clipping is None"),
        (
            {"summation": "masked", "clipping_norm": 1.0},
            "hides updates was asked for over 2 sites, expected at least 3",
        ),
        ({"sampling_rate": 1.5, "patients": 5}, r"sampling_rate is 1\.5"),
        ({"shared_patients": True}, "missing 1 required positional argument: 'patients'"),
        ({"clipping_norm": 1.0, "patients": 5}, "privacy is None, but a draw of patients"),
        ({"clipping_norm": 1.0, "noise_multiplier": 1.0, "patients": 5}, "2 sites of at most patients_per_site=1"),
        ({"projection": {"size": 3, "sed": 1}}, "projection is .* unexpected keyword"),
        ({"projection": 7}, "projection is 7, expected the fields of RandomProjection"),
        ({"rounds": 0}, "rounds is 0, expected a whole number, at least 1"),
    ],
)
def test_impossible_terms_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**change)


def test_a_site_off_the_roster_is_refused() -> None:
    with pytest.raises(ConfigError, match="z is not on the roster"):
        play(config(), {"z": sends(1, 1)}, vector(0, 0))
