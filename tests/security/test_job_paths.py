"""A job names no path outside of what a machine's owner allows: attack 14 of issue 13, and its siblings."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flare_loader import Party
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.signal import Signal
from nvflare.apis.workspace import Workspace

from ecg_flare.errors import ConfigError, PolicyError, SiteDataError
from ecg_flare.flare.deploy.allowed import SITE_CLASSES
from ecg_flare.flare.job import paths as job_paths
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.components import check_pages, site_pages
from ecg_flare.flare.job.folders import Pages, job_files, write_job
from ecg_flare.flare.job.messages import TRAIN, TrainRequest
from ecg_flare.flare.job.paths import check_path, check_tracking_uri
from ecg_flare.flare.server.evaluator import PublicEvaluator
from ecg_flare.flare.server.persistor import ModelStore
from ecg_flare.flare.site.admission import check_admission, job_terms
from ecg_flare.flare.site.executor import NnunetExecutor
from ecg_flare.flare.site.filters import StripResult
from ecg_flare.flare.site.in_memory import MemoryEngine, memory_context
from ecg_flare.flare.site.policy import POLICY_FILE
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import parameter_count
from ecg_flare.site.kit import JobFolder, Kit
from ecg_flare.site.own_pages import OWN_PAGES_FILE, OwnPages, SitesOwn, read_own_pages, write_own_pages
from ecg_flare.task.traces import sources
from ecg_flare.task.traces.page_folder import PageFolder
from ecg_flare.task.traces.sources import PtbxlPages, SyntheticPages

SITE = "site-1"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The workspace of a party with a kit, beside folders `pages` and `private`."""
    for name in ("kit/startup", "kit/local", "pages/a", "private"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "kit" / "startup" / "client.crt").touch()
    return tmp_path / "kit"


def context(root: Path, name: str = SITE, **components: Any) -> FLContext:
    return memory_context(MemoryEngine(root, name, components), name, "job")


def set_policy(root: Path, **entries: Any) -> None:
    (root / "local" / POLICY_FILE).write_text(json.dumps(entries))


SOURCES: list[Callable[[str], CaseSource]] = [
    lambda path: PageFolder(path),
    lambda path: PageFolder(folders={SITE: path, "site-2": "/elsewhere"}),
    lambda path: PtbxlPages(path, {}, {SITE: "plain"}),
    lambda path: SyntheticPages({SITE: f"{path}/own.yaml", "site-2": "/elsewhere/own.yaml"}),
    lambda path: PtbxlPages("/nowhere", {}, {SITE: f"{path}/own.yml"}),
]


@pytest.mark.parametrize("make", SOURCES[:4])
def test_a_job_names_pages_in_allowed_folders_alone(root: Path, make: Callable[[str], CaseSource]) -> None:
    source = make(str(root.parent / "pages" / "a"))
    with pytest.raises(PolicyError, match=r"page_folders: the job names '.*local/ecg_flare\.json"):
        site_pages(context(root, pages=source), "pages")
    set_policy(root, page_folders=[str(root.parent / "pages")])
    assert site_pages(context(root, pages=source), "pages")[0] == source


@pytest.mark.parametrize("make", SOURCES)
def test_a_site_without_a_kit_is_its_users_own(
    root: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[str], CaseSource]
) -> None:
    workspace = Workspace(str(root), SITE)
    with pytest.raises(PolicyError):
        check_pages(make("/private"), SITE, workspace)
    monkeypatch.setattr(job_paths, "has_kit", lambda workspace: False)
    check_pages(make("/private"), SITE, workspace)


PROFILED: list[Callable[[str], CaseSource]] = [
    lambda path: SyntheticPages({SITE: path}),
    lambda path: PtbxlPages(str(Path(path).parent), {}, {SITE: path}),
]


@pytest.mark.parametrize("make", PROFILED)
def test_a_profile_leads_to_no_layout_elsewhere(root: Path, make: Callable[[str], CaseSource]) -> None:
    pages, private = root.parent / "pages", root.parent / "private"
    (private / "secret.yaml").write_text("password: hunter2")
    (pages / "link.yaml").symlink_to(private / "secret.yaml")
    (pages / "chest.yaml").write_text("rows: [[{lead: V1, duration_s: 10}]]")
    profile = pages / "ours.yaml"
    source = make(str(profile))
    set_policy(root, page_folders=[str(pages)])
    for layout in (private / "secret.yaml", "../private/secret.yaml", "link.yaml", "{choice: {6x2: 1, link.yaml: 0}}"):
        profile.write_text(f"style: {{layout: {layout}}}")
        with pytest.raises(PolicyError, match=r"page_folders: the job names '.*(secret|link)\.yaml'") as caught:
            site_pages(context(root, pages=source), "pages")
        assert "hunter2" not in str(caught.value)
    profile.write_text("style: {layout: {choice: {chest.yaml: 1, 6x2: 1}}}")
    assert site_pages(context(root, pages=source), "pages")[0] == source


