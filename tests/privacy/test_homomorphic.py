"""CKKS on integers: exact sums, the bound behind them, and every way in which a lying server is refused."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Int64

from ecg_flare.errors import ConfigError, EncodingError, PolicyError, PrivacyError, SecureSumError
from ecg_flare.privacy import encrypted_sum, homomorphic
from ecg_flare.privacy.encrypted_sum import CohortMember, EncryptedRound, EncryptedSum, EncryptedSumSite
from ecg_flare.privacy.homomorphic import (
    RING_DEGREE,
    SCALE,
    SLOTS,
    TAG_BITS,
    TAG_SLOTS,
    VALUES,
    EncryptedTotal,
    SecretContext,
    block_count,
    check_exact,
    keyless_context,
    measure_cost,
    new_context,
    rounding_error,
)
from ecg_flare.privacy.secure_sum import memory
from ecg_flare.privacy.secure_sum.encoding import NOISE_TAIL, FixedPoint
from ecg_flare.privacy.secure_sum.memory import FileRoundMemory, RoundMemory, VolatileRoundMemory
from ecg_flare.privacy.secure_sum.recovered_sums import FileModelMemory, VolatileModelMemory

tenseal = pytest.importorskip("tenseal", reason="needs the extra 'he'")

SITES = ("a", "b", "c", "d")
DIMENSION = VALUES + 100  # two ciphertexts, the second one short
NOW = EncryptedRound("job", 4, bytes(range(32)))
MODEL = bytes([7]) * 32


@pytest.fixture(scope="module")
def context() -> bytes:
    return new_context()


@pytest.fixture(scope="module")
def fixed() -> FixedPoint:
    return FixedPoint.derive(clipping_norm=1.0, weights=[1.0] * len(SITES), dimension=DIMENSION, noise_multiplier=1.0)


class Cohort:
    """Four honest sites with updates of integers up to the bound, and the server's sum of some of them."""

    def __init__(self, context: bytes, fixed: FixedPoint, memory: RoundMemory | None = None) -> None:
        self.fixed = fixed
        self.sites = {
            name: EncryptedSumSite(
                CohortMember(name, SITES, 3),
                SecretContext(context),
                memory or VolatileRoundMemory(),
                VolatileModelMemory(),
            )
            for name in SITES
        }
        rng = np.random.default_rng(7)
        bound = fixed.contribution_bound
        self.updates = {name: rng.integers(-bound, bound + 1, DIMENSION) for name in SITES}
        self.updates["a"][:3] = bound, -bound, 0

    def encrypt(self, about: EncryptedRound = NOW) -> dict[str, list[bytes]]:
        return {
            name: site.encrypt(about, self.updates[name], self.fixed, trained_from=MODEL)
            for name, site in self.sites.items()
        }

    def consents(self, contributors: Sequence[str] = SITES, about: EncryptedRound = NOW) -> dict[str, bytes]:
        return {name: self.sites[name].consent(about, contributors, self.fixed) for name in contributors}

    def expected(self, contributors: Sequence[str] = SITES) -> Int64[np.ndarray, " d"]:
        return np.sum([self.updates[name] for name in contributors], axis=0)


@pytest.fixture
def cohort(context: bytes, fixed: FixedPoint) -> Cohort:
    return Cohort(context, fixed)


def added(*uploads: Sequence[bytes]) -> EncryptedTotal:
    total = EncryptedTotal(DIMENSION, keyless_context())
    for upload in uploads:
        total.add(upload)
    return total


def total_of(*uploads: Sequence[bytes]) -> list[bytes]:
    return added(*uploads).ciphertexts()


# ── exactness ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("contributors", [SITES, SITES[:3], SITES[1:]])
def test_decrypted_sum_is_the_integer_sum(cohort: Cohort, contributors: tuple[str, ...]) -> None:
    uploads = cohort.encrypt()
    total = total_of(*(uploads[name] for name in contributors))
    consents = cohort.consents(contributors)
    for decrypter in contributors[:2]:
        decrypted = cohort.sites[decrypter].decrypt(EncryptedSum(NOW, contributors, consents, total), cohort.fixed)
        assert np.array_equal(decrypted, cohort.expected(contributors))


