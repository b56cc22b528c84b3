"""Secure aggregation and differential privacy: masks, ciphertexts, noise, accountants, ledgers and audits."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "accountant": ("Spent", "epsilon_prv", "epsilon_rdp", "noise_multiplier_for", "spent"),
    "adaptive_clipping": ("AdaptiveClipping",),
    "cohort": ("Cohort", "Mechanism"),
    "encrypted_sum": ("EncryptedSumSite",),
    "events": ("GaussianEvent", "Unit", "round_events"),
    "gaussian": ("ChaChaStream", "add_noise", "gaussian_noise"),
    "ledger": ("Ledger", "LedgerReport", "verify"),
    "planning": ("Outlook", "outlook"),
    "secure_sum.client": ("SecureSumClient",),
    "secure_sum.encoding": ("FixedPoint", "Ring"),
    "secure_sum.limits": ("SiteLimits",),
    "secure_sum.server": ("SecureSumServer",),
    "secure_sum.signing": ("CertificateSigner", "CertificateVerifier", "fingerprint"),
}

if TYPE_CHECKING:
    from ecg_flare.privacy.accountant import Spent, epsilon_prv, epsilon_rdp, noise_multiplier_for, spent
    from ecg_flare.privacy.adaptive_clipping import AdaptiveClipping
    from ecg_flare.privacy.cohort import Cohort, Mechanism
    from ecg_flare.privacy.encrypted_sum import EncryptedSumSite
    from ecg_flare.privacy.events import GaussianEvent, Unit, round_events
    from ecg_flare.privacy.gaussian import ChaChaStream, add_noise, gaussian_noise
    from ecg_flare.privacy.ledger import Ledger, LedgerReport, verify
    from ecg_flare.privacy.planning import Outlook, outlook
    from ecg_flare.privacy.secure_sum.client import SecureSumClient
    from ecg_flare.privacy.secure_sum.encoding import FixedPoint, Ring
    from ecg_flare.privacy.secure_sum.limits import SiteLimits
    from ecg_flare.privacy.secure_sum.server import SecureSumServer
    from ecg_flare.privacy.secure_sum.signing import CertificateSigner, CertificateVerifier, fingerprint
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = [
    "AdaptiveClipping",
    "CertificateSigner",
    "CertificateVerifier",
    "ChaChaStream",
    "Cohort",
    "EncryptedSumSite",
    "FixedPoint",
    "GaussianEvent",
    "Ledger",
    "LedgerReport",
    "Mechanism",
    "Outlook",
    "Ring",
    "SecureSumClient",
    "SecureSumServer",
    "SiteLimits",
    "Spent",
    "Unit",
    "add_noise",
    "epsilon_prv",
    "epsilon_rdp",
    "fingerprint",
    "gaussian_noise",
    "noise_multiplier_for",
    "outlook",
    "round_events",
    "spent",
    "verify",
]
