"""How a job's components find each other, and the site's own pages."""

from collections.abc import Callable
from pathlib import Path

import pytest
from nvflare.apis.fl_context import FLContext

from ecg_flare.errors import ConfigError
from ecg_flare.flare.job.components import site_pages
from ecg_flare.site.own_pages import OwnPages, write_own_pages
from ecg_flare.task.traces.page_folder import PageFolder
from ecg_flare.task.traces.sources import SyntheticPages

JOBS = SyntheticPages({"site-1": "plain"})


def test_the_jobs_pages_are_taken_where_the_site_says_nothing(
    context: Callable[..., FLContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ECG_FLARE_CACHE", raising=False)
    source, cache = site_pages(context(pages=JOBS), "pages")
    assert source is JOBS
    assert cache == tmp_path / "site-1" / "ecg_flare_cache"


def test_the_sites_own_pages_go_before_the_jobs(context: Callable[..., FLContext], tmp_path: Path) -> None:
    fl_ctx = context(pages=JOBS)
    own = OwnPages(PageFolder("/data/ecg"), str(tmp_path / "big disk"))
    write_own_pages(tmp_path / "site-1" / "local", own)
    assert site_pages(fl_ctx, "pages") == (own.source, tmp_path / "big disk")


def test_own_pages_that_cannot_be_read_are_no_reason_to_take_the_jobs(
    context: Callable[..., FLContext], tmp_path: Path
) -> None:
    fl_ctx = context(pages=JOBS)
    (tmp_path / "site-1" / "local" / "ecg_flare_pages.json").write_text("{}")
    with pytest.raises(ConfigError, match="source"):
        site_pages(fl_ctx, "pages")
