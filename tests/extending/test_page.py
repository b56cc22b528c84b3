"""Every recipe of the page is tried, and none is tried that is not there."""

import re
from pathlib import Path

from extending_recipes import ROOT, Recipe

HERE = Path(__file__).parent


def test_each_recipe_of_the_page_has_a_test_and_commands_or_files_of_its_own() -> None:
    page = (ROOT / "docs" / "extending.md").read_text()
    recipes = [heading for heading in re.findall(r"^## (.+)$", page, re.MULTILINE) if heading.startswith("A ")]
    tests = "".join(path.read_text() for path in HERE.glob("test_*.py") if path != Path(__file__))
    assert {heading for heading in recipes if f'"{heading}"' in tests} == set(recipes) != set()
    assert all("commands" in dict(Recipe(heading, HERE).blocks) for heading in recipes)


def test_the_table_leads_to_each_recipe() -> None:
    page = (ROOT / "docs" / "extending.md").read_text()
    recipes = [heading for heading in re.findall(r"^## (.+)$", page, re.MULTILINE) if heading.startswith("A ")]
    linked = re.findall(r"\[([^\]]+)\]\(#([a-z-]+)\)", page)
    assert [name for name, _ in linked] == recipes
    assert all(anchor == name.lower().replace(" ", "-") for name, anchor in linked)
