"""The report is one file that needs nothing else, and says what the figures say."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ecg_flare.privacy.cohort import Cohort, Mechanism
from ecg_flare.privacy.ledger import Ledger
from ecg_flare.report import read_run, write_report
from ecg_flare.report.table import rounds_table, summary
from ecg_flare.report.watch import look, watch_lines

WriteRun = Callable[..., Path]
_VOID = {"meta", "img", "br", "line", "rect", "circle", "path", "polyline"}


class _Balance(HTMLParser):
    """Open elements; closing another than the innermost fails."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag


def _text(page: str) -> str:
    return re.sub(r"<[^>]+>", " ", page.partition("<body>")[2])


@pytest.fixture
def report(write_run: WriteRun, tmp_path: Path) -> str:
    return write_report(read_run(write_run()), tmp_path / "report.html", pages=0).read_text()


def test_every_element_is_closed(report: str) -> None:
    balance = _Balance()
    balance.feed(report)
    assert balance.open == []


def test_nothing_is_loaded_from_elsewhere(report: str) -> None:
    assert re.findall(r"https?:|<script|<link|@import|url\(", report) == []


def test_a_browser_is_told_to_run_and_load_nothing(report: str) -> None:
    policy = re.search(r'<meta http-equiv=\'Content-Security-Policy\' content="([^"]+)">', report)
    assert policy is not None
    assert policy[1] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert report.index("Content-Security-Policy") < report.index("<style>")


def test_the_figures_are_there(report: str) -> None:
    text = _text(report)
    for figure in ("0.9000", "epsilon RDP", "2.70", "13.0", "4.50 MB", "site-10 2", "Each site is hidden"):
        assert figure in text


def test_steps_of_secure_aggregation_are_drawn_as_one_part_and_named_one_by_one(
    write_run: WriteRun, report_line: Callable[..., dict], tmp_path: Path
) -> None:
    steps = {"aggregate": 0.25, "evaluate": 2.0, "sum_keys": 0.5, "sum_shares": 1.5, "sum_unmask": 1.0, "train": 9.0}
    run = read_run(write_run([report_line(0), report_line(1, seconds_by_step=steps)], {"summation": "masked"}))
    page = write_report(run, tmp_path / "r.html", pages=0).read_text()
    assert "round 1: secure aggregation 3.00 s" in page
    assert "keys 0.500 s, shares 1.50 s, train 9.00 s, unmask 1.00 s, aggregate 0.250 s" in page


def test_a_plain_run_that_validates_spends_no_time_on_secure_aggregation(
    write_run: WriteRun, report_line: Callable[..., dict], tmp_path: Path
) -> None:
    steps = {"aggregate": 0.25, "evaluate": 2.0, "train": 9.0, "validate": 4.0}
    run = read_run(write_run([report_line(0), report_line(1, seconds_by_step=steps)]))
    page = write_report(run, tmp_path / "r.html", pages=0).read_text()
    assert "round 1: validation at the sites 4.00 s" in page
    assert "train 9.00 s, aggregate 0.250 s, evaluate 2.00 s, validate 4.00 s" in page
    assert "secure" not in page.lower()


def test_a_step_that_nobody_knows_is_shown_by_its_own_name(
    write_run: WriteRun, report_line: Callable[..., dict], tmp_path: Path
) -> None:
    steps = {"aggregate": 0.25, "sum_keys": 3.0, "train": 9.0}  # of another way of summing than the run's
    run = read_run(write_run([report_line(0), report_line(1, seconds_by_step=steps)]))
    page = write_report(run, tmp_path / "r.html", pages=0).read_text()
    assert "round 1: sum_keys 3.00 s" in page
    assert "train 9.00 s, aggregate 0.250 s, sum_keys 3.00 s" in page


