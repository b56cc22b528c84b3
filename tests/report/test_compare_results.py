"""The values of a comparison: ratios, steps, costs, and the order of the table."""

import math

import pytest
from compare_runs import OTHER_PAGES, PATIENTS, PLAIN, Runs

from ecg_flare.errors import ConfigError
from ecg_flare.report.charts import MAX_SERIES
from ecg_flare.report.compare import Named, compare
from ecg_flare.report.compare.results import Epsilon, method_results, promises_differ, results
from ecg_flare.report.compare.steps import gradient_steps
from ecg_flare.report.compare.table import table_rows


def test_a_ratio_is_of_the_last_rounds_and_not_of_the_best(runs: Runs) -> None:
    rows = results(compare([runs.read("a", [0.5, 0.9, 0.8]), runs.read("b", [0.5, 0.7, 0.6])]))
    assert [(row.name, row.dice, row.ratio) for row in rows] == [("a", 0.8, 1.0), ("b", 0.6, pytest.approx(0.75))]
    assert (rows[0].best_dice, rows[0].best_round) == (0.9, 1)


def test_the_reference_is_the_first_or_the_chosen_one(runs: Runs) -> None:
    given = [runs.read("a", [0.4, 0.4]), runs.read("b", [0.4, 0.8])]
    assert {row.name: row.ratio for row in results(compare(given))} == {"a": 1.0, "b": 2.0}
    assert {row.name: row.ratio for row in results(compare(given, "b"))} == {"a": 0.5, "b": 1.0}
    assert [row.name for row in results(compare(given))] == ["b", "a"]  # the highest Dice first, whoever is reference
    assert [row.is_reference for row in results(compare(given))] == [False, True]


def test_a_run_on_other_pages_has_no_ratio_and_stands_last(runs: Runs) -> None:
    other = runs.read("b", [0.5, 0.99], lines={index: {"pages": OTHER_PAGES} for index in (0, 1)})
    rows = results(compare([runs.read("a", [0.5, 0.6]), other]))
    assert [(row.name, row.ratio) for row in rows] == [("a", 1.0), ("b", None)]


def test_pages_without_a_digest_are_compared_by_what_describes_them(runs: Runs) -> None:
    bare = {index: {"pages": ""} for index in (0, 1)}

    def run(name: str, **args: object) -> Named:
        pages = {"path": "ecg_flare.task.traces.sources.PtbxlPages", "args": {"limit": 3, **args}}
        return runs.read(name, [0.5, 0.5], lines=bare, public_pages=pages)

    here, there, fewer = run("a", root="/data/here"), run("b", root="/mnt/there"), run("c", root="/data/here", limit=2)
    assert [row.ratio for row in results(compare([here, there, fewer]))] == [1.0, 1.0, None]
    silent = [runs.read(name, [0.5, 0.5], lines=bare) for name in ("d", "e")]
    assert [row.ratio for row in results(compare(silent))] == [1.0, None]


def test_a_reference_that_found_nothing_gives_no_ratio(runs: Runs) -> None:
    rows = results(compare([runs.read("a", [0.0, 0.0]), runs.read("b", [0.0, 0.5])]))
    assert [row.ratio for row in rows] == [None, None]


def test_sites_take_their_steps_side_by_side(runs: Runs) -> None:
    run = runs.read("a", steps=10).run  # three sites, three rounds
    steps = gradient_steps(run)
    assert steps is not None
    assert [(each, steps[each].in_a_row, steps[each].of_all) for each in steps] == [
        *((0, 0, 0), (1, 10, 30), (2, 20, 60), (3, 30, 90)),
    ]


def test_a_failed_round_takes_no_step_and_a_missing_site_none(runs: Runs) -> None:
    lines = {1: {"answered": ["site-1"]}, 2: {"answered": [], "failure": "too few"}}
    steps = gradient_steps(runs.read("a", steps=10, lines=lines).run)
    assert steps is not None
    assert [(each.in_a_row, each.of_all) for each in steps.values()] == [(0, 0), (10, 10), (10, 10), (20, 40)]


def test_drawn_patients_are_counted_as_many_as_are_expected(runs: Runs) -> None:
    run = runs.read("a", steps=2, terms=PATIENTS)  # a quarter of 40 patients, in each of 3 rounds
    [row, _] = results(compare([run, runs.read("b")]))
    assert (row.steps_in_a_row, row.steps_of_all) == (6, 3 * 2 * 0.25 * 40)
    assert table_rows([row])[1][6] == "about 60"


def test_rounds_that_were_not_recorded_are_not_guessed(runs: Runs) -> None:
    run = runs.read("a", [0.5, 0.6, 0.7], lines={1: {"round": 4}, 2: {"round": 8}}).run
    steps = gradient_steps(run)
    assert steps is not None
    assert [(each.in_a_row, each.of_all) for each in steps.values()] == [(0, 0.0), (40, None), (80, None)]


def test_a_run_that_tells_no_steps_has_dashes(runs: Runs) -> None:
    rows = results(compare([runs.read("a", steps=None), runs.read("b")]))
    assert (rows[0].steps_in_a_row, rows[0].steps_of_all) == (None, None)
    assert table_rows(rows)[1][5:7] == ["–", "–"]


def test_costs_are_summed_over_rounds_and_sites(runs: Runs) -> None:
    row = results(compare([runs.read("a"), runs.read("b")]))[0]
    assert (row.bytes_down, row.bytes_up, row.traffic) == (9_000_000, 4_500_000, 13_500_000)
    assert row.seconds == math.fsum([2, 13, 13, 13])
    assert row.sites == 3
    assert table_rows([row])[1][8:] == ["13.5 MB", "41.0 s", "3"]


