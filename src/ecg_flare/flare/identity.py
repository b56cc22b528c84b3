"""Who signs the secure sum: the certificates of FLARE's startup kits, or throw-away keys where there are none.

The simulator has no kits. There each site's key follows from the job and the site's name, which shows the protocol at
work and proves no identity: the logs call it a test mode, and a site with a kit never takes part in it.
"""

import hashlib
from pathlib import Path

from nvflare.apis.workspace import Workspace

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


def kit_verifier(workspace: Workspace) -> Verifier:
    """How this party checks signatures: against its kit's root CA, or the test mode's way where there is no kit."""
    root = Path(workspace.get_startup_kit_dir()) / "rootCA.pem"
    return CertificateVerifier(root.read_bytes()) if root.exists() else TestVerifier()


def test_signer(job: str, site: str) -> TestSigner:
    """The test mode's signer of a site, the same at every party of the job."""
    return TestSigner(hashlib.sha256(f"ecg_flare test mode/{job}/{site}".encode()).digest())
