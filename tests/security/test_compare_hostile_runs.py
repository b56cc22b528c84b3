"""What runs from elsewhere say never becomes markup of a comparison, of its figures, or a formula of its tables."""

import base64
import csv
import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from test_run_files import FORBIDDEN, X, run_files, tags, written

from ecg_flare.report.compare import compare, page
from ecg_flare.report.compare.cautions import cautions
from ecg_flare.report.compare.comparison import Comparison, Named
from ecg_flare.report.compare.csv_files import rounds_csv, table_csv
from ecg_flare.report.compare.page import render_comparison
from ecg_flare.report.compare.results import results
from ecg_flare.report.run import read_run


def hostile(folder: Path, **facts: Any) -> Comparison:
    """Two runs with markup wherever a text can stand."""
    given = []
    for name in ("a", "b"):
        run, rounds = run_files()
        run |= {"training": {"steps": 3, "schedule": X, X: X}, "public_pages": {"path": X, "args": {X: X + name}}}
        run |= {"start": X + name, "plan_hash": X + name, "aggregator": X + name, "version": X + name, **facts}
        rounds[1]["pages"], rounds[-1]["pages"] = "\x1b[2J", f"\x07{X}{name}"
        (folder / name).mkdir()
        written(folder / name, run, rounds)
        (folder / name / "ended.json").write_text('{"outcome": "<script>alert(1)</script>"}')
        given.append(Named(read_run(folder / name), origin=X))
    return compare(given)


def test_no_text_of_a_run_becomes_markup(tmp_path: Path) -> None:
    text = render_comparison(hostile(tmp_path))
    assert text.count("&lt;script&gt;alert(1)") > 10
    assert set(tags(text)) & FORBIDDEN == {"a"}
    assert set(re.findall(r"<a [^>]*?href=\"([^,]*)", text)) == {"data:image/svg+xml;base64"}


def test_no_name_becomes_markup_of_a_figure(tmp_path: Path) -> None:
    links = re.findall(r"base64,([^\"]+)", render_comparison(hostile(tmp_path)))
    assert len(links) == 2
    for each in links:
        root = ElementTree.fromstring(base64.b64decode(each))
        kinds = {one.tag.rpartition("}")[2] for one in root.iter()}
        assert kinds <= {"svg", "title", "desc", "style", "rect", "line", "text", "polyline", "g", "circle", "path"}
        assert not any(name.startswith("on") for one in root.iter() for name in one.attrib)


def test_without_escaping_it_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "escape", lambda text: text)
    assert "<script>alert(1)" in render_comparison(hostile(tmp_path))


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)"])
def test_no_name_becomes_a_formula(tmp_path: Path, name: str) -> None:
    comparison = hostile(tmp_path, job=name)
    for text in (rounds_csv(comparison), table_csv(results(comparison))):
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert [cell for cell in cells if cell.startswith(("=", "@"))] == []
        assert any(cell.startswith(f"'{name}") for cell in cells)


def test_what_is_printed_steers_no_terminal(tmp_path: Path) -> None:
    comparison = hostile(tmp_path, job="\x1b]0;x\x07\u202e\n", start="\x1b[2J", plan_hash="\x1b[1A")
    printed = "\n".join([*cautions(comparison), *(each.name for each in results(comparison))])
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]", printed)