def test_noise_in_the_clear_goes_exactly_on_the_sum(cohort: Cohort, fixed: FixedPoint) -> None:
    total = added(*cohort.encrypt().values())
    reach = NOISE_TAIL * fixed.noise_sd
    noise = np.random.default_rng(3).integers(-reach, reach + 1, DIMENSION)
    noise[:2] = reach, -reach
    total.add_noise(noise)
    decrypted = cohort.sites["b"].decrypt(EncryptedSum(NOW, SITES, cohort.consents(), total.ciphertexts()), fixed)
    assert np.array_equal(decrypted, cohort.expected() + noise)


@pytest.mark.parametrize("sites", [3, 30])
def test_raw_error_stays_within_the_proven_bound(context: bytes, sites: int) -> None:
    fixed = FixedPoint.derive(clipping_norm=1.0, weights=[1.0] * sites, dimension=VALUES, noise_multiplier=2.0)
    rng = np.random.default_rng(sites)
    key, keyless = tenseal.context_from(context), tenseal.context_from(keyless_context())
    expected, total = np.zeros(SLOTS, dtype=np.int64), None
    for _ in range(sites):
        values = rng.integers(-fixed.contribution_bound, fixed.contribution_bound + 1, SLOTS)
        sealed = tenseal.ckks_vector_from(keyless, tenseal.ckks_vector(key, values.tolist()).serialize())
        expected, total = expected + values, sealed if total is None else total + sealed
    noise = rng.integers(-NOISE_TAIL * fixed.noise_sd, NOISE_TAIL * fixed.noise_sd + 1, SLOTS)
    decrypted = tenseal.ckks_vector_from(key, (total + noise.tolist()).serialize()).decrypt()
    error = np.abs(np.array(decrypted) - (expected + noise)).max()
    assert 0 < error < rounding_error(fixed) < 0.25


def test_bound_by_hand() -> None:
    """Three sites, no noise: 8192 * (21.5 * 3 + 0.5) / 2^40 + 2 * 2^29.58.. * 8 * 2^-53 * 13 * sqrt(8192)."""
    fixed = FixedPoint.derive(clipping_norm=1.0, weights=[1.0] * 3, dimension=10)
    assert (RING_DEGREE, SCALE) == (8192, 2.0**40)
    by_hand = 8192 * 65 / 2**40 + 2 * max(3 * fixed.scale, 3 * 2**TAG_BITS) * 8 * 2**-53 * 13 * 8192**0.5
    assert rounding_error(fixed) == pytest.approx(by_hand, rel=1e-12)


def test_sums_that_ckks_cannot_hold_exactly_are_refused(cohort: Cohort) -> None:
    wide = FixedPoint.derive(
        clipping_norm=1.0, weights=[1.0] * 4, dimension=DIMENSION, vectors_per_site=2**16, noise_multiplier=1000.0
    )
    with pytest.raises(EncodingError, match="off the sum of 4 sites"):
        check_exact(wide)
    with pytest.raises(EncodingError, match="off the sum"):
        cohort.sites["a"].encrypt(NOW, cohort.updates["a"], wide, trained_from=MODEL)


def test_contribution_above_its_bound_is_not_encrypted(cohort: Cohort, fixed: FixedPoint) -> None:
    cohort.updates["a"][0] = fixed.contribution_bound + 1
    with pytest.raises(EncodingError, match="a site's contribution"):
        cohort.encrypt()


def test_sum_above_its_bound_is_not_returned(cohort: Cohort, fixed: FixedPoint) -> None:
    total = added(*cohort.encrypt().values())
    total.add_noise(np.full(DIMENSION, fixed.sum_bound + NOISE_TAIL * fixed.noise_sd, dtype=np.int64))
    with pytest.raises(EncodingError, match="the sum"):
        cohort.sites["a"].decrypt(EncryptedSum(NOW, SITES, cohort.consents(), total.ciphertexts()), fixed)


# ── a server that lies ──────────────────────────────────────────────────────────────────────────────────────────────


def refused(cohort: Cohort, total: Sequence[bytes], contributors: Sequence[str] = SITES, match: str = "") -> None:
    """The site does not decrypt this total as the sum of these contributors."""
    consents = cohort.consents(contributors)
    with pytest.raises(SecureSumError, match=match):
        cohort.sites["b"].decrypt(EncryptedSum(NOW, contributors, consents, total), cohort.fixed)


def test_single_update_called_a_sum_is_refused(cohort: Cohort) -> None:
    refused(cohort, total_of(cohort.encrypt()["a"]), match="not the sum of")


