"""A segmenter of one's own reads a page that its function can."""

import json
from collections.abc import Callable

from extending_recipes import Recipe

from ecg_flare.ecg import LEADS, evaluate


def test_a_page_is_read_by_it(recipe: Callable[[str], Recipe]) -> None:
    own = recipe("A segmenter")
    own.write()
    own.run()
    [report] = [path for path in (own.folder / "read").glob("*.json") if path.name != "report.json"]
    said = json.loads(report.read_text())
    assert said["layout"]["name"] == "3x4+1R"
    assert {span["lead"] for span in said["leads"]} == set(LEADS)
    [score] = evaluate(own.folder / "read", own.folder / "pages").scores
    assert score.pcc > 0.98


def test_nobody_knows_it_where_it_is_not_listed(recipe: Callable[[str], Recipe]) -> None:
    own = recipe("A segmenter")
    own.write()
    done = own.command("ecg-flare digitize nothing.png -o read --segmenter dark_ink")
    assert done.returncode == 2
    assert "No segmenter is called 'dark_ink'" in done.stderr
