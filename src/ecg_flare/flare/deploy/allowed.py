"""The classes that a job without own code may name: at a site, and at the server.

Provisioning writes them into the kits' `class_allow_list` (`provision.AllowListBuilder`), where FLARE holds each
component of a job to them, and `ecg-flare site check` builds no others. Every name is that of one class: FLARE calls
whatever a config names, so that the name of a module or a package would offer all functions below it.

The lists are what `jobs.job_files` writes and nothing else; `tests/security/test_allow_list.py` holds them to that.
Each class checks its own arguments: none of them is a class by name, and a path is held to what the machine's owner
allows (`job_paths`).
"""

import re
from typing import Final

from ecg_flare.federated.summation import registered

# FLARE lets through whatever begins with a listed name and a dot: the name of a module would list all that is in it.
_CLASS_PATH: Final = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*\._?[A-Z][A-Za-z0-9_]*")

SITE_CLASSES: Final = (
    "ecg_flare.federated.terms.JobTerms",
    "ecg_flare.flare.site.executor.NnunetExecutor",
    "ecg_flare.flare.site.heads.LedgerWitness",
    "ecg_flare.flare.site.heads.WitnessExecutor",
    "ecg_flare.flare.site.filters.ClipUpdate",
    "ecg_flare.flare.site.filters.StripResult",
    "ecg_flare.flare.summation.masked.site.SecureSumSite",
    "ecg_flare.flare.summation.masked.site.SecureSumExecutor",
    "ecg_flare.flare.summation.masked.site.MaskUpdate",
    "ecg_flare.flare.summation.encrypted.site.EncryptedSite",
    "ecg_flare.flare.summation.encrypted.site.EncryptedSumExecutor",
    "ecg_flare.flare.summation.encrypted.site.EncryptUpdate",
    "ecg_flare.task.traces.sources.SyntheticPages",
    "ecg_flare.task.traces.sources.PtbxlPages",
    "ecg_flare.task.traces.page_folder.PageFolder",
    "ecg_flare.task.datasets.folder.NnunetFolder",
    "ecg_flare.site.own_pages.SitesOwn",
)

SERVER_CLASSES: Final = (
    "ecg_flare.flare.server.workflow.FederatedRounds",
    "ecg_flare.federated.terms.JobTerms",
    "ecg_flare.flare.server.aggregators.FedAvg",
    "ecg_flare.flare.server.aggregators.FedProx",
    "ecg_flare.flare.server.aggregators.FedAvgM",
    "ecg_flare.flare.server.aggregators.FedAdam",
    "ecg_flare.flare.server.aggregators.FedYogi",
    "ecg_flare.flare.server.aggregators.FedAdagrad",
    "ecg_flare.flare.server.robust.Median",
    "ecg_flare.flare.server.robust.TrimmedMean",
    "ecg_flare.flare.server.robust.Krum",
    "ecg_flare.flare.server.robust.MultiKrum",
    "ecg_flare.flare.server.robust.GeometricMedian",
    "ecg_flare.flare.server.persistor.ModelStore",
    "ecg_flare.flare.server.mechanism.GaussianMechanism",
    "ecg_flare.flare.server.evaluator.PublicEvaluator",
    "ecg_flare.flare.server.tracking.ServerMLflow",
    "ecg_flare.task.traces.sources.SyntheticPages",
    "ecg_flare.task.traces.sources.PtbxlPages",
    "ecg_flare.nnunet.case.NoCases",
    "nvflare.app_opt.tracking.tb.tb_receiver.TBAnalyticsReceiver",
)


def is_class_path(path: object) -> bool:
    """Whether an entry of an allow-list names one class, as classes are spelt, and nothing that holds others."""
    return isinstance(path, str) and _CLASS_PATH.fullmatch(path) is not None


def site_classes() -> tuple[str, ...]:
    """The classes that this machine builds of a job: `SITE_CLASSES`, and the parts of ways of summing added to it.

    A way is added by a module of this machine's owner (`federated.summation.register`), never by a job. In a kit its
    classes count besides only where the owner listed them in the `class_allow_list`.
    """
    return (*SITE_CLASSES, *(path for one in registered() for path in one.site.classes))
