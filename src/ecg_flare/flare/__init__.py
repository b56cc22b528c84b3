"""The plugin for NVIDIA FLARE: jobs, what runs at the server and at a site, ways of summing, and kits."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "deploy.provision": (
        "AllowListBuilder",
        "RightsBuilder",
        "SitePolicyBuilder",
    ),
    "job.bundled": ("BUNDLED",),
    "job.export": (
        "Changes",
        "equal_roster",
        "job_for",
    ),
    "job.folders": (
        "JobSpec",
        "Pages",
        "Training",
        "job_files",
        "write_job",
    ),
    "job.recipes": ("FedECGRecipe",),
    "server.aggregators": (
        "FedAdagrad",
        "FedAdam",
        "FedAvg",
        "FedAvgM",
        "FedProx",
        "FedYogi",
        "UpdateAggregator",
    ),
    "server.policy": (
        "ServerPolicy",
        "read_server_policy",
    ),
    "server.robust": (
        "GeometricMedian",
        "Krum",
        "Median",
        "MultiKrum",
        "TrimmedMean",
    ),
    "server.workflow": ("FederatedRounds",),
    "site.dry_run": (
        "DryRun",
        "dry_run",
    ),
    "site.executor": ("NnunetExecutor",),
    "site.policy": (
        "SitePolicy",
        "read_policy",
    ),
}

if TYPE_CHECKING:
    from ecg_flare.flare.deploy.provision import AllowListBuilder, RightsBuilder, SitePolicyBuilder
    from ecg_flare.flare.job.bundled import BUNDLED
    from ecg_flare.flare.job.export import Changes, equal_roster, job_for
    from ecg_flare.flare.job.folders import JobSpec, Pages, Training, job_files, write_job
    from ecg_flare.flare.job.recipes import FedECGRecipe
    from ecg_flare.flare.server.aggregators import (
        FedAdagrad,
        FedAdam,
        FedAvg,
        FedAvgM,
        FedProx,
        FedYogi,
        UpdateAggregator,
    )
    from ecg_flare.flare.server.policy import ServerPolicy, read_server_policy
    from ecg_flare.flare.server.robust import GeometricMedian, Krum, Median, MultiKrum, TrimmedMean
    from ecg_flare.flare.server.workflow import FederatedRounds
    from ecg_flare.flare.site.dry_run import DryRun, dry_run
    from ecg_flare.flare.site.executor import NnunetExecutor
    from ecg_flare.flare.site.policy import SitePolicy, read_policy
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = [
    "BUNDLED",
    "AllowListBuilder",
    "Changes",
    "DryRun",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedECGRecipe",
    "FedProx",
    "FedYogi",
    "FederatedRounds",
    "GeometricMedian",
    "JobSpec",
    "Krum",
    "Median",
    "MultiKrum",
    "NnunetExecutor",
    "Pages",
    "RightsBuilder",
    "ServerPolicy",
    "SitePolicy",
    "SitePolicyBuilder",
    "Training",
    "TrimmedMean",
    "UpdateAggregator",
    "dry_run",
    "equal_roster",
    "job_files",
    "job_for",
    "read_policy",
    "read_server_policy",
    "write_job",
]
