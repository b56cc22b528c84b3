"""Signatures with the keys of a startup kit, and what a verifier refuses."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ecg_flare.errors import ConfigError, SecureSumError
from ecg_flare.privacy.secure_sum.signing import CertificateSigner, TestSigner, TestVerifier, fingerprint
from secure_sum_certs import Authority, rsa_key


def test_a_certified_signature_is_believed() -> None:
    signer = Authority().signer("site-1")
    Authority().verifier().verify("site-1", signer.certificate, b"message", signer.sign(b"message"))
    assert not signer.test_mode


@pytest.mark.parametrize(
    ("name", "signed", "match"),
    [("site-2", b"message", "made out to"), ("site-1", b"another", "does not match")],
)
def test_another_name_or_message_is_refused(name: str, signed: bytes, match: str) -> None:
    signer = Authority().signer("site-1")
    with pytest.raises(SecureSumError, match=match):
        Authority().verifier().verify(name, signer.certificate, b"message", signer.sign(signed))


def test_another_ca_is_refused() -> None:
    signer = Authority("forger").signer("site-1")
    with pytest.raises(SecureSumError, match="not issued by this project"):
        Authority().verifier().verify("site-1", signer.certificate, b"message", signer.sign(b"message"))


def test_an_expired_certificate_is_refused() -> None:
    signer = Authority().signer("site-1", days=-1)
    with pytest.raises(SecureSumError, match="holds from"):
        Authority().verifier().verify("site-1", signer.certificate, b"message", signer.sign(b"message"))


@pytest.mark.parametrize("certificate", [b"", b"not a certificate"])
def test_no_certificate_is_refused(certificate: bytes) -> None:
    with pytest.raises(SecureSumError, match=r"no X\.509"):
        Authority().verifier().verify("site-1", certificate, b"message", b"")


def test_key_and_certificate_must_belong_together() -> None:
    one, other = Authority().signer("site-1"), rsa_key("site-2")
    del one
    certificate = Authority().issue("site-1", rsa_key("site-1")).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(ConfigError, match="not that of the certificate"):
        CertificateSigner(_pem(other), certificate)


def test_a_short_key_is_refused() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    certificate = Authority().issue("site-1", key).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(ConfigError, match="2048 bits"):
        CertificateSigner(_pem(key), certificate)


def test_fingerprint_is_the_sha256_of_the_certificate() -> None:
    certificate = Authority().signer("site-1").certificate
    assert fingerprint(certificate) == hashlib.sha256(certificate).digest()


def test_flare_signs_and_verifies_the_same_way() -> None:
    lighter = pytest.importorskip("nvflare.lighter.utils")
    signer = Authority().signer("site-1")
    lighter.verify_content(b"message", signer.sign(b"message"), rsa_key("site-1").public_key())
    signature = lighter.sign_content(b"message", rsa_key("site-1"), return_str=False)
    Authority().verifier().verify("site-1", signer.certificate, b"message", signature)


def test_throw_away_keys_say_so() -> None:
    signer = TestSigner()
    assert signer.test_mode
    assert TestVerifier().test_mode
    TestVerifier().verify("site-1", signer.certificate, b"message", signer.sign(b"message"))
    with pytest.raises(SecureSumError, match="test signature"):
        TestVerifier().verify("site-1", TestSigner().certificate, b"message", signer.sign(b"message"))


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
