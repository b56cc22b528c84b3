"""Where a site's own pages lie goes before what a job says."""

import json
from pathlib import Path
from typing import Any

import pytest

from ecg_flare.errors import ConfigError, SiteDataError
from ecg_flare.site.own_pages import OWN_PAGES_FILE, OwnPages, SitesOwn, read_own_pages, write_own_pages
from ecg_flare.task.traces.page_folder import PageFolder


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    own = OwnPages(PageFolder("/data/ecg", px_per_mm=8.0), "/data/cache")
    assert write_own_pages(tmp_path / "local", own) == tmp_path / "local" / OWN_PAGES_FILE
    assert read_own_pages(tmp_path / "local") == own


def test_a_site_that_says_nothing_leaves_it_to_the_job(tmp_path: Path) -> None:
    assert read_own_pages(tmp_path) is None


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ([], "expected an object"),
        ({"folder": "x"}, "folder"),
        ({"source": "x"}, "'path' and 'args'"),
        ({"source": {"path": "os.system", "args": {}}}, "none of"),
        ({"source": {"path": "ecg_flare.task.traces.page_folder.PageFolder", "args": []}}, "'path' and 'args'"),
        ({"source": {"path": "ecg_flare.task.traces.page_folder.PageFolder"}, "cache": 5}, "cache is 5"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, entries: Any, named: str) -> None:
    (tmp_path / OWN_PAGES_FILE).write_text(json.dumps(entries))
    with pytest.raises(ConfigError, match=named):
        read_own_pages(tmp_path)


def test_a_half_written_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / OWN_PAGES_FILE).write_text('{"source": ')
    with pytest.raises(ConfigError, match="site prepare"):
        read_own_pages(tmp_path)


def test_a_job_that_leaves_it_to_the_site_trains_on_nothing_else() -> None:
    for ask in (SitesOwn().describe, SitesOwn().cases):
        with pytest.raises(SiteDataError, match=r"'berlin'.*site prepare"):
            ask("berlin")
