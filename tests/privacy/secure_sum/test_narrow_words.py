"""Sums in words of 8 and 16 bits: no wrap, the norm that was promised, and the mean that was meant."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecg_flare.errors import ConfigError, EncodingError
from ecg_flare.federated.audits import AuditedRound, audited_round
from ecg_flare.federated.clipping import clip
from ecg_flare.federated.optimizers import FedAvg
from ecg_flare.federated.parts import Roster
from ecg_flare.federated.round import OpenRound, run_round
from ecg_flare.federated.terms import JobTerms
from ecg_flare.privacy.audit.one_shot import canary_scores
from ecg_flare.privacy.audit.sensitivity import brute_force_sensitivity, trying_updates
from ecg_flare.privacy.events import Unit
from ecg_flare.privacy.secure_sum import narrow
from ecg_flare.privacy.secure_sum.context import min_threshold
from ecg_flare.privacy.secure_sum.encoding import FixedPoint, NarrowWords
from ecg_flare.privacy.secure_sum.narrow import room, round_within, turn, turn_back
from flat_terms import flat_terms

SEED = b"of a job"
KINDS = ("spread", "one", "few", "against", "level")
WEIGHTS = dict.fromkeys(("a", "b", "c"), 1.0)


def words(bits: int, dimension: int = 5000, **changes: object) -> FixedPoint:
    bounds: dict[str, object] = {"clipping_norm": 2.0, "weights": (1.0, 1.0, 0.75), "dimension": dimension}
    wide = FixedPoint.derive(**(bounds | changes))  # type: ignore[arg-type]
    return wide.in_narrow_words(NarrowWords(bits, SEED))


def vector(kind: str, dimension: int, seed: int, norm: float) -> np.ndarray:
    """An update of this norm; "against" is the one that turning gathers in a single coordinate."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=dimension)
    if kind in ("one", "against"):
        drawn = np.eye(1, dimension, seed % dimension)[0]
    elif kind == "few":
        drawn *= rng.random(dimension) < 0.002
        drawn[0] = 1.0
    elif kind == "level":
        drawn = np.ones(dimension)
    if kind == "against":
        drawn = turn_back(drawn, SEED)
    return clip((drawn * (norm / np.linalg.norm(drawn))).astype(np.float32), norm).vector


def squared(encoded: np.ndarray) -> int:
    return int(np.square(encoded.astype(np.int64)).sum())


def test_turning_keeps_norms_and_can_be_undone() -> None:
    plain = vector("few", 4097, 1, 3.0)
    turned = turn(plain, SEED)

    assert np.linalg.norm(turned) == pytest.approx(3.0, rel=1e-6)
    assert np.abs(turned).max() < narrow.STEEP[8] * 3.0 / math.sqrt(4097)
    assert turn_back(turned.astype(np.float64), SEED) == pytest.approx(plain, abs=1e-6)
    assert not np.allclose(turn(plain, b"of another job"), turned)


@pytest.mark.parametrize("bits", [8, 16])
@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**32), dimension=st.integers(1, 4000), light=st.booleans())
@example(kind="against", seed=0, dimension=1, light=True)
def test_no_coordinate_and_no_norm_passes_its_bound(
    bits: int, kind: str, seed: int, dimension: int, light: bool
) -> None:
    fixed = words(bits, dimension)
    weight = 0.75 if light else 1.0

    encoded = fixed.encode(vector(kind, dimension, seed, 2.0), weight)

    assert np.abs(encoded).max() <= fixed.limit
    assert squared(encoded) <= (weight * fixed.scale) ** 2
    fixed.check_contribution(encoded)
    fixed.check_total_norm(encoded.astype(np.int64), weight)


@pytest.mark.parametrize("bits", [8, 16])
def test_the_largest_sum_does_not_wrap(bits: int) -> None:
    fixed = words(bits, vectors_per_site=3)
    largest = np.full(fixed.dimension, fixed.contribution_bound, np.int64)
    total = np.zeros(fixed.dimension, fixed.ring_dtype)
    for sign in (1, 1, 1):
        total += fixed.to_ring(sign * largest)
    assert total.dtype.itemsize * 8 == bits
    assert np.array_equal(fixed.from_ring(total), 3 * largest)
    assert fixed.sum_bound == 9 * fixed.limit < 2 ** (bits - 1)
    with pytest.raises(EncodingError, match=f"outside the ring of {bits} bits"):
        fixed.to_ring(np.full(fixed.dimension, 2 ** (bits - 1)))