@pytest.mark.parametrize(
    ("sites", "drawn"),
    [
        (3, [("site-1", "0.2500"), ("site-2", "0.5000"), ("site-3", "0.7500")]),
        (9, [("highest", "2.250"), ("mean", "1.250"), ("lowest", "0.2500")]),
    ],
)
def test_losses_that_sites_told_are_drawn_by_site_while_they_are_few(
    write_run: WriteRun, report_line: Callable[..., dict], tmp_path: Path, sites: int, drawn: list[tuple[str, str]]
) -> None:
    names = [f"site-{number}" for number in range(1, sites + 1)]
    told = {name: {"loss": 0.25 * number} for number, name in enumerate(names, 1)}
    lines = [report_line(0), report_line(1, site_metrics=told, answered=names)]
    run = read_run(write_run(lines, terms={"weights": dict.fromkeys(names, 1.0), "noise_multiplier": None}))
    page = write_report(run, tmp_path / "r.html", pages=0).read_text()
    assert re.findall(r"round 1: (site-\d|highest|mean|lowest) ([\d.]+)", page) == drawn


def test_names_are_escaped(write_run: WriteRun, tmp_path: Path) -> None:
    run = read_run(write_run(facts={"job": "<script>alert(1)</script>", "aggregator": "<b>"}))
    page = write_report(run, tmp_path / "report.html", pages=0).read_text()
    assert "<script>" not in page
    assert "<b>" not in page


def test_a_run_that_ended_early_says_so(write_run: WriteRun, report_line: Callable[..., dict], tmp_path: Path) -> None:
    run = read_run(write_run([report_line(0), report_line(1)]))
    assert "The run has come to round 1 of 3." in write_report(run, tmp_path / "r.html", pages=0).read_text()


def test_a_lost_round_is_told_and_not_taken_for_a_step(
    write_run: WriteRun, report_line: Callable[..., dict], tmp_path: Path
) -> None:
    lost = report_line(2, failure="1 of 3 sites answered", answered=[], update_norm=0.0)
    run = read_run(write_run([report_line(0), report_line(1), lost, report_line(3)]))
    page = write_report(run, tmp_path / "r.html", pages=0).read_text()
    assert "Round 2 failed, and the model stayed: 1 of 3 sites answered" in page
    assert re.findall(r"round (\d): step of the global model", page) == ["1", "3"]
    assert rounds_table(run).splitlines()[3].split() == ["2", "0.9000", "2.00", "failed", "13.0"]


def test_the_dice_at_the_sites_is_drawn_where_it_was_asked_for(
    write_run: WriteRun, report_line: Callable[..., dict], tmp_path: Path
) -> None:
    run = read_run(write_run([report_line(0), report_line(1, sites_dice=0.625), report_line(2)]))
    page = write_report(run, tmp_path / "r.html", pages=0).read_text()
    assert re.findall(r"round (\d): patients held out at the sites ([\d.]+)", page) == [("1", "0.6250")]


def test_a_run_with_its_start_alone_can_be_reported(
    write_run: WriteRun, report_line: Callable[..., dict], tmp_path: Path
) -> None:
    page = write_report(read_run(write_run([report_line(0)])), tmp_path / "r.html", pages=0).read_text()
    assert "0.500" in _text(page)


def test_where_pages_cannot_be_drawn_the_report_says_why(write_run: WriteRun, tmp_path: Path) -> None:
    from ecg_flare.nnunet.kinds import plan_preset

    run = read_run(write_run(facts={"plan_hash": plan_preset("tiny").hash}))
    page = write_report(run, tmp_path / "r.html", pages=1).read_text()
    assert "No pages are drawn: the run saved no model" in page


