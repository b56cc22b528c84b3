"""Who signs the messages of secure aggregation and the ledger: the certificates of FLARE's startup kits.

The simulator has no kits. There nobody signs the ledger, and the sites sign their messages with throw-away keys, each
of which follows from the digest of the job's terms and the site's name. That shows the protocol at work and proves no
identity. The logs call it a test mode, and a site with a kit never takes part in it.
"""

import hashlib
from pathlib import Path

from nvflare.apis.workspace import Workspace

from ecg_flare.privacy import chain as ledger_chain
from ecg_flare.privacy.ledger_signature import ledger_signer
from ecg_flare.privacy.secure_sum.signing import (
    CertificateSigner,
    CertificateVerifier,
    Signer,
    TestSigner,
    TestVerifier,
    Verifier,
)


def site_signer(workspace: Workspace, job: str, site: str) -> Signer:
    """A site's signer: its kit's RSA key, or the test mode's where there is no kit."""
    startup = Path(workspace.get_startup_kit_dir())
    key, certificate = startup / "client.key", startup / "client.crt"
    if key.exists() and certificate.exists():
        return CertificateSigner.from_files(key, certificate)
    return test_signer(job, site)


def server_signature(workspace: Workspace) -> ledger_chain.LineSigner | None:
    """How the server signs its ledger: with its kit's RSA key; None where there is no kit."""
    return _kit_signature(workspace, "server")


def site_signature(workspace: Workspace) -> ledger_chain.LineSigner | None:
    """How a site signs its own ledger: with its kit's RSA key; None where there is no kit."""
    return _kit_signature(workspace, "client")


def _kit_signature(workspace: Workspace, role: str) -> ledger_chain.LineSigner | None:
    startup = Path(workspace.get_startup_kit_dir())
    key, certificate = startup / f"{role}.key", startup / f"{role}.crt"
    return ledger_signer(key, certificate) if key.exists() and certificate.exists() else None


def kit_verifier(workspace: Workspace) -> Verifier:
    """How this party checks signatures: against its kit's root CA, or the test mode's way where there is no kit."""
    root = Path(workspace.get_startup_kit_dir()) / "rootCA.pem"
    return CertificateVerifier(root.read_bytes()) if root.exists() else TestVerifier()


def test_signer(job: str, site: str) -> TestSigner:
    """The test mode's signer of a site, the same at every party of the job."""
    return TestSigner(hashlib.sha256(f"ecg_flare test mode/{job}/{site}".encode()).digest())
