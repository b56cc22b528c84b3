"""How components of a job find each other and their folders."""

import os
from pathlib import Path
from typing import Final, TypeVar

from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext

from ecg_flare.errors import ConfigError, EcgFlareError
from ecg_flare.flare.terms import RoundTerms
from ecg_flare.nnunet.sources import PageSource
from ecg_flare.site.own_pages import CACHE_FOLDER, OwnPages, read_own_pages

T = TypeVar("T")

_TERMS: Final = "terms"


def component(fl_ctx: FLContext, component_id: str, kind: type[T]) -> T:
    """The job's component of that id; raises ConfigError where there is none or it is no `kind`."""
    found = fl_ctx.get_engine().get_component(component_id)
    if not isinstance(found, kind):
        described = "none" if found is None else type(found).__name__
        raise ConfigError(f"The job's component '{component_id}' must be a {kind.__name__}. Found {described}.")
    return found


def job_terms(fl_ctx: FLContext) -> RoundTerms:
    """The job's terms. They have one place, so that no two components of a job go by different ones."""
    return component(fl_ctx, _TERMS, RoundTerms)


def tell_error(teller: FLComponent, task: str, error: EcgFlareError, fl_ctx: FLContext) -> None:
    """Log an error of a task: FLARE streams error logs to the server, so that line has the error's class alone."""
    teller.log_error(fl_ctx, f"{task}: {type(error).__name__}, see the log's next line", fire_event=False)
    teller.log_info(fl_ctx, f"{type(error).__name__}: {error}", fire_event=False)


def cache_folder(chosen: str, fl_ctx: FLContext) -> Path:
    """Where prepared pages are kept: as the job says, as ECG_FLARE_CACHE says, or below this party's workspace."""
    folder = chosen or os.environ.get("ECG_FLARE_CACHE", "")
    if folder:
        return Path(folder).expanduser()
    return Path(fl_ctx.get_engine().get_workspace().get_root_dir()) / CACHE_FOLDER


def page_source(fl_ctx: FLContext, component_id: str) -> PageSource:
    """The job's component that gives pages; raises ConfigError where it lacks `describe` or `cases`."""
    return component(fl_ctx, component_id, PageSource)  # type: ignore[type-abstract]


def site_pages(fl_ctx: FLContext, component_id: str, cache: str) -> tuple[PageSource, Path]:
    """A site's pages and the folder of prepared ones: as the site says (`site.own_pages`), or else the job.

    Raises ConfigError where the site's file or the job's component is no page source.
    """
    own = read_own_pages(Path(fl_ctx.get_engine().get_workspace().get_site_config_dir()))
    if own is None:
        own = OwnPages(page_source(fl_ctx, component_id))
    return own.source, cache_folder(own.cache or cache, fl_ctx)
