"""Each thing that does not compare is said in a sentence that names it."""

from typing import Any

import pytest
from compare_runs import OTHER_PAGES, PATIENTS, Runs

from ecg_flare.report.compare import Named, compare
from ecg_flare.report.compare.cautions import cautions
from ecg_flare.report.run import read_run

NO_DIGESTS = {index: {"pages": ""} for index in range(4)}


def told(*given: Named, reference: str = "") -> str:
    return "\n".join(cautions(compare(given, reference)))


def test_runs_that_compare_need_no_word(runs: Runs) -> None:
    assert told(runs.read("a"), runs.read("b", steps=40)) == ""


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lines": {3: {"pages": OTHER_PAGES}}}, "b was measured on other public pages (cdcdcdcdcdcd…) than a (ababab"),
        (
            {"lines": {3: {"pages": OTHER_PAGES}}},
            "public pages of b changed on the way (abababababab… and cdcdcdcdcdcd…)",
        ),
        (
            {"lines": NO_DIGESTS},
            "What b and a record of their public pages does not tell whether these are the same",
        ),
        ({"terms": {"plan": "small", "noise_multiplier": None}}, "b trains the network of plan small, a that of plan"),
        ({"start": "random:3"}, "b began from the model random:3, a from that it does not record"),
        ({"steps": None}, "How many gradient steps a round has is not recorded for b"),
        ({"lines": {2: {"failure": "too few"}}}, "b lost 1 of its rounds (2): the model stayed"),
        (
            {"terms": PATIENTS, "lines": {0: {"epsilon_rdp": 2.5}}},
            "b counts earlier jobs, too: its ledger had spent 2.5",
        ),
        ({"terms": PATIENTS | {"delta": 0.5}}, "The delta of b, 0.5, hides nobody"),
        ({"terms": PATIENTS, "lines": {3: {"epsilon_rdp": None}}}, "b added noise, but recorded no epsilon"),
    ],
)
def test_what_does_not_compare_is_named(runs: Runs, changes: dict[str, Any], sentence: str) -> None:
    assert sentence in told(runs.read("a"), runs.read("b", **changes))


def test_plans_of_one_name_are_told_apart_by_their_hash_where_both_have_one(runs: Runs) -> None:
    a, b, silent = (
        runs.read("a", plan_hash="aa" * 32),
        runs.read("b", plan_hash="bb" * 32),
        runs.read("c"),
    )
    assert "b trains the network of plan tiny (bbbbbbbbbbbb), a that of plan tiny (aaaaaaaaaaaa)" in told(a, b)
    assert told(a, silent) == ""


def test_pages_taken_for_equal_by_their_description_are_said_to_be(runs: Runs) -> None:
    spec = {"path": "p", "args": {"seed": 1}}
    old = runs.read("old", lines=NO_DIGESTS, public_pages=spec)
    assert "old and new are taken to have the same public pages by their description" in told(
        runs.read("new", public_pages=spec), old
    )


def test_promises_of_other_deltas_or_units_are_said_not_to_compare(runs: Runs) -> None:
    site, again, patient = (
        *(runs.read(name, terms={"delta": 1e-5}) for name in "st"),
        runs.read("p", terms=PATIENTS),
    )
    sentence = told(site, again, patient)
    assert (
        "cannot be compared with each other: s and t at delta 10⁻⁵ for one site; p at delta 0.001 for one p" in sentence
    )
    assert "cannot be compared" not in told(site, again)


def test_a_run_that_ended_before_says_where_and_why(runs: Runs) -> None:
    aborted = runs.write("b", terms={"rounds": 9, "noise_multiplier": None})
    ended = runs.folder(aborted) / "ended.json"
    ended.write_text('{"outcome": "The job was aborted after round 3, whose model is kept."}')
    a = runs.read("a")
    assert "b ended after round 3 of 9, whose Dice stands here: The job was aborted" in told(
        a, Named(read_run(aborted))
    )
    ended.write_text('{"outcome": "finished"}')
    assert "b stopped after round 3 of 9, as a job does whose privacy budget" in told(a, Named(read_run(aborted)))
    ended.unlink()
    assert "b has come to round 3 of 9, whose Dice stands here: it still runs" in told(a, Named(read_run(aborted)))


def test_a_torn_last_line_is_told(runs: Runs) -> None:
    torn = runs.write("b")
    metrics = runs.folder(torn) / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes()[:-30])
    assert "The last line of metrics.jsonl of b was half written" in told(runs.read("a"), Named(read_run(torn)))


def test_equal_names_are_told(runs: Runs) -> None:
    assert "2 runs are called 'fed': they stand as fed (one) and fed (two)." in told(
        runs.read("one", job="fed"), runs.read("two", job="fed")
    )


def test_a_reference_without_dice_is_told(runs: Runs) -> None:
    assert "The last Dice of the reference a is 0: no ratio" in told(runs.read("a", [0.0, 0.0]), runs.read("b"))


def test_repeats_of_different_settings_are_told(runs: Runs) -> None:
    a, b = (runs.read(f"run{steps}", steps=steps, label="A") for steps in (10, 20))
    assert "The runs called A differ in steps a round: they are no repeats" in told(a, b)
    assert told(a, runs.read("c", label="A")) == ""
