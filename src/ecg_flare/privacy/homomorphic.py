"""Integer vectors under CKKS (Cheon et al. 2017): encrypted at a site, added without the key, decrypted exactly.

CKKS is approximate, and noise for differential privacy must go on integers (gaussian.py says why). So what is
encrypted are the integers of `secure_sum.encoding`, and what was decrypted is rounded to the nearest integer. The
parameters are those of FLARE's `HEBuilder`: ring degree N = 8192, moduli of 60, 40 and 40 bits, scale 2^40, symmetric
encryption, hence N / 2 = 4096 numbers in a ciphertext.

Why the rounding is exact
-------------------------
Let D = 2^40 be the scale, n the number of ciphertexts added, u = 2^-53.

1. A fresh symmetric encryption adds an error of at most 21 to each coefficient: SEAL draws it as the difference of the
   weights of two words of 21 bits. Encoding rounds each coefficient, by at most 1/2. Plaintext noise is encoded, too.
   A slot is a sum of N coefficients times numbers of absolute value 1, divided by D, so all this moves a slot by at
   most ``N * (21.5 * n + 0.5) / D``.
2. Encoding and decoding are Fourier transforms in float64, each with a relative error in the 2-norm below
   ``8 * u * log2(N)`` (Higham 2002, "Accuracy and Stability of Numerical Algorithms", theorem 24.2). With R the sum of
   the largest absolute values that are encoded or decoded, this moves a slot by at most
   ``8 * u * log2(N) * sqrt(N) * R``.

`rounding_error` adds the two from public bounds; it is about 0.005 where the sum fills 32 bits. Above 1/4 a round is
refused beforehand, and a decryption further than 1/4 from integers is refused afterwards. Since what leaves a site
is then the exact sum, it tells nothing of the encryption's error, by which approximate decryptions give the key away
(Li and Micciancio 2021, "On the Security of Homomorphic Encryption on Approximate Numbers").
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Final

import numpy as np
from jaxtyping import Float64, Int64

from ecg_flare.errors import ConfigError, EncodingError, PrivacyError, SecureSumError
from ecg_flare.privacy.secure_sum.encoding import NOISE_TAIL, FixedPoint

RING_DEGREE: Final = 8192
MODULUS_BITS: Final = (60, 40, 40)
SCALE: Final = 2.0**40
SLOTS: Final = RING_DEGREE // 2
TAG_SLOTS: Final = 4
"""Slots of each ciphertext that carry tags in place of the vector; encrypted_sum.py says what for."""
TAG_BITS: Final = 24
VALUES: Final = SLOTS - TAG_SLOTS
"""Integers of the vector in a ciphertext."""

_LARGEST_ERROR: Final = 0.25
_LARGEST_FLOAT_INTEGER: Final = 2.0**53  # above it every float64 is an integer
_FRESH_ERROR: Final = 21.5
_TRANSFORM_ERROR: Final = 8 * 2.0**-53 * math.log2(RING_DEGREE) * math.sqrt(RING_DEGREE)

Tags = Int64[np.ndarray, "blocks tag_slots"]


def block_count(dimension: int) -> int:
    """How many ciphertexts hold a vector of that length."""
    return math.ceil(dimension / VALUES)


def rounding_error(fixed: FixedPoint) -> float:
    """The most by which a decrypted sum of all sites, noise included, can be off an integer before it is rounded."""
    sites = len(fixed.weights)
    largest = max(fixed.sum_bound, sites * 2**TAG_BITS) + NOISE_TAIL * fixed.noise_sd
    lattice = RING_DEGREE * (_FRESH_ERROR * sites + 0.5) / SCALE
    return lattice + _TRANSFORM_ERROR * 2 * largest  # once for what is encoded, once for the sum that is decoded


def check_exact(fixed: FixedPoint) -> None:
    """Raise EncodingError where rounding could give another integer than the sum."""
    if (error := rounding_error(fixed)) > _LARGEST_ERROR:
        raise EncodingError(
            f"CKKS could be {error:.2g} off the sum of {len(fixed.weights)} sites, expected at most {_LARGEST_ERROR}: "
            "use a masked sum, fewer sites, smaller weights or a smaller noise multiplier"
        )


def new_context() -> bytes:
    """A fresh context with its secret key, for tests and the simulator; a consortium takes `HEBuilder`'s."""
    data: bytes = _fresh().serialize(
        save_public_key=True, save_secret_key=True, save_galois_keys=False, save_relin_keys=False
    )
    return data


def keyless_context() -> bytes:
    """A context of the parameters alone, which is all that adding ciphertexts needs."""
    return _without_keys(_fresh())


