"""A layout of one's own, by the path of its file and with six leads."""

from collections.abc import Callable

from extending_recipes import Recipe

from ecg_flare.page import load_page


def test_a_page_shows_the_leads_of_the_file_where_it_says(recipe: Callable[[str], Recipe]) -> None:
    own = recipe("A layout")
    own.write()
    assert "1 page" in own.run()
    [image] = [path for path in (own.folder / "pages").glob("*.png") if not path.name.endswith(".mask.png")]
    traces = load_page(image).truth.traces
    assert {trace.lead for trace in traces} == {"I", "II", "III", "aVR", "aVL", "aVF"}
    assert len(traces) == 7