@pytest.mark.parametrize(("bits", "error"), [(8, 0.08), (16, 4e-4)])
@pytest.mark.parametrize("kind", ["spread", "one", "few", "level"])
def test_an_update_comes_back_with_little_error_whatever_its_form(bits: int, error: float, kind: str) -> None:
    fixed = words(bits, 20_000, weights=(1.0,) * 4)
    plain = vector(kind, fixed.dimension, 5, 1.9)
    back = fixed.decode(fixed.encode(plain, 1.0).astype(np.int64), 1.0)
    assert np.linalg.norm(back - plain) < error * 1.9


def test_rounding_favours_no_side() -> None:
    fixed = words(8, 10_000, weights=(1.0,) * 4)
    meant = vector("spread", fixed.dimension, 6, 0.05)  # most of its coordinates are below half a unit
    rng = np.random.default_rng(7)
    back = np.zeros(fixed.dimension)
    for _ in range(400):
        noisy = (meant * rng.uniform(0.999, 1.001)).astype(np.float32)  # each has a draw of its own
        back += fixed.decode(fixed.encode(noisy, 1.0).astype(np.int64), 1.0)
    one = np.linalg.norm(fixed.decode(fixed.encode(meant, 1.0).astype(np.int64), 1.0) - meant)
    assert np.linalg.norm(back / 400 - meant) < one / 15  # sqrt(400) = 20
    assert np.dot(back / 400, meant) == pytest.approx(np.dot(meant, meant), rel=0.03)


def test_the_same_update_gives_the_same_integers() -> None:
    fixed = words(8)
    plain = vector("spread", fixed.dimension, 8, 1.0)
    assert np.array_equal(fixed.encode(plain, 1.0), fixed.encode(plain.copy(), 1.0))


def test_a_draw_that_makes_the_vector_too_long_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = vector("spread", 900, 9, 40.0)
    draws: list[int] = []

    def up(values: np.ndarray, digest: bytes, draw: int) -> np.ndarray:
        draws.append(draw)
        return np.where(values < 0, np.floor(values), np.ceil(values)).astype(np.int32)

    assert squared(up(plain, b"", 0)) > 45.0**2  # away from zero, each
    monkeypatch.setattr(narrow, "_rounded", up)
    rounded = round_within(plain, 100, Fraction(45))
    assert draws[1:] == list(range(64))
    assert squared(rounded) <= 45.0**2
    shortened = plain * np.float32(room(45.0, 900) / np.linalg.norm(plain))
    assert np.abs(rounded - np.trunc(shortened)).max() <= 1


def test_a_vector_that_is_not_finite_is_never_integers() -> None:
    with pytest.raises(EncodingError, match="NaN or infinity"):
        round_within(np.array([np.nan, 1.0], np.float32), 100, Fraction(45))
    with pytest.raises(EncodingError, match=r"expected 1e-30 to 1e\+30"):
        words(16, clipping_norm=1e-35)


def test_noise_is_measured_in_the_same_norm_and_needs_no_room_in_the_ring() -> None:
    loud = words(16, noise_multiplier=50.0)
    assert loud.scale == words(16).scale
    assert loud.noise_sd == math.ceil(50 * loud.sensitivity)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"vectors_per_site": 60}, r"words of 8 bits let each of 180 vectors .* reach from 0 to 0"),
        ({"vectors_per_site": 7}, r"reach from -6 to 6: rounded to that, their clipped norm would not hold"),
        ({"weights": (1.0, 0.1, 0.1)}, r"of which one weighs 0\.1 and another 1,"),
    ],
)
def test_words_that_are_too_narrow_are_refused(changes: dict[str, object], match: str) -> None:
    with pytest.raises(EncodingError, match=match):
        words(8, **changes)
    words(16, **changes)


