"""The page of a comparison: its curves stand where the numbers say, and its figures need nothing else."""

import base64
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from compare_runs import OTHER_PAGES, PATIENTS, Runs

from ecg_flare.report.charts import MAX_SERIES, Axes, Series, inline, line_drawing
from ecg_flare.report.compare import compare, write_comparison
from ecg_flare.report.compare.page import render_comparison
from ecg_flare.report.compare.settings import differences
from ecg_flare.report.figure_file import figure

SVG = "{http://www.w3.org/2000/svg}"


def figures(page: str) -> list[ElementTree.Element]:
    """The files behind the page's links."""
    links = re.findall(r'href="data:image/svg\+xml;base64,([^"]+)"', page)
    return [ElementTree.fromstring(base64.b64decode(each)) for each in links]


def lines(drawn: ElementTree.Element) -> list[list[tuple[float, float]]]:
    """The points of each curve."""
    found = [each.get("points", "").split() for each in drawn.iter(f"{SVG}polyline")]
    return [[(float(x), float(y)) for x, y in (point.split(",") for point in one)] for one in found]


def titles(page: str, name: str) -> list[str]:
    return re.findall(rf"<title>([^<]*: {name}[^<]*)</title>", page.split("Dice by gradient step")[1])


def test_by_round_all_runs_meet_and_by_step_each_has_its_own_length(runs: Runs) -> None:
    dice = [0.5, 0.6, 0.7]
    page = render_comparison(compare([runs.read("a", dice, steps=40), runs.read("b", dice, steps=10)]))
    by_round, by_step = map(lines, figures(page))
    assert [x for x, _ in by_round[0]] == [x for x, _ in by_round[1]]
    (first, *_, last_of_a), (also_first, *_, last_of_b) = by_step
    assert first == also_first
    assert last_of_b[0] - first[0] == pytest.approx((last_of_a[0] - first[0]) / 4, abs=0.2)
    assert last_of_a[1] == last_of_b[1]  # the same Dice
    assert titles(page, "b")[-1] == "gradient steps of a site in a row 20: b 0.7000"


def test_a_run_without_steps_is_drawn_by_round_alone(runs: Runs) -> None:
    by_round, by_step = map(lines, figures(render_comparison(compare([runs.read("a"), runs.read("b", steps=None)]))))
    assert (len(by_round), len(by_step)) == (2, 1)
    [only] = figures(render_comparison(compare([runs.read("c", steps=None), runs.read("d", steps=None)])))
    assert len(lines(only)) == 2


def test_a_figure_is_whole_and_of_plain_colours(runs: Runs) -> None:
    page = render_comparison(compare([runs.read("a"), runs.read("b")]))
    for each in figures(page):
        text = ElementTree.tostring(each, encoding="unicode")
        assert "var(" not in text
        assert re.findall(r"url\(|@import|https?://(?!www\.w3\.org/)", text) == []
        told = [one.text for one in each.iter(f"{SVG}text")]
        assert {"a (reference)", "b", "trace Dice on public pages", "reference 0.800"} <= set(told)
        assert each.get("width") == each.get("viewBox", "").split()[2]


def test_each_series_has_its_own_colour_dash_and_marker() -> None:
    series = [Series(str(slot), [0.1 * slot, 0.2], slot) for slot in range(1, MAX_SERIES + 1)]
    file = figure(line_drawing([0, 1], series, axes=Axes("Dice")), series, "")
    colours = re.findall(r"\.s\d\.line \{ stroke: (#[0-9a-f]{6});", file)
    assert len(set(colours)) == MAX_SERIES
    dashes = re.findall(r"\.line\.s\d \{ stroke-dasharray: ([\d ]+);", file)
    assert len(set(dashes)) == MAX_SERIES - 1  # the first is a whole line
    drawn = ElementTree.fromstring(file)
    keys = [
        "".join(f"{mark.tag} {mark.get('d', '')}" for mark in group if "mark" in mark.get("class", ""))
        for group in drawn.iter(f"{SVG}g")
        if group.get("transform")
    ]
    assert len(set(keys)) == MAX_SERIES