def test_a_forbidden_profile_is_not_searched_for_layouts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(sources, "profile_layout_files", read.append)
    with pytest.raises(PolicyError):
        site_pages(context(root, pages=SyntheticPages({SITE: "/private/ours.yaml"})), "pages")
    assert not read


@pytest.mark.parametrize("name", ["rootCA.pem", "client.crt", "server.crt"])
def test_each_part_of_a_kit_counts(tmp_path: Path, name: str) -> None:
    for folder in ("startup", "local"):
        (tmp_path / folder).mkdir()
    workspace = Workspace(str(tmp_path), SITE)
    assert not job_paths.has_kit(workspace)
    (tmp_path / "startup" / name).touch()
    assert job_paths.has_kit(workspace)


def test_dots_links_and_like_names_do_not_lead_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages, private = root.parent / "pages", root.parent / "private"
    (pages / "link").symlink_to(private)
    (root.parent / "pages-too").mkdir()
    set_policy(root, page_folders=[str(pages)])
    workspace = Workspace(str(root), SITE)
    for path in (pages, pages / "a", pages / "a" / ".." / "b", f"{pages}/./a"):
        check_path(str(path), workspace, "page_folders")
    monkeypatch.setenv("HOME", str(private))
    monkeypatch.chdir(private)
    for path in (pages / ".." / "private", pages / "link", pages / "link" / "x", f"{pages}-too", "~", "x", "", "/"):
        with pytest.raises(PolicyError):
            check_path(str(path), workspace, "page_folders")
    monkeypatch.setattr(job_paths, "_real", Path)  # without following links and dots
    check_path(str(pages / "link" / "x"), workspace, "page_folders")
    check_path(str(pages / ".." / "private"), workspace, "page_folders")


def test_an_allowed_folder_may_itself_be_a_link(root: Path) -> None:
    (root.parent / "mounted").symlink_to(root.parent / "pages")
    set_policy(root, page_folders=[str(root.parent / "mounted")])
    check_path(str(root.parent / "pages" / "a"), Workspace(str(root), SITE), "page_folders")


def test_a_refusal_names_no_folder_of_the_site(root: Path) -> None:
    set_policy(root, page_folders=["/data/secret-study"])
    with pytest.raises(PolicyError) as refused:
        check_path("/x", Workspace(str(root), SITE), "page_folders")
    assert "secret-study" not in str(refused.value)


def test_a_sites_own_pages_need_nobodys_leave(root: Path) -> None:
    own = OwnPages(PageFolder(str(root.parent / "private")))
    write_own_pages(root / "local", own)
    assert site_pages(context(root, pages=PageFolder("/elsewhere")), "pages")[0] == own.source


