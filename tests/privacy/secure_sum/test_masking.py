"""The mask stream against RFC 8439 and a plain-Python ChaCha20; masked vectors against chance."""

from __future__ import annotations

import secrets
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from secure_sum_liar import LyingServer
from secure_sum_world import make_world, signed

from ecg_flare.errors import EncodingError, SecureSumError
from ecg_flare.privacy.secure_sum import masking
from ecg_flare.privacy.secure_sum.masking import CHUNK_BYTES, Mask

ZERO = bytes(32)
ONE = bytes(31) + b"\x01"
FF = b"\x00\xff" + bytes(30)
# RFC 8439, appendix A.1: key, block counter, keystream; all with a zero nonce.
RFC_8439_A1 = [
    (
        ZERO,
        0,
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
    ),
    (
        ZERO,
        1,
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
    ),
    (
        ONE,
        1,
        "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
        "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0",
    ),
    (
        FF,
        2,
        "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
        "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096",
    ),
]


def stream(key: bytes, words: int, dtype: str = "<u4") -> np.ndarray:
    vector = np.zeros(words, dtype=dtype)
    masking.add_masks(vector, [Mask(key, 1)])
    return vector


@pytest.mark.parametrize(("key", "block", "expected"), RFC_8439_A1)
def test_stream_is_chacha20_of_rfc_8439(key: bytes, block: int, expected: str) -> None:
    words = stream(key, 16 * (block + 1))
    assert words[16 * block :].tobytes() == bytes.fromhex(expected)


def _rotated(value: int, by: int) -> int:
    return ((value << by) | (value >> (32 - by))) & 0xFFFFFFFF


def _quarter_round(s: list[int], a: int, b: int, c: int, d: int) -> None:
    for x, y, z, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        s[z] = _rotated(s[z] ^ s[x], by)


def chacha20_block(key: bytes, counter: int) -> bytes:
    """One block by the text of RFC 8439, section 2.3, with a zero nonce."""
    start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *struct.unpack("<8I", key), counter, 0, 0, 0]
    s = list(start)
    for _ in range(10):
        for columns in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
            _quarter_round(s, *columns)
        for diagonals in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            _quarter_round(s, *diagonals)
    return struct.pack("<16I", *((x + y) & 0xFFFFFFFF for x, y in zip(s, start, strict=True)))


@pytest.mark.parametrize("dtype", ["<u4", "<u8"])
@given(key=st.binary(min_size=32, max_size=32))
def test_stream_matches_a_plain_python_chacha20(dtype: str, key: bytes) -> None:
    expected = b"".join(chacha20_block(key, counter) for counter in range(3))
    assert stream(key, 192 // np.dtype(dtype).itemsize, dtype).tobytes() == expected


def test_every_bit_of_the_key_counts() -> None:
    """The fault of folding the key to 32 bits: keys that fold alike must give streams that differ."""
    key = bytearray(secrets.token_bytes(32))
    streams = {stream(bytes(key), 4).tobytes()}
    for bit in range(256):
        flipped = bytearray(key)
        flipped[bit // 8] ^= 1 << bit % 8
        streams.add(stream(bytes(flipped), 4).tobytes())
    assert len(streams) == 257


@pytest.mark.parametrize("words", [1, 15, 16, 17, CHUNK_BYTES // 4 - 1, CHUNK_BYTES // 4, 2 * CHUNK_BYTES // 4 + 3])
def test_chunks_join_to_one_stream(words: int) -> None:
    key = bytes(range(32))
    longest = stream(key, 3 * CHUNK_BYTES // 4)
    assert np.array_equal(stream(key, words), longest[:words])
    if words > CHUNK_BYTES // 4:
        block = CHUNK_BYTES // 64
        assert longest[16 * block :][:16].tobytes() == chacha20_block(key, block)


@given(
    values=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=40),
    key=st.binary(min_size=32, max_size=32),
)
def test_masks_of_opposite_sign_cancel(values: list[int], key: bytes) -> None:
    vector = np.array(values, dtype=np.int64).astype(np.uint32)
    masking.add_masks(vector, [Mask(key, 1)])
    masking.add_masks(vector, [Mask(key, -1)])
    assert signed(vector).tolist() == values


def test_pair_signs_are_opposite() -> None:
    assert {(masking.pair_sign(u, v), masking.pair_sign(v, u)) for u, v in [(1, 2), (9, 3)]} == {(1, -1), (-1, 1)}


@pytest.mark.parametrize("keys", [[ZERO, ZERO], [bytes(16)], [ZERO, ONE, ZERO]])
def test_repeated_and_short_keys_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(SecureSumError, match="distinct keys of 32 bytes"):
        masking.add_masks(np.zeros(4, np.uint32), [Mask(key, 1) for key in keys])


@pytest.fixture(scope="module")
def masked_round() -> tuple[LyingServer, np.ndarray]:
    """A round over strongly structured updates, as the server sees it before unmasking."""
    world = make_world(3, dimension=200_000)
    pattern = np.sin(np.arange(200_000) / 50) * 2**22
    for site in world.sites:
        site.plain = pattern.astype(np.int64)
    server = LyingServer(world)
    server.collect_masked()
    return server, pattern


def test_masked_bytes_are_uniform(masked_round: tuple[LyingServer, np.ndarray]) -> None:
    """Chi-square over the 256 byte values at each of the four places of a word; fails by chance once in 10^6 runs."""
    server, pattern = masked_round
    limit = stats.chi2.isf(1e-6 / 12, df=255)

    def statistic(words: np.ndarray, place: int) -> float:
        counts = np.bincount(words.view(np.uint8).reshape(-1, 4)[:, place], minlength=256)
        return float(stats.chisquare(counts).statistic)

    for masked in server.masked.values():
        assert max(statistic(masked, place) for place in range(4)) < limit
    assert statistic(pattern.astype(np.int64).astype(np.uint32), 3) > limit  # the test can fail


def test_masked_update_does_not_correlate_with_the_plain_one(masked_round: tuple[LyingServer, np.ndarray]) -> None:
    """|r| below 5.5 / sqrt(d): by chance once in about 10^7 runs."""
    server, pattern = masked_round
    for masked in server.masked.values():
        assert abs(np.corrcoef(signed(masked), pattern)[0, 1]) < 5.5 / np.sqrt(pattern.size)
    total = signed(np.sum(list(server.masked.values()), axis=0, dtype=np.uint32))
    assert abs(np.corrcoef(total, pattern)[0, 1]) < 5.5 / np.sqrt(pattern.size)  # the self masks are still in it


def test_hidden_weights_are_summed_with_the_update() -> None:
    world = make_world(3, dimension=3, weights=None)
    weights, values = [20, 5, 75], np.array([[8, -4], [2, 2], [-100, 50]])
    total = np.zeros(3, np.uint32)
    for weight, update in zip(weights, values, strict=True):
        total += masking.with_hidden_weight((weight * update).astype(np.uint32), weight, max_weight=100)
    assert world.terms.weights is None
    summed, weight = masking.split_hidden_weight(total)
    assert weight == 100
    assert (signed(summed) / weight).tolist() == [(160 + 10 - 7500) / 100, (-80 + 10 + 3750) / 100]


@pytest.mark.parametrize("weight", [0, -1, 101])
def test_hidden_weights_outside_their_bound_are_refused(weight: int) -> None:
    with pytest.raises(EncodingError, match="outside 1 to 100"):
        masking.with_hidden_weight(np.zeros(2, np.uint32), weight, max_weight=100)