def test_the_keys_of_a_figure_do_not_lie_on_one_another() -> None:
    series = [Series("name " * 8, [0.1, 0.2], slot) for slot in range(1, MAX_SERIES + 1)]
    drawing = line_drawing([0, 1], series, axes=Axes("Dice"))
    drawn = ElementTree.fromstring(figure(drawing, series, ""))
    places = [group.get("transform") for group in drawn.iter(f"{SVG}g") if group.get("transform")]
    assert len(set(places)) == MAX_SERIES
    tops = [float(str(place).rstrip(")").split()[1]) for place in places]
    assert min(tops) >= drawing.height
    assert max(tops) + 12 <= float(drawn.get("height", 0))


def test_a_long_curve_keeps_some_markers(runs: Runs) -> None:
    drawn = inline(line_drawing(range(1000), [Series("a", [0.5] * 1000, 1)], axes=Axes("Dice")))
    assert 30 <= drawn.count("<circle") <= 60
    assert "round 999: a" in drawn


def test_the_reference_and_runs_of_other_pages_are_marked(runs: Runs) -> None:
    other = runs.read("b", lines={index: {"pages": OTHER_PAGES} for index in range(4)})
    page = render_comparison(compare([other, runs.read("a")], "a"))
    assert "a (reference)</span>" in page
    assert "b (other or unknown pages)</span>" in page
    assert re.search(r"<tr class='strong'><td>a \(reference\)</td>", page)


def test_repeats_share_a_key_and_have_a_table_of_their_own(runs: Runs) -> None:
    given = [runs.read(name, [0.5, dice], label="Adam") for name, dice in (("s0", 0.7), ("s1", 0.8))]
    page = render_comparison(compare([runs.read("pool", [0.5, 0.9]), *given]))
    by_round, _ = figures(page)
    assert len(lines(by_round)) == 2
    told = [one.text for one in by_round.iter(f"{SVG}text") if one.get("class") == "key"]
    assert told == ["pool (reference)", "Adam (mean of 2 runs)"]
    [band] = by_round.iter(f"{SVG}polygon")
    corners = [float(point.split(",")[1]) for point in band.get("points", "").split()]
    start, high, low, _ = corners
    pool, adam = (line[-1][1] for line in lines(by_round))
    assert adam == pytest.approx((high + low) / 2, abs=0.1)  # 0.75 between 0.8 and 0.7
    assert start - pool == pytest.approx(4 * (low - high), abs=0.5)  # from 0.5 to 0.9, against 0.7 to 0.8
    assert "<td>Adam</td><td>2</td><td>0.7500</td><td>0.0707</td><td>0.7000</td><td>0.8000</td><td>0.8333</td>" in page
    assert "Of the others, Adam has the highest, 0.750, the mean of 2 runs: 0.833 of the reference" in page
    assert "runs are called" not in page
    assert "By method" not in render_comparison(compare([runs.read("c"), runs.read("d")]))


def test_repeats_of_other_lengths_have_a_mean_as_far_as_all_of_them_go(runs: Runs) -> None:
    given = [runs.read("long", [0.5, 0.6, 0.7, 0.8], label="A"), runs.read("short", [0.5, 0.6], label="A")]
    by_round, _ = figures(render_comparison(compare([runs.read("b"), *given])))
    assert [len(line) for line in lines(by_round)] == [4, 2]


def test_only_settings_that_differ_are_shown(runs: Runs) -> None:
    given = [runs.read("a", steps=40), runs.read("b", steps=10, terms=PATIENTS)]
    told = differences(compare(given).entries)
    assert told["steps a round"] == ("40", "10")
    assert told["unit"] == ("–", "patient")
    assert not {"plan", "rounds planned", "sites", "aggregator"} & set(told)
    assert "All recorded settings are the same." in render_comparison(compare([given[0], runs.read("c", steps=40)]))


def test_promises_are_told_once_each(runs: Runs) -> None:
    page = render_comparison(compare([runs.read("a"), runs.read("b"), runs.read("c", terms=PATIENTS)]))
    assert "<li>a and b: The released models are not differentially private.</li>" in page
    assert "<li>c: Each patient is hidden with epsilon 3.00 at delta 0.001" in page


def test_the_page_is_one_file(runs: Runs, tmp_path: Path) -> None:
    page = write_comparison(compare([runs.read("a"), runs.read("b")]), tmp_path / "c.html").read_text()
    assert re.findall(r"https?:|<script|<link|@import|url\(", page) == []
    assert set(re.findall(r'href="([^,"]*)', page)) == {"data:image/svg+xml;base64"}
