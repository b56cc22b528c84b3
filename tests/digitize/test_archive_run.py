"""An archive is read once: what stands is passed by, what changed is read again, and an early end loses nothing."""

import csv
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from archives import NumberReader, contents, draw_pages, keep

from ecg_flare.digitize import Digitization, ReadingOptions
from ecg_flare.digitize.archive import parts
from ecg_flare.digitize.archive.run import Effort, read_archive
from ecg_flare.digitize.archive.summary import ArchiveSummary
from ecg_flare.errors import ConfigError, StorageError


@pytest.fixture
def reader(clean_reading: Digitization, tmp_path: Path) -> NumberReader:
    return NumberReader(keep(clean_reading, tmp_path / "kept"), tmp_path / "log")


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    return draw_pages(tmp_path / "pages", range(90, 94))


def run(
    pages: Path, reader: NumberReader, options: ReadingOptions | None = None, *, html: bool = False
) -> ArchiveSummary:
    effort = Effort(html=html, progress=False, digitizer=reader)
    return read_archive([pages], pages.parent / "out", options, effort)


def newly(pages: Path, reader: NumberReader, options: ReadingOptions | None = None, *, html: bool = False) -> list[int]:
    """The pages that a run read."""
    before = len(reader.begun())
    run(pages, reader, options, html=html)
    return reader.begun()[before:]


def test_a_second_run_reads_nothing_and_tells_the_same(pages: Path, reader: NumberReader) -> None:
    first = run(pages, reader)
    left = contents(pages.parent / "out")
    second = run(pages, reader)

    assert reader.begun() == [90, 91, 92, 93]
    assert (first.standing, second.standing) == (0, 4)
    assert first.counts == second.counts
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert contents(pages.parent / "out") == left
    assert "4 stood already" in second.to_text()


def test_only_what_changed_is_read_again(pages: Path, reader: NumberReader) -> None:
    run(pages, reader)
    (pages / "p091.png").write_bytes((pages / "p092.png").read_bytes())
    os.utime(pages / "p093.png", (1, 1))  # another time, the same bytes
    draw_pages(pages, range(94, 95))

    assert newly(pages, reader) == [92, 94]
    assert newly(pages, reader) == []


def test_results_that_were_deleted_are_read_again(pages: Path, reader: NumberReader) -> None:
    run(pages, reader)
    (pages.parent / "out" / "p092.json").unlink()

    assert newly(pages, reader) == [92]


def test_other_settings_read_all_again(pages: Path, reader: NumberReader, monkeypatch: pytest.MonkeyPatch) -> None:
    run(pages, reader)
    assert newly(pages, reader, ReadingOptions(speed=25.0)) == [90, 91, 92, 93]
    assert newly(pages, reader, ReadingOptions(speed=25.0)) == []
    monkeypatch.setattr("ecg_flare.digitize.archive.run.reader_version", lambda: "9.9.9+other")
    assert newly(pages, reader, ReadingOptions(speed=25.0)) == [90, 91, 92, 93]


def test_a_report_that_is_wanted_later_reads_again(pages: Path, reader: NumberReader) -> None:
    run(pages, reader)
    assert newly(pages, reader, html=True) == [90, 91, 92, 93]
    assert newly(pages, reader, html=True) == []
    assert newly(pages, reader) == []


def test_a_page_that_is_no_ecg_is_not_tried_again_and_one_that_failed_is(pages: Path, reader: NumberReader) -> None:
    faulty = replace(reader, refused=(91,), stumbles=(92,))
    summary = run(pages, faulty)
    assert (summary.counts.failed, summary.exit_code) == (2, 3)
    assert "p091.png (page 1): this is no ECG page" in summary.to_text()
    assert "unexpected IndexError: index 7" in summary.to_text()

    (pages.parent / "fixed").touch()
    assert newly(pages, faulty) == [92]
    again = run(pages, faulty)
    assert (again.counts.failed, again.counts.pages) == (1, 4)


def test_a_run_that_is_ended_in_the_middle_goes_on_there(pages: Path, reader: NumberReader, tmp_path: Path) -> None:
    run(pages, reader, html=True)
    undisturbed = contents(pages.parent / "out")
    out = tmp_path / "resumed"
    fresh = replace(reader, log=tmp_path / "log2")
    with pytest.raises(KeyboardInterrupt):
        read_archive([pages], out, None, Effort(html=True, progress=False, digitizer=replace(fresh, ends_at=92)))
    assert "p092.json" not in contents(out)
    (out / ".p092.csv.ab12_xyz").write_text("half a fi")  # what a kill leaves while a file is written

    summary = read_archive([pages], out, None, Effort(html=True, progress=False, digitizer=fresh))

    assert fresh.begun() == [90, 91, 92, 92, 93]
    assert summary.standing == 2
    assert contents(out) == undisturbed


