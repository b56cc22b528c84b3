"""How components of a job find each other and their folders."""

import os
from pathlib import Path
from typing import TypeVar

from nvflare.apis.fl_context import FLContext

from ecg_flare.errors import ConfigError
from ecg_flare.nnunet.sources import PageSource
from ecg_flare.site.own_pages import CACHE_FOLDER, OwnPages, read_own_pages

T = TypeVar("T")


def component(fl_ctx: FLContext, component_id: str, kind: type[T]) -> T:
    """The job's component of that id; raises ConfigError where there is none or it is no `kind`."""
    found = fl_ctx.get_engine().get_component(component_id)
    if not isinstance(found, kind):
        described = "none" if found is None else type(found).__name__
        raise ConfigError(f"The job's component '{component_id}' must be a {kind.__name__}. Found {described}.")
    return found


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
