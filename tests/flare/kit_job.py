"""A whole private job in memory whose parties have startup kits: certificates sign the ledger and its heads."""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from memory_job import MemoryJob
from nvflare.apis.fl_constant import ReservedKey

from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.site.policy import POLICY_FILE
from ecg_flare.privacy.secure_sum.signing import fingerprint
from flat_terms import flat_terms
from secure_sum_certs import Authority, rsa_key

SITES = ("site-1", "site-2", "site-3", "site-4")
SIGMA, BUDGET = 4.0, 2.0


def private(summation: str, **changes: Any) -> JobTerms:
    """Terms whose budget ends a job after some rounds."""
    values: dict[str, Any] = {
        "weights": dict.fromkeys(SITES, 1.0),
        "rounds": 9,
        "trained": ("decoder.seg_layers.2.*",),
        "min_sites": 3,
        "clipping_norm": 1.0,
        "noise_multiplier": SIGMA,
        "epsilon_budget": BUDGET,
        "summation": summation,
    }
    return flat_terms(**(values | changes))


class KitJob(MemoryJob):
    """A job of this id; its parties keep their workspaces from job to job."""

    def __init__(self, context: Callable[..., Any], terms: JobTerms, folder: Path, job: str) -> None:
        super().__init__(context, terms, folder)
        server = Path(self._engine.get_workspace().get_root_dir())
        unpack_kit(server, "server", "server")
        (server / "local" / POLICY_FILE).write_text(json.dumps({"results_folders": [str(folder)]}))
        for name, site in self.sites.items():
            unpack_kit(site.root, name, "client")
            self.set_policy(name, json.dumps({"pinned": PINS}))
        for fl_ctx in (self.fl_ctx, *(site.fl_ctx for site in self.sites.values())):
            fl_ctx.set_prop(ReservedKey.RUN_NUM, job, private=True, sticky=False)


def unpack_kit(root: Path, name: str, role: str) -> None:
    """A startup kit's key, certificate and root CA."""
    pem = serialization.Encoding.PEM
    key = rsa_key(name).private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files = {f"{role}.key": key, f"{role}.crt": certificate(name).public_bytes(pem), "rootCA.pem": Authority().pem}
    for file, content in files.items():
        (root / "startup" / file).write_bytes(content)


@lru_cache
def certificate(name: str) -> x509.Certificate:
    """The party's, the same in all jobs of a process."""
    return Authority().issue(name, rsa_key(name))


PINS = {site: fingerprint(certificate(site).public_bytes(serialization.Encoding.DER)).hex() for site in SITES}
