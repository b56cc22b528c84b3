"""The homomorphic sum's messages as FLARE tasks; ciphertexts travel as one array of bytes, which FLARE streams."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from jaxtyping import Int64, Integer
from nvflare.apis.dxo import DXO
from nvflare.apis.shareable import Shareable

from ecg_flare.documents import short
from ecg_flare.errors import ConfigError, SecureSumError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TrainRequest, check_answered, field_of, read_dxo, to_wire
from ecg_flare.flare.job.terms import subset
from ecg_flare.flare.summation.encrypted import SUMMATION
from ecg_flare.privacy.encrypted_sum import EncryptedRound, EncryptedSum
from ecg_flare.privacy.secure_sum.encoding import FixedPoint

AGREE, DECRYPT = SUMMATION.site.tasks

ENCRYPTED_SUM: Final = "ECG_FLARE_ENCRYPTED_SUM"
"""DXO data kind of a message of the homomorphic sum; the answer to 'train' is one of ciphertexts."""


@dataclass(frozen=True)
class SumRequest:
    """What the server asks contributors for: first their consent, then, with all consents, the decryption of the sum.

    Attributes:
        terms_digest: of the terms that are summed under: the job's, or those of its evaluation.
        round_index, digest: of the round; see `round_of`.
        contributors: whose updates are in the sum, sorted.
        consents: site -> its consent; empty where it is asked for.
        ciphertexts: the sum's; empty where consent is asked for.
    """

    terms_digest: str
    round_index: int
    digest: bytes
    contributors: tuple[str, ...]
    consents: Mapping[str, bytes] = field(default_factory=dict)
    ciphertexts: Sequence[bytes] = ()

    @property
    def sum(self) -> EncryptedSum:
        """The sum in question."""
        about = EncryptedRound(self.terms_digest, self.round_index, self.digest)
        return EncryptedSum(about, self.contributors, self.consents, self.ciphertexts)

    def to_shareable(self) -> Shareable:
        data = {
            "terms": self.terms_digest,
            "round": self.round_index,
            "digest": self.digest,
            "contributors": list(self.contributors),
            "consents": dict(self.consents),
        }
        return DXO(ENCRYPTED_SUM, data={**data, **_joined(self.ciphertexts)}).to_shareable()

    @classmethod
    def from_shareable(cls, shareable: Shareable) -> "SumRequest":
        """Read the message; raises SecureSumError where a field is missing or of another type."""
        data = _data(shareable)
        request = cls(
            terms_digest=_field(data, "terms", str),
            round_index=_field(data, "round", int),
            digest=_field(data, "digest", bytes),
            contributors=tuple(_field(data, "contributors", list)),
            consents=_field(data, "consents", dict),
            ciphertexts=_split(data),
        )
        texts = (*request.contributors, *request.consents)
        if not all(isinstance(name, str) for name in texts):
            raise SecureSumError(f"the names of sites must be text. Found {short(texts)}.")
        if not all(isinstance(consent, bytes) for consent in request.consents.values()):
            raise SecureSumError("a consent must be bytes.")
        return request


def round_of(job: str, request: TrainRequest) -> EncryptedRound:
    """What a sum of the job with these terms' digest is about: every public word of the request enters the digest."""
    public = [
        request.attempt,
        request.layout_digest,
        request.plan_hash,
        request.terms_digest,
        request.model_sha256.hex(),
        repr((request.clipping_norm, request.shares)),
    ]
    text = json.dumps(["ecg_flare homomorphic sum 1", job, request.round_index, *public])
    return EncryptedRound(job, request.round_index, hashlib.sha256(text.encode()).digest())


def encoding_of(terms: JobTerms) -> FixedPoint:
    """The fixed point of what is summed under these terms; raises ConfigError for terms without one."""
    fixed = terms.fixed_encoding(subset(terms).dimension)
    if fixed is None:
        raise ConfigError("a homomorphic sum needs updates in fixed point: give the terms a clipping_norm")
    return fixed


def pack_ciphertexts(ciphertexts: Sequence[bytes]) -> Shareable:
    """Wrap an encrypted update."""
    return DXO(ENCRYPTED_SUM, data=_joined(ciphertexts)).to_shareable()


def unpack_ciphertexts(shareable: Shareable) -> list[bytes]:
    """What `pack_ciphertexts` wrapped; raises SecureSumError for anything else, an error reply included."""
    return _split(_data(shareable))


def pack_consent(consent: bytes) -> Shareable:
    """Wrap a site's consent."""
    return DXO(ENCRYPTED_SUM, data={"consent": consent}).to_shareable()


def unpack_consent(shareable: Shareable) -> bytes:
    """What `pack_consent` wrapped; raises SecureSumError for anything else."""
    return _field(_data(shareable), "consent", bytes)


def pack_total(total: Int64[np.ndarray, " d"]) -> Shareable:
    """Wrap a decrypted sum, in 32 bits where it fits."""
    return DXO(ENCRYPTED_SUM, data={"total": to_wire(total)}).to_shareable()


def unpack_total(shareable: Shareable) -> Int64[np.ndarray, " d"]:
    """What `pack_total` wrapped; raises SecureSumError for anything else."""
    total: Integer[np.ndarray, " d"] = _field(_data(shareable), "total", np.ndarray)
    if total.dtype not in (np.int32, np.int64) or total.ndim != 1:
        raise SecureSumError(f"a decrypted sum must be a vector of integers. Found {total.dtype}, {total.shape}.")
    return total.astype(np.int64)


def _joined(ciphertexts: Sequence[bytes]) -> dict[str, Any]:
    return {
        "bytes": np.frombuffer(b"".join(ciphertexts), dtype=np.uint8),
        "lengths": [len(ciphertext) for ciphertext in ciphertexts],
    }


def _split(data: Mapping[str, Any]) -> list[bytes]:
    joined, lengths = _field(data, "bytes", np.ndarray), _field(data, "lengths", list)
    if not all(isinstance(length, int) and length >= 0 for length in lengths) or sum(lengths) != joined.nbytes:
        raise SecureSumError(f"{joined.nbytes} bytes of ciphertexts do not split into {len(lengths)} lengths")
    ends = np.cumsum(lengths, dtype=np.int64)
    return [joined[end - length : end].tobytes() for end, length in zip(ends, lengths, strict=True)]


def _data(shareable: Shareable) -> Mapping[str, Any]:
    check_answered(shareable, "a message of the homomorphic sum", SecureSumError)
    dxo = read_dxo(shareable, SecureSumError)
    if dxo.data_kind != ENCRYPTED_SUM or not isinstance(dxo.data, dict):
        raise SecureSumError(f"got {short(dxo.data_kind)}, expected an {ENCRYPTED_SUM} message")
    return dxo.data


def _field(data: Mapping[str, Any], key: str, kind: type) -> Any:
    return field_of(data, key, kind, SecureSumError)