class SecretContext:
    """What a site encrypts and decrypts with.

    Args:
        data: a serialized TenSEAL context with its secret key.

    Raises:
        ConfigError: TenSEAL is missing, the bytes are no context, or one of other parameters.
        PrivacyError: the context has no secret key.
    """

    def __init__(self, data: bytes) -> None:
        self._context = _load(data)
        if not self._context.has_secret_key():
            raise PrivacyError("the site's context has no secret key: give sites client_context.tenseal")

    def secret(self) -> bytes:
        """The secret key's bytes, the same at every site that holds it."""
        data: bytes = self._context.serialize(
            save_public_key=False, save_secret_key=True, save_galois_keys=False, save_relin_keys=False
        )
        return data

    def encrypt(self, vector: Int64[np.ndarray, " d"], tags: Tags) -> list[bytes]:
        """The vector's ciphertexts, each with its row of tags behind its values."""
        tenseal = load_tenseal()
        return [
            tenseal.ckks_vector(self._context, _slots(part, row)).serialize()
            for part, row in zip(_parts(vector), tags, strict=True)
        ]

    def decrypt(self, ciphertexts: Sequence[bytes], dimension: int) -> tuple[Int64[np.ndarray, " d"], Tags]:
        """The integers under a sum's ciphertexts, and the sums of the tags.

        Raises:
            SecureSumError: a ciphertext is corrupt, multiplied or of another level, or does not hold integers.
        """
        total = np.zeros(dimension, dtype=np.int64)
        tags = np.zeros((block_count(dimension), TAG_SLOTS), dtype=np.int64)
        _check_count(ciphertexts, dimension)
        for index, (part, ciphertext) in enumerate(zip(_parts(total), ciphertexts, strict=True)):
            values = _integers(np.array(_ciphertext(self._context, ciphertext).decrypt(), dtype=np.float64))
            part[:] = values[: len(part)]
            tags[index] = values[VALUES:]
        return total, tags


class EncryptedTotal:
    """A round's sum at the server, which adds ciphertexts as they arrive and can decrypt none.

    Args:
        dimension: of the vectors.
        context: a serialized context without a secret key.

    Raises:
        ConfigError: TenSEAL is missing, or the bytes are no context of these parameters.
        PrivacyError: the context has a secret key, which no server may hold.
    """

    def __init__(self, dimension: int, context: bytes) -> None:
        self._context = _load(context)
        if self._context.has_secret_key():
            raise PrivacyError("the server was given a context with the secret key: give it server_context.tenseal")
        self._dimension = dimension
        self._blocks: list[Any] = []

    def add(self, ciphertexts: Sequence[bytes]) -> None:
        """Add a site's ciphertexts; raises SecureSumError, with the sum as it was, where one is not usable."""
        _check_count(ciphertexts, self._dimension)
        read = [_ciphertext(self._context, ciphertext) for ciphertext in ciphertexts]
        if not self._blocks:
            self._blocks = read
            return
        for block, other in zip(self._blocks, read, strict=True):
            block += other

    def add_noise(self, noise: Int64[np.ndarray, " d"]) -> None:
        """Add integers in the clear, before anyone is asked to decrypt."""
        if not self._blocks or noise.shape != (self._dimension,):
            raise SecureSumError(
                f"noise of shape {noise.shape} cannot go on {len(self._blocks)} ciphertexts of {self._dimension} values"
            )
        for block, part in zip(self._blocks, _parts(noise), strict=True):
            block += _slots(part)

    def ciphertexts(self) -> list[bytes]:
        """The sum's ciphertexts, for the sites that decrypt it."""
        return [block.serialize() for block in self._blocks]


@dataclass(frozen=True)
class Cost:
    """What hiding a vector under CKKS costs; seconds are those of one core.

    bytes_up: of one site's ciphertexts; bytes_down: of the sum's, to each site that decrypts.
    """

    ciphertexts: int
    bytes_up: int
    bytes_down: int
    encrypt_s: float
    add_s: float
    decrypt_s: float

    def line(self, sites: int, decrypters: int) -> str:
        """One line for the log of a cohort of that size."""
        return (
            f"homomorphic sum: {self.ciphertexts} CKKS ciphertexts a vector; a round moves "
            f"{sites * self.bytes_up / 1e6:.1f} MB up from {sites} sites and "
            f"{decrypters * self.bytes_down / 1e6:.1f} MB down to the {decrypters} that decrypt; "
            f"encrypt {self.encrypt_s:.2f} s a site, add {self.add_s:.2f} s a site, "
            f"decrypt {self.decrypt_s:.2f} s (scaled from one ciphertext)"
        )


def measure_cost(dimension: int) -> Cost:
    """Measure one ciphertext under a throw-away key and scale to `dimension`."""
    fresh = _fresh()
    site = SecretContext(fresh.serialize(save_secret_key=True, save_galois_keys=False, save_relin_keys=False))
    server = EncryptedTotal(VALUES, _without_keys(fresh))
    vector = np.arange(VALUES, dtype=np.int64) << 12
    tags = np.zeros((1, TAG_SLOTS), dtype=np.int64)
    sealed, encrypt_s = _timed(lambda: site.encrypt(vector, tags))
    server.add(sealed)
    _, add_s = _timed(lambda: server.add(sealed))
    total = server.ciphertexts()
    _, decrypt_s = _timed(lambda: site.decrypt(total, VALUES))
    count = block_count(dimension)
    return Cost(
        ciphertexts=count,
        bytes_up=count * len(sealed[0]),
        bytes_down=count * len(total[0]),
        encrypt_s=count * encrypt_s,
        add_s=count * add_s,
        decrypt_s=count * decrypt_s,
    )