def test_epsilon_stands_with_its_promise_where_promises_differ(runs: Runs) -> None:
    site = runs.read("site", terms={"delta": 1e-5})
    patient, other = runs.read("patient", terms=PATIENTS), runs.read("other", terms={"delta": 1e-6})
    alone = results(compare([site, runs.read("open")]))
    assert not promises_differ(alone)
    assert alone[0].epsilon == Epsilon(3.0, 1e-5, "site")
    assert table_rows(alone)[0][7] == "epsilon (δ\N{NO-BREAK SPACE}10⁻⁵, site)"
    assert [row[7] for row in table_rows(alone)[1:]] == ["3.00", "none"]
    for another in (patient, other):
        rows = results(compare([site, another]))
        assert promises_differ(rows)
        head, first, _ = table_rows(rows)
        assert (head[7], first[7]) == ("epsilon", "3.00 (δ\N{NO-BREAK SPACE}10⁻⁵, site)")


def test_a_delta_that_hides_nobody_is_told_in_the_table(runs: Runs) -> None:
    row = results(compare([runs.read("a", terms=PATIENTS | {"delta": 0.5}), runs.read("b")]))[0]
    assert table_rows([row])[1][7] == "3.00, hides nobody"
    unrecorded = runs.read("c", terms={}, lines={3: {"epsilon_rdp": None}})
    assert table_rows(results(compare([unrecorded, runs.read("d")])))[1][7] == "not recorded"


def test_equal_names_are_told_apart_by_folder_and_then_by_number(runs: Runs) -> None:
    given = [runs.read(folder, job="fed") for folder in ("one", "two")]
    assert [each.name for each in compare(given).entries] == ["fed (one)", "fed (two)"]
    alike = [type(each)(each.run, origin="run") for each in given]
    assert [each.name for each in compare(alike).entries] == ["fed (run)", "fed (run) (2)"]


def test_a_label_stands_for_the_jobs_name(runs: Runs) -> None:
    given = [runs.read("one", job="fed", label="FedAdam"), runs.read("two", job="fed")]
    assert [each.name for each in compare(given).entries] == ["FedAdam", "fed"]
    assert compare(given, "FedAdam").reference.name == "FedAdam"


def test_what_steers_a_terminal_is_no_part_of_a_name(runs: Runs) -> None:
    names = [
        each.name
        for each in compare([runs.read("a", job="\x1b[2Jfed\u202eavg\n"), runs.read("b", job="x" * 500)]).entries
    ]
    assert names == ["\ufffd[2Jfed\ufffdavg\ufffd", "x" * 59 + "…"]


def test_runs_of_one_label_are_repeats_whose_mean_is_compared(runs: Runs) -> None:
    adam = [runs.read(f"adam{dice}", [0.5, dice], label="Adam") for dice in (0.70, 0.80, 0.90)]
    avg = [runs.read(f"avg{dice}", [0.5, dice], label="Avg") for dice in (0.50, 0.70)]
    comparison = compare([*avg, *adam], "Adam")
    best, other = method_results(comparison)
    assert (best.name, best.is_reference, best.runs) == ("Adam", True, 3)
    assert (best.dice, best.spread, best.least, best.most, best.ratio) == pytest.approx((0.8, 0.1, 0.7, 0.9, 1.0))
    assert (other.name, other.runs) == ("Avg", 2)
    assert (other.dice, other.spread, other.ratio) == pytest.approx((0.6, 0.2 / math.sqrt(2), 0.75))
    rows = {row.name: row.ratio for row in results(comparison)}
    assert rows["Adam (adam0.9)"] == pytest.approx(0.9 / 0.8)
    assert rows["Avg (avg0.5)"] == pytest.approx(0.5 / 0.8)
    assert (comparison.methods, comparison.repeated) == (("Avg", "Adam"), True)


def test_a_repeat_on_other_pages_is_left_out_of_the_mean(runs: Runs) -> None:
    other = runs.read("c", [0.5, 0.9], label="B", lines={1: {"pages": OTHER_PAGES}})
    given = [runs.read("a", [0.5, 0.8]), runs.read("b", [0.5, 0.6], label="B"), other]
    told = method_results(compare(given))[1]
    assert (told.name, told.runs, told.dice, told.spread) == ("B", 1, 0.6, None)
    alone = method_results(compare([given[0], other]))[1]
    assert (alone.dice, alone.ratio) == (0.9, None)


def test_what_cannot_be_compared_at_all_is_refused_by_name(runs: Runs) -> None:
    a, b = runs.read("a"), runs.read("b")
    with pytest.raises(ConfigError, match=r"1 runs are given, expected two or more"):
        compare([a])
    with pytest.raises(ConfigError, match=rf"{MAX_SERIES + 1} methods are given, expected at most {MAX_SERIES}"):
        compare([runs.read(f"run{number}") for number in range(MAX_SERIES + 1)])
    with pytest.raises(ConfigError, match=r"ecg_flare is given 2 times"):
        compare([a, b, a])
    with pytest.raises(ConfigError, match=r"the name 'x+' has 61 letters, expected at most 60"):
        compare([a, runs.read("c", label="x" * 61)])
    with pytest.raises(ConfigError, match=r"reference 'c' is none of the runs: a, b"):
        compare([a, b], "c")


def test_the_fixtures_are_what_they_say(runs: Runs) -> None:
    assert not runs.read("a", terms=PLAIN).run.terms.private
