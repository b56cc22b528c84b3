"""Who says it: signatures of sites over the messages of a round.

In production a site signs with the RSA key of its FLARE startup kit (RSA-PSS, SHA-256) and its peers check the
certificate against the project's CA, then against the fingerprint that they pinned. In the simulator, where kits hold
no keys, `TestSigner` makes a throw-away Ed25519 key: that shows the protocol at work and proves no identity.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from ecg_flare.errors import ConfigError, SecureSumError

# The same as FLARE's own content signatures (nvflare.lighter.utils.sign_content), so its tools can check ours.
PADDING = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.MAX_LENGTH)


class Signer(Protocol):
    """A site's own identity."""

    @property
    def certificate(self) -> bytes:
        """Public bytes by which a `Verifier` knows the key; the roster holds their SHA-256."""

    @property
    def test_mode(self) -> bool:
        """Whether the key is throw-away and proves no identity."""

    def sign(self, message: bytes) -> bytes:
        """Signature over `message`."""


class Verifier(Protocol):
    """How a site or the server decides that another site signed."""

    @property
    def test_mode(self) -> bool:
        """Whether throw-away keys are believed."""

    def check_certificate(self, name: str, certificate: bytes) -> None:
        """Raise `SecureSumError` unless `certificate` is one of site `name`."""

    def verify(self, name: str, certificate: bytes, message: bytes, signature: bytes) -> None:
        """Raise `SecureSumError` unless `certificate` is that of site `name` and its key signed `message`."""


def fingerprint(certificate: bytes) -> bytes:
    """SHA-256 (32 bytes) of a certificate's DER bytes: what sites pin and what the roster holds."""
    return hashlib.sha256(certificate).digest()


class CertificateSigner:
    """Signs with the RSA key of a FLARE startup kit (startup/client.key and startup/client.crt).

    Raises `ConfigError` when the files hold no RSA key of at least 2048 bits, or when key and certificate differ.
    """

    test_mode = False

    def __init__(self, key_pem: bytes, certificate_pem: bytes) -> None:
        key = serialization.load_pem_private_key(key_pem, password=None)
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < 2048:
            raise ConfigError(f"got a {type(key).__name__}, expected an RSA key of 2048 bits or more: provision again")
        if key.public_key() != certificate.public_key():
            raise ConfigError("the private key is not that of the certificate: take both from one startup kit")
        self._key = key
        self.certificate = certificate.public_bytes(serialization.Encoding.DER)

    @classmethod
    def from_files(cls, key: Path, certificate: Path) -> CertificateSigner:
        """Read the PEM files of a startup kit; the same files give the same signer."""
        return _signer_of(key.read_bytes(), certificate.read_bytes())

    def sign(self, message: bytes) -> bytes:
        """RSA-PSS signature with SHA-256."""
        return self._key.sign(message, PADDING, hashes.SHA256())


@lru_cache(maxsize=8)
def _signer_of(key_pem: bytes, certificate_pem: bytes) -> CertificateSigner:
    """Loading a key checks it, which takes a tenth of a second: too long for each message."""
    return CertificateSigner(key_pem, certificate_pem)


class CertificateVerifier:
    """Believes certificates that the project's root CA issued directly to the named site, inside their dates.

    `dated` False leaves the dates out: what was signed is read long after the certificate has expired.
    """

    test_mode = False

    def __init__(self, root_ca_pem: bytes, *, dated: bool = True) -> None:
        self._root = x509.load_pem_x509_certificate(root_ca_pem)
        self._dated = dated

    def check_certificate(self, name: str, certificate: bytes) -> None:
        """Raise `SecureSumError` unless the CA vouches for `certificate` as `name`'s."""
        self._key_of(name, certificate)

    def verify(self, name: str, certificate: bytes, message: bytes, signature: bytes) -> None:
        """Raise `SecureSumError` unless the CA vouches for `certificate` as `name`'s and its key signed `message`."""
        try:
            self._key_of(name, certificate).verify(signature, message, PADDING, hashes.SHA256())
        except InvalidSignature as error:
            raise SecureSumError(f"the signature of site {name!r} does not match its message: drop it") from error

    def _key_of(self, name: str, certificate: bytes) -> rsa.RSAPublicKey:
        try:
            leaf = x509.load_der_x509_certificate(certificate)
        except ValueError as error:
            raise SecureSumError(f"site {name!r} sent no X.509 certificate ({error}): drop it") from error
        self.check_issued(leaf, name)
        check_subject(leaf, name)
        if self._dated:
            check_dates(leaf, name, datetime.now(UTC))
        key = leaf.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise SecureSumError(f"site {name!r} holds a {type(key).__name__}, expected RSA: provision it again")
        return key

    def check_issued(self, leaf: x509.Certificate, name: str) -> None:
        """Raise `SecureSumError` unless the root CA signed the certificate."""
        try:
            leaf.verify_directly_issued_by(self._root)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise SecureSumError(
                f"the certificate of site {name!r} was not issued by this project's CA ({error}): drop the site"
            ) from error


def check_subject(leaf: x509.Certificate, name: str) -> None:
    """Raise `SecureSumError` unless the certificate's common name is the site's."""
    names = [str(attribute.value) for attribute in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [name]:
        raise SecureSumError(f"the certificate of site {name!r} is made out to {names}: drop the site")


def check_dates(leaf: x509.Certificate, name: str, now: datetime) -> None:
    """Raise `SecureSumError` outside the certificate's dates."""
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise SecureSumError(
            f"the certificate of site {name!r} holds from {leaf.not_valid_before_utc} to {leaf.not_valid_after_utc}, "
            f"now is {now}: provision the site again"
        )


class TestSigner:
    """Signs with a throw-away Ed25519 key: for tests and the simulator, where nobody vouches for it."""

    __test__ = False  # not a test case, whatever pytest thinks of the name
    test_mode = True

    def __init__(self, seed: bytes | None = None) -> None:
        """A random key, or the one that 32 bytes of `seed` give."""
        self._key = Ed25519PrivateKey.generate() if seed is None else Ed25519PrivateKey.from_private_bytes(seed)
        self.certificate = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature."""
        return self._key.sign(message)


class TestVerifier:
    """Believes any Ed25519 key; only the roster's fingerprint ties it to a name."""

    __test__ = False
    test_mode = True

    def check_certificate(self, name: str, certificate: bytes) -> None:
        """Nobody vouches for a throw-away key; raise `SecureSumError` where it is none."""
        try:
            Ed25519PublicKey.from_public_bytes(certificate)
        except ValueError as error:
            raise SecureSumError(f"site {name!r} sent no test key: {error}") from error

    def verify(self, name: str, certificate: bytes, message: bytes, signature: bytes) -> None:
        """Raise `SecureSumError` unless the key in `certificate` signed `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(certificate).verify(signature, message)
        except (ValueError, InvalidSignature) as error:
            raise SecureSumError(f"the test signature of site {name!r} does not match its message: drop it") from error