def test_prepared_pages_go_where_the_site_says(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ECG_FLARE_CACHE", raising=False)
    write_own_pages(root / "local", OwnPages(SyntheticPages({SITE: "plain"})))
    assert site_pages(context(root), "pages")[1] == root / "ecg_flare_cache"
    monkeypatch.setenv("ECG_FLARE_CACHE", "/data/cache")
    assert site_pages(context(root), "pages")[1] == Path("/data/cache")
    write_own_pages(root / "local", OwnPages(SyntheticPages({SITE: "plain"}), "/data/own"))
    assert site_pages(context(root), "pages")[1] == Path("/data/own")


@pytest.mark.parametrize(("side", "part"), [("client", "executor"), ("server", "evaluator")])
def test_a_job_cannot_name_the_cache(fresh_kits: Path, tmp_path: Path, side: str, part: str) -> None:
    spec = replace(BUNDLED["fedavg"], custom=False, pages=Pages("ecg_flare.site.own_pages.SitesOwn"))
    config = json.loads(job_files(spec)[f"app/config/config_fed_{side}.json"])
    entries = [one["executor"] for one in config.get("executors", [])] + config["components"]
    found = next(one for one in entries if one.get("id") == part or "Executor" in one["path"])
    found["args"]["cache"] = "/var/www/html/x"
    with pytest.raises(Exception, match="unexpected keyword argument 'cache'"):
        Party(fresh_kits, side, tmp_path / "app").load(config)


def test_a_site_that_has_not_said_where_its_pages_lie_is_told(root: Path) -> None:
    with pytest.raises(SiteDataError, match="site prepare"):
        site_pages(context(root, pages=SitesOwn()), "pages")


def test_results_and_start_models_lie_in_allowed_folders_alone(root: Path) -> None:
    fl_ctx = context(root, "server")
    folder, model = root.parent / "results" / "run1", root.parent / "results" / "start.npz"
    with pytest.raises(PolicyError, match="results_folders: the job names"):
        ModelStore(str(folder)).check_writable(fl_ctx)
    with pytest.raises(PolicyError, match="results_folders: the job names"):
        PublicEvaluator().start_model(str(model), plan_preset("tiny"), fl_ctx)
    assert not folder.exists()
    set_policy(root, results_folders=[str(root.parent / "results")])
    ModelStore(str(folder)).check_writable(fl_ctx)
    assert folder.is_dir()
    with pytest.raises(Exception, match=r"start\.npz"):  # there is none, which is now known
        PublicEvaluator().start_model(str(model), plan_preset("tiny"), fl_ctx)
    ModelStore().check_writable(context(root, "server"))


@pytest.mark.parametrize("start", ["bundled:../start", "bundled:/etc/passwd", "random:x"])
def test_a_bundled_model_is_no_path(root: Path, start: str) -> None:
    with pytest.raises(ConfigError):
        PublicEvaluator().start_model(start, plan_preset("tiny"), context(root, "server"))


def test_public_pages_of_the_server_are_held_to_its_folders(root: Path) -> None:
    evaluator = PublicEvaluator()
    with pytest.raises(PolicyError, match="page_folders"):
        evaluator.source_spec(context(root, "server", public_pages=PtbxlPages("/db", {}, {"public": "plain"})))


def test_a_tracking_uri_is_one_that_the_server_lists(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(str(root), "server")
    set_policy(root, tracking_uris=["http://mlflow:5000"])
    check_tracking_uri("http://mlflow:5000", workspace)
    for uri in ("http://mlflow:5000/", "sqlite:////etc/x.db", "file:///srv", "http://elsewhere"):
        with pytest.raises(PolicyError, match="tracking_uris"):
            check_tracking_uri(uri, workspace)
    monkeypatch.setattr(job_paths, "has_kit", lambda workspace: False)
    check_tracking_uri("http://elsewhere", workspace)


@pytest.mark.parametrize(
    "entries",
    [{"page_folders": "/data"}, {"page_folders": ["data"]}, {"results_folders": [5]}, {"tracking_uris": [""]}],
)
def test_a_policy_that_allows_nothing_sensible_is_refused(root: Path, entries: dict[str, Any]) -> None:
    set_policy(root, **entries)
    with pytest.raises(ConfigError, match=next(iter(entries))):
        check_path("/data", Workspace(str(root), SITE), "page_folders")


def test_a_rehearsal_holds_a_jobs_folders_to_the_real_kit(root: Path, tmp_path: Path) -> None:
    (root / "local" / "resources.json").write_text(json.dumps({"class_allow_list": SITE_CLASSES}))
    pages = Pages("ecg_flare.task.traces.page_folder.PageFolder", {"folder": str(tmp_path / "private")})
    job = JobFolder(write_job(replace(BUNDLED["fedavg"], pages=pages, custom=False), tmp_path / "jobs"))
    with pytest.raises(PolicyError, match="page_folders"):
        check_admission(job, Kit(root), SITE, job_terms(job, SITE))


@dataclass(frozen=True)
class Scans:
    """A case source of a hospital's own code."""

    ward: str = "3B"

    def describe(self, site: str) -> Any:
        return self.ward

    def cases(self, site: str) -> Any:
        return iter(())


def test_own_code_is_named_to_the_training_process_by_the_object_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class outside the table reaches the child as the class of what FLARE built, never from a file or argument."""
    asked: list[Any] = []
    monkeypatch.setattr(
        "ecg_flare.flare.site.executor.Worker.call", lambda self, *args, **others: asked.append(args[1])
    )
    terms, plan = BUNDLED["fedavg"].terms, plan_preset("tiny")
    model = np.zeros(parameter_count(plan), np.float32)
    request = TrainRequest(model, 0, "a" * 32, plan.layout_digest, plan.hash, terms.digest)
    fl_ctx = context(root, terms=terms, pages=Scans())
    fl_ctx.set_prop(
        FLContextKey.RUNNER, type("R", (), {"task_result_filters": {"train/out": [StripResult()]}})(), private=True
    )
    with pytest.raises(AttributeError):  # the stand-in answers nothing
        NnunetExecutor().execute(TRAIN, request.to_shareable(), fl_ctx, Signal())
    assert asked[0]["own_class"] == f"{__name__}.Scans" == asked[0]["source"]["path"]
    (root / "local" / OWN_PAGES_FILE).write_text(json.dumps({"source": asked[0]["source"]}))
    with pytest.raises(ConfigError, match="none of"):
        read_own_pages(root / "local")
