"""Heads of a ledger that sites have signed: what the server cannot take back by restoring an older file.

A site signs a head only after it has seen that the head extends the one that it signed before. So the latest head of a
site vouches for every line up to it, and the latest of each site is all that is kept.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from ecg_flare.documents import parse_object
from ecg_flare.errors import ConfigError, LedgerError, SecureSumError
from ecg_flare.privacy.chain import Head, read_chain
from ecg_flare.privacy.secure_sum.signing import (
    PADDING,
    CertificateVerifier,
    Signer,
    TestVerifier,
    Verifier,
    check_subject,
    fingerprint,
)
from ecg_flare.storage import write_json

_DOMAIN: Final = b"ecg_flare ledger countersignature\0"
_TEST_KEY_BYTES: Final = 32


@dataclass(frozen=True)
class Countersignature:
    """A site's word that it has seen a ledger up to a head.

    ledger: SHA-256 of the ledger's first line, in hex.
    certificate: of the site's key, as its `Signer` has it.
    """

    site: str
    ledger: str
    head: Head
    certificate: bytes
    signature: bytes

    @classmethod
    def sign(cls, site: str, ledger: str, head: Head, signer: Signer) -> Countersignature:
        """Sign a head."""
        return cls(site, ledger, head, signer.certificate, signer.sign(_message(site, ledger, head)))

    def check(self, verifier: Verifier, pinned: Mapping[str, bytes] | None = None) -> None:
        """Raise LedgerError unless the site signed, by its pinned certificate where pins name it."""
        if (pinned or {}).get(self.site, fingerprint(self.certificate)) != fingerprint(self.certificate):
            raise LedgerError(f"{self.site} countersigned with a certificate that is not the one pinned for it")
        try:
            verifier.verify(self.site, self.certificate, _message(self.site, self.ledger, self.head), self.signature)
        except SecureSumError as error:
            raise LedgerError(f"the countersignature of {self.site} is not genuine: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """All but the site's name, as JSON values."""
        return {
            "ledger": self.ledger,
            "lines": self.head.lines,
            "digest": self.head.digest,
            "certificate": base64.b64encode(self.certificate).decode(),
            "signature": base64.b64encode(self.signature).decode(),
        }

    @classmethod
    def from_json(cls, site: str, entry: Mapping[str, Any]) -> Countersignature:
        """Read what `to_json` gave; raises LedgerError for anything else."""
        try:
            head = Head.parse(f"{entry['lines']}:{entry['digest']}")
            certificate, signature = (base64.b64decode(entry[name], validate=True) for name in _BYTES)
            return cls(site, str(entry["ledger"]), head, certificate, signature)
        except (ConfigError, KeyError, TypeError, ValueError) as error:
            raise LedgerError(f"the entry of {site!r} is no countersignature: {error!r}") from error


_BYTES: Final = ("certificate", "signature")


def read_countersignatures(path: Path) -> tuple[Countersignature, ...]:
    """The countersignatures of a file, one a site; raises LedgerError where it holds anything else."""
    where = f"{path} cannot be read as countersignatures"
    try:
        entries = parse_object(path.read_bytes(), where, LedgerError)
    except OSError as error:
        raise LedgerError(f"{where}: {error}") from error
    return tuple(Countersignature.from_json(site, entry) for site, entry in entries.items())


def write_countersignatures(path: Path, given: Iterable[Countersignature]) -> None:
    """Write a file of countersignatures, atomically; raises StorageError where that fails."""
    write_json(path, {one.site: one.to_json() for one in given})


def check_on_ledger(
    path: Path,
    given: Iterable[Countersignature],
    verifier: Verifier,
    pinned: Mapping[str, bytes] | None = None,
) -> Vouched:
    """Hold countersignatures against a ledger: each genuine, of this ledger, and of a line that stands in it.

    Raises LedgerError naming the site, and the line that it countersigned.
    """
    lines = read_chain(path).lines
    identity = lines[0].digest if lines else ""
    heads: dict[str, Head] = {}
    for one in given:
        one.check(verifier, pinned)
        if one.ledger != identity:
            raise LedgerError(
                f"{one.site} countersigned another ledger, {one.ledger[:12]}, than {path}, {identity[:12]}: the "
                "server has two of them, or the file belongs to another cohort"
            )
        if one.head.lines > len(lines):
            raise LedgerError(
                f"{path}, line {len(lines) + 1}: missing, though {one.site} countersigned line {one.head.lines}: lines "
                "were taken off its end, or it was rolled back"
            )
        if one.head.lines and lines[one.head.lines - 1].digest != one.head.digest:
            raise LedgerError(
                f"{path}, line {one.head.lines}: {one.site} countersigned another line {one.head.lines}: the server "
                "showed two ledgers, or this one was changed"
            )
        heads[one.site] = max(heads.get(one.site, one.head), one.head, key=lambda head: head.lines)
    return Vouched(heads)


@dataclass(frozen=True)
class Vouched:
    """The latest head of each site that vouches for a ledger."""

    heads: Mapping[str, Head]

    def sites(self, line: int) -> tuple[str, ...]:
        """The sites that vouch for a line, and so for all before it."""
        return tuple(sorted(site for site, head in self.heads.items() if head.lines >= line))

    @property
    def reach(self) -> tuple[tuple[int, int], ...]:
        """(line, how many sites vouch for all up to it), from the end of the ledger backwards."""
        lines = sorted({head.lines for head in self.heads.values()}, reverse=True)
        return tuple((line, len(self.sites(line))) for line in lines)


def auditor(root_ca: Path | None) -> Verifier:
    """How a third party checks signatures: by the project's root CA, or by each file's own certificates without one.

    Raises ConfigError where the file holds no certificate.
    """
    if root_ca is None:
        return _AnyKey()
    try:
        return CertificateVerifier(root_ca.read_bytes(), dated=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{root_ca} is no certificate in PEM form: {error}") from error


class _AnyKey:
    """Believes the certificate that comes with a signature, of a kit or of the simulator: it proves no identity."""

    test_mode = True

    def check_certificate(self, name: str, certificate: bytes) -> None:
        """Raise `SecureSumError` where the bytes are no certificate and no test key."""
        self._kit_key(name, certificate)

    def verify(self, name: str, certificate: bytes, message: bytes, signature: bytes) -> None:
        """Raise `SecureSumError` unless the key of the certificate signed."""
        key = self._kit_key(name, certificate)
        if key is None:
            TestVerifier().verify(name, certificate, message, signature)
            return
        try:
            key.verify(signature, message, PADDING, hashes.SHA256())
        except InvalidSignature as error:
            raise SecureSumError(f"the signature of site {name!r} does not match its message") from error

    def _kit_key(self, name: str, certificate: bytes) -> rsa.RSAPublicKey | None:
        if len(certificate) == _TEST_KEY_BYTES:
            return None
        try:
            leaf = x509.load_der_x509_certificate(certificate)
        except ValueError as error:
            raise SecureSumError(f"site {name!r} has no X.509 certificate: {error}") from error
        check_subject(leaf, name)
        key = leaf.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise SecureSumError(f"site {name!r} holds a {type(key).__name__}, expected RSA")
        return key


def _message(site: str, ledger: str, head: Head) -> bytes:
    fields = {"digest": head.digest, "ledger": ledger, "lines": head.lines, "site": site}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return _DOMAIN + hashlib.sha256(text.encode()).digest()