def test_update_counted_twice_is_refused(cohort: Cohort) -> None:
    uploads = cohort.encrypt()
    refused(cohort, total_of(uploads["a"], uploads["a"], uploads["b"], uploads["c"]), match="not the sum of")


def test_fewer_updates_than_named_are_refused(cohort: Cohort) -> None:
    uploads = cohort.encrypt()
    refused(cohort, total_of(uploads["a"], uploads["b"], uploads["c"]), match="not the sum of")


def test_updates_of_another_round_are_refused(cohort: Cohort) -> None:
    uploads = cohort.encrypt(EncryptedRound("job", 3, NOW.digest))
    later = cohort.encrypt()
    refused(cohort, total_of(uploads["a"], later["b"], later["c"], later["d"]), match="not the sum of")


def test_other_sites_masked_out_are_refused(cohort: Cohort) -> None:
    """Multiplying by a mask would leave one site's values and all sites' tags, but costs a level."""
    uploads = cohort.encrypt()
    keyless = tenseal.context_from(keyless_context())
    mask = [0.0] * VALUES + [1.0] * TAG_SLOTS
    tags_only = [
        (tenseal.ckks_vector_from(keyless, one) * mask).serialize() for one in total_of(*list(uploads.values())[1:])
    ]
    with pytest.raises(SecureSumError, match="it was multiplied"):
        added(uploads["a"], tags_only)
    forged = []
    for own, others in zip(uploads["a"], tags_only, strict=True):
        forged.append((tenseal.ckks_vector_from(keyless, own) + tenseal.ckks_vector_from(keyless, others)).serialize())
    refused(cohort, forged, match="it was multiplied")


def test_ciphertexts_in_another_order_are_refused(cohort: Cohort) -> None:
    refused(cohort, total_of(*cohort.encrypt().values())[::-1], match="not the sum of")


@pytest.mark.parametrize(
    ("contributors", "match"),
    [
        (("a", "b"), "decrypts sums of 3 at least"),
        (("a", "b", "b", "c"), "each once and sorted"),
        (("b", "a", "c"), "each once and sorted"),
        (("a", "b", "x"), "sites of the roster"),
        (("a", "c", "d"), "b among them"),
    ],
)
def test_site_consents_to_no_other_list(cohort: Cohort, contributors: tuple[str, ...], match: str) -> None:
    cohort.encrypt()
    with pytest.raises(SecureSumError, match=match):
        cohort.sites["b"].consent(NOW, contributors, cohort.fixed)


def test_second_list_gets_no_consent(cohort: Cohort) -> None:
    cohort.encrypt()
    cohort.sites["b"].consent(NOW, SITES, cohort.fixed)
    with pytest.raises(SecureSumError, match="in turn and once"):
        cohort.sites["b"].consent(NOW, ("a", "b", "c"), cohort.fixed)


def test_another_attempt_decrypts_the_same_list_alone(cohort: Cohort, fixed: FixedPoint) -> None:
    """The server lost the first sum, or says so."""
    for digest in (NOW.digest, bytes(32)):
        about = EncryptedRound("job", 4, digest)
        uploads = cohort.encrypt(about)
        total, consents = total_of(*uploads.values()), cohort.consents(about=about)
        assert np.array_equal(
            cohort.sites["a"].decrypt(EncryptedSum(about, SITES, consents, total), fixed), cohort.expected()
        )
    cohort.encrypt(EncryptedRound("job", 5, bytes([1]) * 32))
    for site in ("a", "b", "c"):
        with pytest.raises(PolicyError, match="one sum a model: the sum over a, b, c, d"):
            cohort.sites[site].consent(EncryptedRound("job", 5, bytes([1]) * 32), ("a", "b", "c"), fixed)


def two_versions_of_one_attempt(cohort: Cohort) -> np.ndarray:
    """Site "a" trains twice for one attempt; each of its updates is decrypted beside the same uploads of the others."""
    uploads, sums = cohort.encrypt(), []
    for _ in range(2):
        total, consents = total_of(*uploads.values()), cohort.consents()
        sums.append(cohort.sites["a"].decrypt(EncryptedSum(NOW, SITES, consents, total), cohort.fixed))
        cohort.updates["a"] = cohort.updates["a"][::-1].copy()  # what new pages or another seed give
        uploads = {**uploads, "a": cohort.encrypt()["a"]}
    return sums[0] - sums[1]


