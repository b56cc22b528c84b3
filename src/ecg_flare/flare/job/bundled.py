"""The jobs that come with ecg_flare, written to the project's `jobs/` by `ecg-flare jobs build`.

Three sites whose pages differ in layout, grid, scanner and noise (the paper's non-IID), a public start, and public
pages in habits that neither the sites nor the start know.

They are written anew from here, bit by bit: their seed is public and their nonce follows from their name. A job for
real sites is exported, which draws a nonce and, where updates are hidden, leaves the seeds to the sites.
"""

import hashlib
from dataclasses import replace
from typing import Final
from uuid import UUID

from ecg_flare.federated.parts import Clipping, Privacy, Roster, Sampling, TrainedModel
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.folders import JobSpec, Pages, Training
from ecg_flare.flare.summation import encrypted, masked

_SITES: Final = {"site-1": "district", "site-2": "university", "site-3": "archive"}
_ROSTER: Final = Roster(dict.fromkeys(_SITES, 1.0), min_sites=2)
_ALL: Final = replace(_ROSTER, min_sites=3)
_ROUNDS: Final = 3

_SITE_PAGES: Final = Pages("site_pages.SitePages", {"profiles": _SITES, "pages_per_site": 8, "seed": 1})
_PLAIN: Final = JobTerms(_ROSTER, rounds=_ROUNDS)

_FEDAVG: Final = JobSpec(
    name="fedavg",
    about="FedAvg: the weighted mean of the sites' models. No privacy: the server sees each site's update.",
    aggregator="FedAvg",
    terms=_PLAIN,
    pages=_SITE_PAGES,
    optimizer={"learning_rate": 1.0},
    training=Training(seed=0),
)

_FEDADAM: Final = replace(
    _FEDAVG,
    name="fedadam",
    about="FedAdam at the server (Reddi et al. 2021). No privacy: the server sees each site's update.",
    aggregator="FedAdam",
    optimizer={"learning_rate": 0.003, "beta1": 0.9, "beta2": 0.99, "tau": 0.001},
)

_SITE_DP: Final = replace(
    _FEDADAM,
    name="fedadam_site_dp",
    about=(
        "FedAdam, clipped updates, Gaussian noise on the integer sum, a ledger; the privacy unit is a site. "
        "With three sites the noise drowns what they learn: the guarantee is real, the use is to see it work."
    ),
    terms=replace(_PLAIN, clipping=Clipping(0.5), privacy=Privacy(1.0, epsilon_budget=20.0, delta=1e-5)),
    optimizer={"learning_rate": 0.0001, "beta1": 0.9, "beta2": 0.99, "tau": 0.001},
)

_PATIENTS: Final = 16
_PATIENT_DP: Final = replace(
    _PLAIN,
    sites=_ALL,
    summation=masked.SUMMATION.name,
    model=TrainedModel(
        trained=("decoder.transpconvs.2.*", "decoder.stages.2.*", "decoder.seg_layers.2.*")  # the last stage, the head
    ),
    clipping=Clipping(0.01),
    privacy=Privacy(0.8, epsilon_budget=8.0, delta=1e-4),
    sampling=Sampling(rate=0.5, patients=len(_SITES) * _PATIENTS, patients_per_site=_PATIENTS),
)

_MASKED: Final = replace(_PLAIN, sites=_ALL, summation=masked.SUMMATION.name, clipping=Clipping(2.0))


def _named(spec: JobSpec) -> JobSpec:
    drawn = hashlib.sha256(f"ecg_flare bundled job {spec.name}".encode()).digest()[:16]
    return replace(spec, terms=replace(spec.terms, nonce=str(UUID(bytes=drawn))))


BUNDLED: Final = {
    spec.name: _named(spec)
    for spec in (
        _FEDAVG,
        replace(
            _FEDAVG,
            name="fedprox",
            about="FedProx (Li et al. 2020): FedAvg whose sites are held near the global model. No privacy.",
            aggregator="FedProx",
            training=Training(proximal_mu=0.01, seed=0),
        ),
        _FEDADAM,
        replace(
            _FEDADAM,
            name="fedadam_dp",
            about=(
                "Each patient is hidden: FedAdam over a masked sum of updates that are clipped patient by patient, a "
                "secret draw of patients, Gaussian noise on the integer sum, a ledger, a public start."
            ),
            terms=_PATIENT_DP,
            training=Training(steps=2, learning_rate=0.02, seed=0),
            pages=replace(_SITE_PAGES, args={**_SITE_PAGES.args, "pages_per_site": _PATIENTS, "pages_per_patient": 1}),
            optimizer={"learning_rate": 0.006, "beta1": 0.9, "beta2": 0.99, "tau": 1e-5},
        ),
        replace(
            _FEDADAM,
            name="fedadam_secure",
            about="FedAdam over a masked sum: the server recovers only the sum of the clipped updates. No noise.",
            terms=_MASKED,
        ),
        replace(
            _FEDADAM,
            name="fedadam_he",
            about=(
                "FedAdam over a homomorphic sum (CKKS, extra 'he'): the server adds ciphertexts, two sites decrypt "
                "the sum. All sites share one secret key. No noise."
            ),
            terms=replace(_MASKED, summation=encrypted.SUMMATION.name),
        ),
        _SITE_DP,
        replace(
            _FEDAVG,
            name="centralized",
            about="All pages at one place, the upper line that federated training is measured against.",
            terms=JobTerms(Roster({"site-1": 1.0}, min_sites=1), rounds=_ROUNDS),
            pages=Pages("site_pages.PooledSitePages", {**_SITE_PAGES.args, "pooled": list(_SITES)}),
        ),
    )
}
