"""Who wrote a ledger: the RSA key of the server's FLARE startup kit signs each line, and so all lines before it.

A third party needs the ledger, the server's certificate and, to know that the certificate is the project's, the root
CA's. Dates are not looked at: a ledger is read long after the certificate that signed it has expired.
"""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from ecg_flare.errors import ConfigError, LedgerError
from ecg_flare.privacy.chain import LineSigner, LineVerifier
from ecg_flare.privacy.secure_sum.signing import PADDING, CertificateSigner


def ledger_signer(key: Path, certificate: Path) -> LineSigner:
    """Signs with the key of a startup kit; raises ConfigError where the files are no RSA key and its certificate."""
    return CertificateSigner.from_files(key, certificate).sign


def ledger_verifier(certificate: Path, root_ca: Path | None = None) -> LineVerifier:
    """Believes the key of one certificate, which the root CA must have issued where that is given.

    Raises ConfigError for a file that is no such certificate, LedgerError where the CA did not issue it.
    """
    leaf = _read(certificate)
    key = leaf.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise ConfigError(f"{certificate} holds a {type(key).__name__}, expected the RSA certificate of the server")
    if root_ca is not None:
        try:
            leaf.verify_directly_issued_by(_read(root_ca))
        except (ValueError, TypeError, InvalidSignature) as error:
            raise LedgerError(f"{certificate} was not issued by {root_ca}: its signatures prove nothing") from error

    def verify(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, message, PADDING, hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    return verify


def _read(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is no certificate in PEM form: {error}") from error