def load_tenseal() -> ModuleType:
    """TenSEAL; raises ConfigError, saying what to install, where it is missing."""
    try:
        import tenseal
    except ImportError as error:
        raise ConfigError(
            f"the homomorphic sum needs TenSEAL, which cannot be imported ({error}): "
            "pip install 'ecg_flare[he]' at the server and at every site"
        ) from error
    module: ModuleType = tenseal
    return module


def _fresh() -> Any:
    tenseal = load_tenseal()
    context = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS,
        poly_modulus_degree=RING_DEGREE,
        coeff_mod_bit_sizes=list(MODULUS_BITS),
        encryption_type=tenseal.ENCRYPTION_TYPE.SYMMETRIC,
    )
    context.global_scale = SCALE
    return context


def _without_keys(context: Any) -> bytes:
    data: bytes = context.serialize(
        save_public_key=False, save_secret_key=False, save_galois_keys=False, save_relin_keys=False
    )
    return data


@cache
def _parameters() -> tuple[int, ...]:
    """SEAL's digest of the parameters."""
    return _digest(_fresh())


def _digest(context: Any) -> tuple[int, ...]:
    return tuple(context.seal_context().data.first_parms_id())


def _load(data: bytes) -> Any:
    try:
        context = load_tenseal().context_from(data)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"the homomorphic context cannot be read: {error}. Provision it with HEBuilder.") from error
    if _digest(context) != _parameters() or context.global_scale != SCALE or not _symmetric(context):
        raise ConfigError(
            f"the homomorphic context has other parameters than degree {RING_DEGREE}, moduli of {MODULUS_BITS} bits, "
            "scale 2^40 and symmetric keys: provision it with HEBuilder's defaults"
        )
    return context


def _symmetric(context: Any) -> bool:
    """Whether encryption is symmetric, whose error is the one that is bounded; TenSEAL tells by an error only."""
    try:
        context.has_public_key()
    except ValueError:
        return True
    return False


def _ciphertext(context: Any, data: bytes) -> Any:
    """One ciphertext; raises SecureSumError unless it has the level, scale, size and length of a sum of fresh ones.

    A server that multiplies (by a mask that keeps one site's values, say) pays with a level, which shows here.
    """
    try:
        vector = load_tenseal().ckks_vector_from(context, data)
        sealed = vector.ciphertext()
    except (ValueError, RuntimeError) as error:
        raise SecureSumError(f"a ciphertext of {len(data)} bytes cannot be read: {error}") from error
    found = [(one.size(), one.scale, tuple(one.parms_id())) for one in sealed]
    if found != [(2, SCALE, _digest(context))] or vector.size() != SLOTS:
        raise SecureSumError(
            f"a ciphertext of {vector.size()} values is not a sum of fresh ones of {SLOTS}: it was multiplied, or made "
            "under other parameters"
        )
    return vector


def _check_count(ciphertexts: Sequence[bytes], dimension: int) -> None:
    if len(ciphertexts) != block_count(dimension):
        raise SecureSumError(
            f"got {len(ciphertexts)} ciphertexts, expected {block_count(dimension)} for {dimension} values"
        )


def _parts(vector: Int64[np.ndarray, " d"]) -> list[Int64[np.ndarray, " part"]]:
    """Views of at most VALUES integers."""
    return [vector[start : start + VALUES] for start in range(0, len(vector), VALUES)]


def _slots(values: Int64[np.ndarray, " part"], tags: Int64[np.ndarray, " tag_slots"] | int = 0) -> list[float]:
    """All slots of a ciphertext: the values, zeros where the last part is shorter, and the tags."""
    slots = np.zeros(SLOTS)
    slots[: len(values)] = values
    slots[VALUES:] = tags
    return slots.tolist()


def _integers(values: Float64[np.ndarray, " slots"]) -> Int64[np.ndarray, " slots"]:
    nearest = np.rint(values)
    off = np.abs(values - nearest).max()
    if not (off <= _LARGEST_ERROR and np.abs(values).max() < _LARGEST_FLOAT_INTEGER):
        raise SecureSumError(
            f"a decryption reaches {np.abs(values).max():.2g} and is {off:.2g} off integers: it is no sum of what "
            "sites encrypt, or is under another key"
        )
    integers: Int64[np.ndarray, " slots"] = nearest.astype(np.int64)
    return integers


def _timed(run: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = run()
    return result, time.perf_counter() - started
