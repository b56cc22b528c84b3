"""Several processes write what one writes; one that is lost costs its page a second try and nothing else."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from archives import NumberReader, contents, draw_pages, keep

from ecg_flare.digitize import Digitization, ReadingOptions
from ecg_flare.digitize.archive.listing import ToRead
from ecg_flare.digitize.archive.processes import read_by_processes
from ecg_flare.digitize.archive.run import Effort, read_archive
from ecg_flare.digitize.archive.worker import Setup
from ecg_flare.errors import ConfigError
from ecg_flare.page.page_list import PageFile


@pytest.fixture
def reader(clean_reading: Digitization, tmp_path: Path) -> NumberReader:
    return NumberReader(keep(clean_reading, tmp_path / "kept"), tmp_path / "log")


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    return draw_pages(tmp_path / "pages", range(90, 96))


def effort(reader: NumberReader, workers: int) -> Effort:
    return Effort(workers=workers, html=True, progress=False, digitizer=reader)


def test_two_workers_write_what_one_does_though_each_loses_a_process(
    pages: Path, reader: NumberReader, tmp_path: Path
) -> None:
    alone = read_archive([pages], tmp_path / "one", None, effort(replace(reader, log=tmp_path / "log1"), 1))
    killed = replace(reader, kills=((91, 1), (94, 1)))
    together = read_archive([pages], tmp_path / "two", None, effort(killed, 2))

    assert sorted(killed.begun()) == [90, 91, 91, 92, 93, 94, 94, 95]
    assert together.counts == alone.counts
    assert (together.exit_code, together.counts.failed) == (0, 0)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_a_page_that_kills_each_process_is_reported_and_the_others_are_read(
    pages: Path, reader: NumberReader, tmp_path: Path
) -> None:
    deadly = replace(reader, kills=((92, 9),))
    summary = read_archive([pages], tmp_path / "out", None, effort(deadly, 2))

    assert sorted(deadly.begun()) == [90, 91, 92, 92, 93, 94, 95]
    assert (summary.counts.pages, summary.counts.failed) == (6, 1)
    assert "p092.png (page 1): the process that read it was lost 2 times" in summary.to_text()
    assert not (tmp_path / "out" / "p092.json").exists()


def test_what_a_worker_cannot_load_ends_the_run(pages: Path, tmp_path: Path) -> None:
    setup = Setup(ReadingOptions(segmenter="classical"), tmp_path, extensions=("not_installed_here",))
    item = ToRead(PageFile(pages / "p090.png", 1, "p090"), 1, 0, None, None)
    with pytest.raises(ConfigError, match="not_installed_here"):
        list(read_by_processes(iter([item]), setup, 1))


RUN = """
import sys
from pathlib import Path
from archives import NumberReader
from ecg_flare.digitize.archive.run import Effort, read_archive

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    reader = NumberReader(folder / "kept", folder / "log")
    effort = Effort(workers=2, html=True, progress=False, digitizer=reader)
    read_archive([folder / "pages"], folder / "out", None, effort)
"""


WRITER = """
import sys, time
from pathlib import Path
from ecg_flare.storage import hold_folder, write_atomically
out = Path(sys.argv[1])
hold_folder(out)
print("held", flush=True)
time.sleep(1.0)
write_atomically(out / "p082.overlay.png", lambda file: (time.sleep(1.0), file.write(b"of the killed run")))
"""


def test_a_run_waits_for_the_last_file_of_a_killed_one(pages: Path, reader: NumberReader, tmp_path: Path) -> None:
    """A worker outlives its killed run by a moment: what it writes then is not left lying about, nor the last word."""
    draw_pages(pages, range(82, 85))
    read_archive([pages], tmp_path / "one", None, effort(replace(reader, log=tmp_path / "log1"), 1))
    (tmp_path / "out").mkdir()
    left = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "out")], stdout=subprocess.PIPE)
    assert left.stdout is not None
    assert left.stdout.readline() == b"held\n"
    read_archive([pages], tmp_path / "out", None, effort(reader, 1))
    assert left.wait() == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "one")


def test_a_run_that_is_killed_goes_on_to_the_same_files(pages: Path, reader: NumberReader, tmp_path: Path) -> None:
    draw_pages(pages, range(82, 90))
    alone = replace(reader, log=tmp_path / "log1")
    read_archive([pages], tmp_path / "one", None, effort(alone, 1))
    script = tmp_path / "run.py"
    script.write_text(RUN)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=environment)
    deadline = time.monotonic() + 120
    while len(reader.begun()) < 4 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    begun = len(reader.begun())
    assert 4 <= begun < 14, "it was to be killed in the middle"

    summary = read_archive([pages], tmp_path / "out", None, effort(reader, 1))

    assert 0 < summary.standing < 14
    assert len(reader.begun()) <= begun + 14 - summary.standing + 2  # each worker may have begun one more
    assert contents(tmp_path / "out") == contents(tmp_path / "one")
