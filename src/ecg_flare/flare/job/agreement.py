"""A job in which sites agree on a plan: one round, whose update is the sites' histograms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecg_flare.federated.counts import exact_bound
from ecg_flare.federated.parts import Clipping, Privacy, Sampling, TrainedModel
from ecg_flare.federated.summation import summation
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.export import equal_roster
from ecg_flare.flare.job.folders import NO_PUBLIC_CASES, OWN_PAGES, JobSpec, Pages
from ecg_flare.flare.job.terms import fresh_nonce
from ecg_flare.nnunet.plan import Plan, parameter_layout
from ecg_flare.task.agreement.histograms import histograms_norm


@dataclass(frozen=True)
class AgreementSettings:
    """Who agrees, and what a job of theirs hides.

    Attributes:
        sites: names of the sites, as FLARE knows them.
        way: of summing.
        min_sites: fewest sites whose histograms make a plan; None asks for all: a plan is for all.
        max_cases: of a site, a public bound, where the sum is in fixed point and nothing is noised.
        privacy: noise, and what is promised to patients; None promises nothing.
        patients, patients_per_site: how many there are at least in all, and at most at a site, where they are hidden.
        pages: where the sites' data sets are.
        results: folder of the results; see `JobSpec.folder`.
        custom: whether the job carries code; see `JobSpec.custom`.
    """

    sites: Sequence[str]
    way: str
    min_sites: int | None = None
    max_cases: int = 1000
    privacy: Privacy | None = None
    patients: int = 0
    patients_per_site: int = 0
    pages: Pages = OWN_PAGES
    results: str = ""
    custom: bool = False


def agreement_job(plan: Plan, settings: AgreementSettings) -> JobSpec:
    """The job that agrees by an agreement's plan (`task.agreement.agreement_plan`).

    Each patient is drawn for sure, as there is one round: `Sampling.rate` is 1. Raises ConfigError for impossible
    settings.
    """
    norm = histograms_norm(len(parameter_layout(plan)))
    terms = JobTerms(
        equal_roster(settings.sites, settings.way, settings.min_sites or len(settings.sites)),
        rounds=1,
        model=TrainedModel(plan.name, document=plan.document, counted=True),
        summation=settings.way,
        nonce=fresh_nonce(),
        **_bounds(settings, norm),
    )
    return JobSpec(
        name="plan_agreement",
        about=(
            "Sites agree on nnU-Net's plan: each counts spacings, sizes and CT intensities of its cases in public "
            "bins, and nnU-Net's planner works on the sum."
        ),
        aggregator="FedAvg",
        terms=terms,
        pages=settings.pages,
        public_pages=NO_PUBLIC_CASES,
        start="random:0",
        site_metrics=(),
        folder=settings.results,
        custom=settings.custom,
    )


def _bounds(settings: AgreementSettings, norm: float) -> Mapping[str, Any]:
    """Clipping, noise and draw: of patients where there is noise, of whole sites where there is none."""
    if settings.privacy is not None:
        sampling = Sampling(1.0, settings.patients, settings.patients_per_site)
        return {"clipping": Clipping(norm), "privacy": settings.privacy, "sampling": sampling}
    if summation(settings.way).hides_updates:
        return {"clipping": Clipping(exact_bound(norm, settings.max_cases))}
    return {}