def test_the_table_says_the_same_as_csv_and_as_parquet(pages: Path, reader: NumberReader) -> None:
    draw_pages(pages, range(10, 11))
    run(pages, replace(reader, refused=(91,)))
    out = pages.parent / "out"

    rows = list(csv.DictReader((out / "pages.csv").read_text().splitlines()))
    columns = pq.read_table(out / "pages.parquet").to_pydict()

    assert [row["name"] for row in rows] == columns["name"] == ["p010", "p090", "p091", "p092", "p093"]
    assert columns["status"] == ["withheld", "read", "failed", "read", "read"]
    assert columns["confidence"] == [0.1, 0.9, None, 0.92, 0.93]
    assert [row["confidence"] for row in rows] == ["0.1", "0.9", "", "0.92", "0.93"]
    report = json.loads((out / "p090.json").read_text())
    assert columns["layout"][1] == report["layout"]["name"]
    assert columns["warnings"][1] == report["warnings"]
    assert columns["duration_s"][1] == report["recording"]["duration_s"]
    assert "below 0.25" in columns["error"][0]
    assert columns["error"][2] == rows[2]["error"] == "this is no ECG page"


def test_the_table_keeps_what_the_folder_holds_of_earlier_runs(pages: Path, reader: NumberReader) -> None:
    run(pages, reader)
    effort = Effort(progress=False, digitizer=reader)
    summary = read_archive([pages / "p091.png"], pages.parent / "out", None, effort)

    assert summary.counts.pages == 1
    assert len((pages.parent / "out" / "pages.csv").read_text().splitlines()) == 5


def test_a_long_report_comes_in_parts_and_a_short_one_in_one_file(
    pages: Path, reader: NumberReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = pages.parent / "out"
    draw_pages(pages, range(94, 95))
    run(pages, reader, html=True)
    whole = (out / "report.html").read_text()
    assert 'src="data:image/jpeg;base64,' in whole
    assert "overlay.png" not in whole
    assert not (out / "report-2.html").exists()

    monkeypatch.setattr(parts, "PAGES_A_PART", 2)
    run(pages, reader, html=True)
    texts = [(out / name).read_text() for name in ("report.html", "report-2.html", "report-3.html")]
    assert [re.findall(r'article id="(p\d+)"', text) for text in texts] == [
        ["p090", "p091"],
        ["p092", "p093"],
        ["p094"],
    ]
    assert "Part 2 of 3, confidence 92% to 93%" in texts[1]
    links = {url for text in texts for url in re.findall(r'(?:src|href)="([^"#]+)"', text)}
    assert links == {"report.html", "report-2.html", "report-3.html", *(f"p09{n}.overlay.png" for n in range(5))}
    assert all((out / link).exists() for link in links)

    monkeypatch.setattr(parts, "PAGES_A_PART", 4)
    (out / "report-4.html").write_text("of somebody else")
    run(pages, reader, html=True)
    assert sorted(path.name for path in out.glob("report*")) == ["report-2.html", "report-4.html", "report.html"]


def test_json_tells_every_page_in_the_order_it_was_given(pages: Path, reader: NumberReader) -> None:
    effort = Effort(progress=False, digitizer=replace(reader, refused=(91,)))
    summary = read_archive(
        [pages / "p093.png", pages / "p091.png", pages / "p090.png"], pages.parent / "out", None, effort
    )
    told = json.loads("".join(summary.json_pieces()))

    assert [page["name"] for page in told["results"]] == ["p093", "p091", "p090"]
    assert told["results"][2]["report"] == json.loads((pages.parent / "out" / "p090.json").read_text())
    assert (told["results"][1]["error"], told["results"][1]["report"]) == ("this is no ECG page", None)
    assert (told["pages"], told["failed"], told["exit_code"]) == (3, 1, 3)


def test_wrong_use_is_told_before_any_page(pages: Path, reader: NumberReader, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="workers is 0"):
        Effort(workers=0)
    with pytest.raises(ConfigError, match="guess"):
        read_archive([pages], tmp_path / "x", ReadingOptions(segmenter="guess"))
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        read_archive([pages], tmp_path / "file" / "below", None, Effort(digitizer=reader))
    assert reader.begun() == []