def masked(**changes: object) -> JobTerms:
    return flat_terms(WEIGHTS, min_sites=3, clipping_norm=1.0, **{"summation": "masked", "ring_bits": 16, **changes})


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"ring_bits": 24}, "ring_bits is 24, expected 8 or 16"),
        ({"summation": "encrypted"}, "'encrypted' sum has no ring"),
        ({"summation": "plain"}, "'plain' sum has no ring"),
        ({"max_weight": 9}, "max_weight=9: narrow words have no room"),
        ({"counted": True}, "sums counts, which are exact"),
    ],
)
def test_jobs_that_narrow_words_do_not_serve_are_refused(changes: dict[str, object], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        masked(**changes)


def test_narrow_words_are_not_for_adaptive_clipping() -> None:
    adaptive = {"quantile": 0.5, "rate": 0.5, "count_noise": 30.0, "least": 0.01, "most": 10.0}
    private = {"unit": "patient", "patients": 300, "patients_per_site": 100, "noise_multiplier": 1.0}
    wide = masked(ring_bits=None, adaptive_clipping=adaptive, **private)
    with pytest.raises(ConfigError, match="under adaptive clipping patients are counted"):
        replace(wide, ring_bits=16)


@pytest.mark.parametrize(("bits", "near"), [(8, 0.05), (16, 5e-4)])
def test_a_round_moves_the_model_as_in_wide_words(bits: int, near: float) -> None:
    updates = {name: vector("few", 6000, index, 1.0) for index, name in enumerate(WEIGHTS)}
    sites = {name: lambda model, index, update=update: update for name, update in updates.items()}
    found = {}
    for ring_bits in (None, bits):
        terms = masked(ring_bits=ring_bits)
        start = np.zeros(6000, np.float32)
        found[ring_bits] = run_round(OpenRound(terms, start, FedAvg().init(6000), FedAvg()), sites).model
    moved = np.linalg.norm(found[None])
    assert np.linalg.norm(found[bits] - found[None]) < near * moved


def test_patients_are_hidden_by_the_same_noise() -> None:
    private = {
        "unit": "patient",
        "patients": 30,
        "patients_per_site": 10,
        "noise_multiplier": 2.0,
        "sampling_rate": 0.5,
        "delta": 1e-3,
    }
    terms = masked(**private)
    fixed = terms.fixed_encoding(4000)
    assert fixed is not None
    assert fixed.noise_sd >= 2.0 * fixed.sensitivity
    assert terms.events == masked(ring_bits=None, **private).events
    rows = np.stack([vector("spread", 4000, index, 1.0) for index in range(9)])
    sites = {name: lambda model, index: rows for name in WEIGHTS}
    opened = OpenRound(terms, np.zeros(4000, np.float32), FedAvg().init(4000), FedAvg())
    result = run_round(opened, sites)
    expected = 3 * rows.sum(axis=0) / 15.0  # q * N
    noise = result.model - expected
    assert noise.std() == pytest.approx(2.0 / 15.0, rel=0.1)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("unit", ["site", "patient"])
def test_no_unit_moves_a_sum_in_narrow_words_by_more_than_is_stated(bits: int, unit: Unit) -> None:
    path = in_words(audited_round(unit, units=6, dimension=500, noise_multiplier=0.01, sites=3), bits)
    updates = trying_updates(np.random.default_rng(1), 500, clipping_norm=1.0)[-6:]
    rows = dict(zip(path.sites, np.split(updates, len(path.sites)), strict=True))
    units = {site: [f"{site}-{number}" for number in range(len(held))] for site, held in rows.items()}
    found = brute_force_sensitivity(path, rows, units, rng=np.random.default_rng(2))
    assert found.passed, found
    assert found.estimate > 0.8 * found.bound


def test_the_one_shot_audit_sees_through_the_turn() -> None:
    path = in_words(audited_round("site", units=20, dimension=20_000, noise_multiplier=0.5), 16)
    scores = canary_scores(path, canaries=20, rng=np.random.default_rng(3))
    assert scores.mean() == pytest.approx(2.0, abs=0.9)  # 1 / sigma


def in_words(path: AuditedRound, bits: int) -> AuditedRound:
    weights = path.terms.weights
    sites = Roster(dict(weights), min_sites=min_threshold(len(weights)))
    return replace(path, terms=replace(path.terms, sites=sites, summation="masked", ring_bits=bits))
