"""A Dask scheduler and two workers on this machine write what one process does, though a worker is killed."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from os import environ, pathsep
from pathlib import Path
from types import SimpleNamespace

import pytest
from archives import NumberReader, contents, draw_pages, keep

from ecg_flare.digitize import Digitization, ReadingOptions
from ecg_flare.digitize.archive import cluster
from ecg_flare.digitize.archive.cluster import Order, read_by_cluster, read_on_worker
from ecg_flare.digitize.archive.listing import ToRead
from ecg_flare.digitize.archive.run import Effort, read_archive
from ecg_flare.digitize.archive.worker import Done, Setup
from ecg_flare.digitize.files.summary import PageOutcome
from ecg_flare.errors import ConfigError
from ecg_flare.page.page_list import PageFile


@pytest.fixture
def reader(clean_reading: Digitization, tmp_path: Path) -> NumberReader:
    return NumberReader(keep(clean_reading, tmp_path / "kept"), tmp_path / "log")


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    return draw_pages(tmp_path / "pages", range(90, 96))


@pytest.fixture
def scheduler(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with two workers: three processes and two that watch over the workers."""
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    folder = tmp_path_factory.mktemp("dask")
    paths = {"PYTHONPATH": pathsep.join([str(Path(__file__).parent), *sys.path])}
    settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": getattr(request, "param", "1")}
    found = folder / "scheduler.json"
    common = ("--scheduler-file", str(found), "--no-dashboard")
    commands = [
        ("scheduler", "--host", "127.0.0.1", "--port", "0", *common),
        *(("worker", "--nthreads", "1", "--local-directory", str(folder), *common) for _ in range(2)),
    ]
    with ExitStack() as ended:
        for command in commands:
            arguments = [sys.executable, "-m", f"distributed.cli.dask_{command[0]}", *command[1:]]
            process = subprocess.Popen(
                arguments, env=environ | paths | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            ended.callback(process.wait)
            ended.callback(process.terminate)
        yield _address(found)


def _address(file: Path) -> str:
    from distributed import Client

    with Client(scheduler_file=str(file), timeout=60, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=120)
        return str(client.scheduler.address)


@pytest.mark.slow
def test_a_cluster_writes_what_one_process_does_though_a_worker_is_killed(
    scheduler: str, pages: Path, reader: NumberReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the pages are named by relative paths
    given = [Path("pages")]
    alone = replace(reader, log=tmp_path / "log1")
    read_archive(given, Path("one"), None, Effort(html=True, progress=False, digitizer=alone))
    killed = replace(reader, kills=((91, 1),))

    summary = read_archive(
        given, Path("two"), None, Effort(html=True, progress=False, digitizer=killed, dask=scheduler)
    )

    assert (summary.counts.pages, summary.counts.failed, summary.exit_code) == (6, 0, 0)
    assert sorted(killed.begun()) == [90, 91, 91, 92, 93, 94, 95]
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["0"], indirect=True)
def test_pages_that_only_waited_on_lost_workers_are_read(
    scheduler: str, pages: Path, reader: NumberReader, tmp_path: Path
) -> None:
    deadly = replace(reader, kills=((91, 99), (92, 99)))

    summary = read_archive([pages], tmp_path / "out", None, Effort(progress=False, digitizer=deadly, dask=scheduler))

    assert (summary.counts.pages, summary.counts.failed) == (6, 2)
    for name in ("p091.png", "p092.png"):
        assert f"{name} (page 1): the process that read it was lost" in summary.to_text()


class Blaming(Executor):
    """Gives up each page that is asked for first, and the deadly one each time."""

    def __init__(self, deadly: str) -> None:
        self.deadly = deadly
        self.asked: list[str] = []

    def submit(self, fn: object, page: PageFile, order: Order) -> Future[Done]:  # type: ignore[override]
        from distributed import KilledWorker

        self.asked.append(page.name)
        answer: Future[Done] = Future()
        if page.name == self.deadly or self.asked.count(page.name) == 1:
            answer.set_exception(KilledWorker(page.name, SimpleNamespace(address="w"), 1))
        else:
            answer.set_result((PageOutcome(page.name, 1, page.name, 0.1, {}), None))
        return answer


def test_a_page_that_is_given_up_is_read_once_more_when_all_others_are_done(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    executor = Blaming(deadly="p091")
    client = SimpleNamespace(get_executor=lambda pure: executor, nthreads=lambda: {"w": 1})
    monkeypatch.setattr(cluster, "_client", lambda address: nullcontext(client))
    names = [f"p{number:03}" for number in range(90, 96)]
    items = [ToRead(PageFile(pages / f"{name}.png", 1, name), 1, place, None, None) for place, name in enumerate(names)]

    results = read_by_cluster(iter([*items, None]), Setup(ReadingOptions(), tmp_path), "tcp://127.0.0.1:9")

    errors = {told[0].page.name: told[1][0].error for told in results if told is not None}
    assert [name for name in names if errors[name]] == ["p091"]
    assert executor.asked[:6] == names
    assert sorted(executor.asked[6:]) == names


def test_a_worker_of_other_code_or_without_the_folder_is_told(pages: Path, tmp_path: Path) -> None:
    page, setup = PageFile(pages / "p090.png", 1, "p090"), Setup(ReadingOptions(), tmp_path)
    with pytest.raises(ConfigError, match=r"expected 0\.0\.0"):
        read_on_worker(page, Order(setup, "0.0.0", tmp_path))
    with pytest.raises(ConfigError, match="does not see the folder"):
        read_on_worker(page, Order(setup, cluster.reader_version(), tmp_path / "nowhere"))


def test_a_cluster_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup(ReadingOptions(), tmp_path)
    monkeypatch.setattr(cluster, "_SECONDS", 0.2)
    with pytest.raises(ConfigError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        list(read_by_cluster(iter([]), setup, "tcp://127.0.0.1:9"))
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match="needs the extra `cluster`"):
        list(read_by_cluster(iter([]), setup, "tcp://127.0.0.1:9"))
    with pytest.raises(ConfigError, match="give one of both"):
        Effort(workers=2, dask="tcp://127.0.0.1:9")
