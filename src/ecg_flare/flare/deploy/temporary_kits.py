"""Startup kits of a cohort that lives for one dry_run: throw-away certificates of the kind that provisioning issues.

A site's kit holds its own key and nobody else's, so that a dry run cannot sign for its peers. It gets a cohort of
stand-ins instead, the site among them: the protocol then runs as it does in production, in messages of the same size.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from ecg_flare.flare.site.policy import POLICY_FILE
from ecg_flare.privacy.secure_sum.signing import fingerprint
from ecg_flare.storage import write_json


@dataclass(frozen=True)
class StandInKits:
    """Workspaces below `folder`, one a party.

    Attributes:
        folder: readable by this user alone; whoever made it removes it.
        signed: whether the kits hold certificates; without them the sums run in their test mode.
    """

    folder: Path
    signed: bool

    def root(self, party: str) -> Path:
        """A party's workspace."""
        return self.folder / party


def stand_in_kits(
    folder: Path, sites: Sequence[str], policies: Mapping[str, Mapping[str, Any]], *, signed: bool
) -> StandInKits:
    """Make workspaces for the server and the sites; `policies` are entries of local/ecg_flare.json by site.

    Where kits are signed, each policy's pins are those of the throw-away certificates.
    """
    kits = StandInKits(folder, signed)
    for party in ("server", *sites):
        for name in ("startup", "local"):
            (kits.root(party) / name).mkdir(parents=True)
    pinned = _sign(kits, sites) if signed else {}
    for site in sites:
        policy = dict(policies.get(site, {}))
        write_json(kits.root(site) / "local" / POLICY_FILE, policy | {"pinned": pinned} if signed else policy)
    return kits


def _sign(kits: StandInKits, sites: Sequence[str]) -> dict[str, str]:
    """Put a root certificate into each kit and a certificate into each site's; gives the fingerprints by site."""
    root_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    site_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)  # one for all: making them is slow
    root = _certificate("stand-in", root_key, root_key, ca=True).public_bytes(serialization.Encoding.PEM)
    private = site_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (kits.root("server") / "startup" / "rootCA.pem").write_bytes(root)
    pinned: dict[str, str] = {}
    for site in sites:
        certificate = _certificate(site, site_key, root_key, ca=False)
        startup = kits.root(site) / "startup"
        (startup / "rootCA.pem").write_bytes(root)
        (startup / "client.key").write_bytes(private)
        (startup / "client.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pinned[site] = fingerprint(certificate.public_bytes(serialization.Encoding.DER)).hex()
    return pinned


def _certificate(name: str, key: rsa.RSAPrivateKey, issuer: rsa.RSAPrivateKey, *, ca: bool) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .issuer_name(_subject("stand-in"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(issuer, hashes.SHA256())
    )


def _subject(name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "hospital")]
    )


def local_entries(local: Path) -> dict[str, Any]:
    """What the site's real policy file says, as it stands; {} where there is none."""
    path = local / POLICY_FILE
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