def test_the_ledger_beside_a_run_is_recomputed(write_run: WriteRun, tmp_path: Path) -> None:
    run = read_run(write_run())
    weights = dict(run.terms.weights)
    with Ledger(run.folder / "ledger.jsonl", Cohort("cohort", "site", tuple(weights), 1e-5, 8.0)) as ledger:
        mechanism = Mechanism("fedadam_dp", 0, 0.5, 5.0, weights, denominator=4.0, unit="site")
        ledger.release(ledger.charge(mechanism), model_sha256="0" * 64)
    page = write_report(run, tmp_path / "r.html", pages=0).read_text()
    assert "holds: 1 rounds charged, 1 released" in page
    text = (run.folder / "ledger.jsonl").read_text()
    (run.folder / "ledger.jsonl").write_text(text.replace("5.0", "6.0", 1))
    assert "The ledger does not hold: " in write_report(run, tmp_path / "r.html", pages=0).read_text()


def test_the_table_of_rounds(write_run: WriteRun) -> None:
    assert rounds_table(read_run(write_run())).splitlines() == [
        "round    Dice  epsilon  sites  seconds",
        "    0  0.5000        0      –      2.0",
        "    1  0.7000     1.00    3/3     13.0",
        "    2  0.9000     2.00    3/3     13.0",
        "    3  0.8000     3.00    3/3     13.0",
    ]


def test_the_table_has_the_dice_at_the_sites_where_the_server_has_no_data(
    write_run: WriteRun, report_line: Callable[..., dict], tmp_path: Path
) -> None:
    lines = [report_line(0, dice=-1.0), report_line(1, dice=-1.0, sites_dice=0.625), report_line(2, dice=-1.0)]
    run = read_run(write_run(lines))
    table = rounds_table(run).splitlines()
    assert table[0].split() == ["round", "Dice", "at", "sites", "epsilon", "sites", "seconds"]
    assert [line.split()[:2] for line in table[1:]] == [["0", "–"], ["1", "0.6250"], ["2", "–"]]
    assert run.best.index == 1
    page = _text(write_report(run, tmp_path / "r.html", pages=0).read_text())
    assert "best 0.625 in round 1" in page
    assert "a sum of counts with noise of its own" in page
    assert "measured on public pages" not in page


def test_measures_beside_dice_stand_in_the_table_the_page_and_the_screen(
    write_run: WriteRun, report_line: Callable[..., dict], tmp_path: Path
) -> None:
    lines = [report_line(0), report_line(1, measures={"snr_db": 12.25, "pages_refused": 1.0})]
    folder = write_run(lines)
    run = read_run(folder)
    assert run.measures == ("snr_db", "pages_refused")
    table = rounds_table(run).splitlines()
    assert " ".join(table[0].split()) == "round Dice SNR dB pages refused epsilon sites seconds"
    assert [line.split()[2:4] for line in table[1:]] == [["–", "–"], ["12.25", "1"]]
    assert summary(run)["rounds"][1]["measures"] == {"snr_db": 12.25, "pages_refused": 1.0}
    page = write_report(run, tmp_path / "r.html", pages=0).read_text()
    assert "<h3>SNR dB on public pages</h3>" in page
    assert "<th>pages refused</th>" in page
    assert "12.25" in watch_lines(look(folder))[-3]


def test_a_measure_takes_no_other_columns_place(write_run: WriteRun, report_line: Callable[..., dict]) -> None:
    names = {"Dice": 0.99, "sites": 7.0, "a_b": 1.5, "a b": 2.5}
    table = rounds_table(read_run(write_run([report_line(0), report_line(1, dice=0.5, measures=names)]))).splitlines()
    assert " ".join(table[0].split()) == "round Dice Dice sites a b a b epsilon sites seconds"
    assert table[2].split()[:6] == ["1", "0.5000", "0.99", "7", "1.5", "2.5"]


def test_the_table_has_no_epsilon_without_noise(write_run: WriteRun) -> None:
    assert "epsilon" not in rounds_table(read_run(write_run(terms={"noise_multiplier": None})))


def test_the_summary_holds_the_figures_unrounded(write_run: WriteRun) -> None:
    told = summary(read_run(write_run()))
    assert told["best_round"] == 2
    assert told["rounds"][2]["epsilon_prv"] == pytest.approx(1.8)
    assert told["model"] is None
