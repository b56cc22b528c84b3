"""How components of a job find each other and their folders."""

import os
from pathlib import Path
from typing import Final, TypeVar

from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext
from nvflare.apis.workspace import Workspace

from ecg_flare.errors import ConfigError, EcgFlareError
from ecg_flare.federated.evaluation import counting_terms
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.paths import check_path
from ecg_flare.flare.job.terms import check_job
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.kinds import plan_of
from ecg_flare.nnunet.learnt import AgreedPlan
from ecg_flare.nnunet.named_classes import class_path
from ecg_flare.site.own_pages import CACHE_FOLDER, OwnPages, SitesOwn, read_own_pages

T = TypeVar("T")

_TERMS: Final = "terms"
TASK: Final = "task"
"""Id of the component that is somebody else's task, where the job trains one."""


def component(fl_ctx: FLContext, component_id: str, kind: type[T]) -> T:
    """The job's component of that id; raises ConfigError where there is none or it is no `kind`."""
    found = fl_ctx.get_engine().get_component(component_id)
    if not isinstance(found, kind):
        described = "none" if found is None else type(found).__name__
        raise ConfigError(f"The job's component '{component_id}' must be a {kind.__name__}. Found {described}.")
    return found


def job_terms(fl_ctx: FLContext) -> JobTerms:
    """The job's terms, which have one place, so that no two components of a job go by different ones.

    Raises ConfigError for terms that no job can run by.
    """
    return check_job(component(fl_ctx, _TERMS, JobTerms))


def job_plan(terms: JobTerms, fl_ctx: FLContext, *, needed: bool = True) -> AgreedPlan:
    """The plan that the job's terms hold, and with it the word of FLARE that its class may be built here.

    A plan of somebody else's class needs a component of that class: FLARE builds it only where this party's own rules
    allow it (its `class_allow_list`, or the right to bring code). Where it is not `needed`, a job without it gives the
    plan as it is.

    Raises ConfigError where there is none, or where it is of another class.
    """
    plan = plan_of(terms.model.plan, terms.model.document)
    if not plan.named_class:
        return plan
    found = fl_ctx.get_engine().get_component(TASK)
    if found is None and not needed:
        return plan
    if found is None or class_path(type(found)) != plan.named_class:
        described = "none" if found is None else class_path(type(found))
        raise ConfigError(
            f"the job's terms name the task {plan.named_class!r}, its component '{TASK}' is {described}: "
            "export the job again"
        )
    return plan.as_admitted()


def round_terms(fl_ctx: FLContext, *, counts: bool) -> JobTerms:
    """The terms of a round: the job's, or where counts are asked for those of its evaluation.

    Raises ConfigError as `job_terms`, and for counts in a job that evaluates nothing.
    """
    terms = job_terms(fl_ctx)
    if counts == terms.model.counted:
        return terms
    counting = counting_terms(terms) if counts else None
    if counting is None:
        raise ConfigError(f"counts is {counts}, which this job's terms do not have: export the job again")
    return counting


def report_error(teller: FLComponent, task: str, error: EcgFlareError, fl_ctx: FLContext) -> None:
    """Log an error of a task: FLARE streams error logs to the server, so that line has the error's class alone."""
    teller.log_error(fl_ctx, f"{task}: {type(error).__name__}, see the log's next line", fire_event=False)
    teller.log_info(fl_ctx, f"{type(error).__name__}: {error}", fire_event=False)


def cache_folder(fl_ctx: FLContext, own: str = "") -> Path:
    """Where prepared cases are kept: in `own`, as ECG_FLARE_CACHE says, or below this party's workspace.

    Each of them is the party's own word; a job has none in it.
    """
    folder = own or os.environ.get("ECG_FLARE_CACHE", "")
    if folder:
        return Path(folder).expanduser()
    return Path(fl_ctx.get_engine().get_workspace().get_root_dir()) / CACHE_FOLDER


def page_source(fl_ctx: FLContext, component_id: str, site: str) -> CaseSource:
    """The job's component that gives the cases of `site`.

    Raises ConfigError where it lacks `describe` or `cases`, PolicyError where the cases lie in a folder that this
    party's policy does not allow a job to name.
    """
    source = component(fl_ctx, component_id, CaseSource)  # type: ignore[type-abstract]
    check_pages(source, site, fl_ctx.get_engine().get_workspace())
    return source


def check_pages(source: CaseSource, site: str, workspace: Workspace) -> None:
    """Raise PolicyError where a job's source reads what this party's policy does not allow a job to name.

    Raises SiteDataError where the job leaves it to the site where its cases lie.
    """
    if isinstance(source, SitesOwn):
        source.describe(site)
    for path in getattr(source, "paths", _no_paths)(site):
        check_path(path, workspace, "page_folders")


def site_pages(fl_ctx: FLContext, component_id: str) -> tuple[CaseSource, Path]:
    """A site's pages and the folder of prepared ones: as the site says (`site.own_pages`), or else the job.

    Raises ConfigError where the site's file or the job's component is no case source, and as `page_source`.
    """
    own = read_own_pages(Path(fl_ctx.get_engine().get_workspace().get_site_config_dir()))
    if own is None:
        own = OwnPages(page_source(fl_ctx, component_id, fl_ctx.get_identity_name()))
    return own.source, cache_folder(fl_ctx, own.cache)


def _no_paths(site: str) -> tuple[str, ...]:
    return ()