def test_one_attempt_is_trained_for_once(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cohort.updates["a"].copy()
    with pytest.raises(SecureSumError, match="one attempt at a round is encrypted once"):
        two_versions_of_one_attempt(cohort)
    monkeypatch.setattr(encrypted_sum, "check_new_attempt", lambda *_: None)
    monkeypatch.setattr(memory, "check_updates", lambda _: None)
    cohort.updates["a"] = first
    assert np.array_equal(two_versions_of_one_attempt(cohort), first - first[::-1])


def test_sum_is_decrypted_only_with_consents_to_its_list(cohort: Cohort, fixed: FixedPoint) -> None:
    uploads = cohort.encrypt()
    total = total_of(uploads["a"], uploads["b"], uploads["c"])
    consents = cohort.consents()
    with pytest.raises(SecureSumError, match="have the consent of \\[\\]"):
        cohort.sites["b"].decrypt(EncryptedSum(NOW, ("a", "b", "c"), consents, total), fixed)


@pytest.mark.parametrize("kept", [("a", "b"), ("a", "c", "d")])
def test_too_few_consents_decrypt_nothing(cohort: Cohort, fixed: FixedPoint, kept: tuple[str, ...]) -> None:
    total = total_of(*cohort.encrypt().values())
    consents = cohort.consents()
    forged = dict.fromkeys(SITES, bytes(32)) | {name: consents[name] for name in kept}
    with pytest.raises(SecureSumError, match="expected that of 3 sites"):
        cohort.sites["b"].decrypt(EncryptedSum(NOW, SITES, forged, total), fixed)


def test_sum_is_decrypted_once(cohort: Cohort, fixed: FixedPoint) -> None:
    total, consents = total_of(*cohort.encrypt().values()), cohort.consents()
    cohort.sites["a"].decrypt(EncryptedSum(NOW, SITES, consents, total), fixed)
    with pytest.raises(SecureSumError, match="in turn and once"):
        cohort.sites["a"].decrypt(EncryptedSum(NOW, SITES, consents, total), fixed)


def test_refused_decryption_is_not_tried_again(cohort: Cohort, fixed: FixedPoint) -> None:
    uploads, consents = cohort.encrypt(), cohort.consents()
    with pytest.raises(SecureSumError, match="not the sum of"):
        cohort.sites["a"].decrypt(EncryptedSum(NOW, SITES, consents, total_of(uploads["a"])), fixed)
    with pytest.raises(SecureSumError, match="in turn and once"):
        cohort.sites["a"].decrypt(EncryptedSum(NOW, SITES, consents, total_of(*uploads.values())), fixed)


def test_an_attempt_is_encrypted_once_and_another_from_the_same_model_alone(
    tmp_path: Path, context: bytes, fixed: FixedPoint
) -> None:
    update = np.zeros(DIMENSION, dtype=np.int64)

    def restarted() -> EncryptedSumSite:
        rounds, models = FileRoundMemory(tmp_path / "memory.json"), FileModelMemory(tmp_path / "models")
        return EncryptedSumSite(CohortMember("a", SITES, 3), SecretContext(context), rounds, models)

    def encrypt(about: EncryptedRound, model: bytes = MODEL) -> None:
        restarted().encrypt(about, update, fixed, trained_from=model)

    later = EncryptedRound("job", 4, bytes(32))
    encrypt(NOW)
    for refused, model in ((NOW, MODEL), (later, bytes(32)), (EncryptedRound("job", 3, bytes(32)), MODEL)):
        with pytest.raises(SecureSumError, match="left this site"):
            encrypt(refused, model)
    with pytest.raises(SecureSumError, match="in turn and once"):
        restarted().consent(later, SITES, fixed)
    assert len(restarted().consent(NOW, SITES, fixed)) == 32
    encrypt(later)
    with pytest.raises(SecureSumError, match="left this site"):
        encrypt(NOW)  # whose other uploads the server still has
    with pytest.raises(PolicyError, match="one sum a model"):
        restarted().consent(later, SITES[:3], fixed)
    encrypt(EncryptedRound("job", 5, NOW.digest))


# ── bytes and contexts that are not what they should be ─────────────────────────────────────────────────────────────


def test_corrupt_ciphertexts_leave_the_sum_as_it_was(cohort: Cohort, fixed: FixedPoint) -> None:
    uploads = cohort.encrypt()
    total = added(uploads["a"], uploads["b"])
    for bad in ([uploads["c"][0], b"nonsense"], [uploads["c"][0], uploads["c"][1][:-7]], uploads["c"][:1]):
        with pytest.raises(SecureSumError):
            total.add(bad)
    total.add(uploads["c"])
    names = ("a", "b", "c")
    decrypted = cohort.sites["a"].decrypt(EncryptedSum(NOW, names, cohort.consents(names), total.ciphertexts()), fixed)
    assert np.array_equal(decrypted, cohort.expected(names))


def test_sum_under_another_key_is_refused(cohort: Cohort, fixed: FixedPoint) -> None:
    unknown = Cohort(new_context(), fixed)
    cohort.encrypt()
    refused(cohort, total_of(*unknown.encrypt().values()), match="under another key")


def test_upload_shows_nothing_of_the_update(cohort: Cohort) -> None:
    uploads = cohort.encrypt()
    again = cohort.encrypt(EncryptedRound("job", 5, NOW.digest))
    assert uploads["a"] != again["a"]
    values = np.frombuffer(b"".join(uploads["a"]), dtype=np.uint8).astype(float)
    update = cohort.updates["a"].astype(float)
    assert abs(np.corrcoef(values[: len(update)], update)[0, 1]) < 5 / np.sqrt(len(update))


def test_parties_refuse_each_others_contexts(context: bytes) -> None:
    with pytest.raises(PrivacyError, match="no secret key"):
        SecretContext(keyless_context())
    with pytest.raises(PrivacyError, match="with the secret key"):
        EncryptedTotal(DIMENSION, context)


@pytest.mark.parametrize(
    ("degree", "bits", "scale", "kind"),
    [
        (4096, [40, 20, 40], 2.0**40, "SYMMETRIC"),
        (8192, [60, 40, 40], 2.0**30, "SYMMETRIC"),
        (8192, [60, 40, 60], 2.0**40, "SYMMETRIC"),
        (8192, [60, 40, 40], 2.0**40, "ASYMMETRIC"),
    ],
)
def test_other_parameters_are_refused(degree: int, bits: list[int], scale: float, kind: str) -> None:
    other = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS, degree, coeff_mod_bit_sizes=bits, encryption_type=tenseal.ENCRYPTION_TYPE[kind]
    )
    other.global_scale = scale
    with pytest.raises(ConfigError, match="HEBuilder's defaults"):
        SecretContext(other.serialize(save_secret_key=True, save_galois_keys=False, save_relin_keys=False))


