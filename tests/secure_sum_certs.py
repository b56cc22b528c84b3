"""A project CA and site certificates like those of a FLARE startup kit, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from ecg_flare.privacy.secure_sum.signing import CertificateSigner, CertificateVerifier


@lru_cache
def rsa_key(label: str) -> rsa.RSAPrivateKey:
    """One RSA-2048 key a label: making them is slow."""
    del label
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def subject(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "hospital"),
        ]
    )


@dataclass(frozen=True)
class Authority:
    """A certificate authority, by the label of its key."""

    label: str = "root"

    @property
    def pem(self) -> bytes:
        return _pem(self.issue("project", rsa_key(self.label), ca=True))

    def verifier(self) -> CertificateVerifier:
        return CertificateVerifier(self.pem)

    def signer(self, name: str, *, key_label: str | None = None, days: int = 360) -> CertificateSigner:
        key = rsa_key(key_label or name)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return CertificateSigner(private, _pem(self.issue(name, key, days=days)))

    def issue(self, name: str, key: rsa.RSAPrivateKey, *, ca: bool = False, days: int = 360) -> x509.Certificate:
        now = datetime.now(UTC)
        start = min(now, now + timedelta(days=days)) - timedelta(days=1)
        root = rsa_key(self.label)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject(name))
            .issuer_name(subject("project"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        )
        return builder.sign(root, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