def test_bytes_that_are_no_context_are_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        SecretContext(b"nonsense")


def test_contexts_of_flares_builder_work(fixed: FixedPoint) -> None:
    from nvflare.lighter.impl.he import HEBuilder

    builder = HEBuilder()
    builder.initialize(None, None)
    cohort = Cohort(builder.get_serialized_context(is_client=True), fixed)
    total = EncryptedTotal(DIMENSION, builder.get_serialized_context(is_client=False))
    for upload in cohort.encrypt().values():
        total.add(upload)
    decrypted = cohort.sites["c"].decrypt(EncryptedSum(NOW, SITES, cohort.consents(), total.ciphertexts()), fixed)
    assert np.array_equal(decrypted, cohort.expected())


def test_missing_tenseal_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tenseal", None)
    for call in (new_context, keyless_context, lambda: measure_cost(10), lambda: SecretContext(b"")):
        with pytest.raises(ConfigError, match=r"pip install 'ecg_flare\[he\]'"):
            call()


def test_cost_counts_the_real_bytes(cohort: Cohort) -> None:
    uploads = cohort.encrypt()
    cost = measure_cost(DIMENSION)
    assert cost.ciphertexts == block_count(DIMENSION) == 2
    assert cost.bytes_up == pytest.approx(sum(map(len, uploads["a"])), rel=0.01)
    assert cost.bytes_down == pytest.approx(sum(map(len, total_of(*uploads.values()))), rel=0.01)
    assert min(cost.encrypt_s, cost.add_s, cost.decrypt_s) > 0
    assert f"{4 * cost.bytes_up / 1e6:.1f} MB up from 4 sites" in cost.line(4, 2)


def test_tags_take_their_slots() -> None:
    assert (VALUES, VALUES + TAG_SLOTS, homomorphic.block_count(VALUES), block_count(VALUES + 1)) == (4092, 4096, 1, 2)
