"""What the papers tell people to type exists, and what they point to is there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

import ecg_flare
from ecg_flare.cli import main
from ecg_flare.flare.job.bundled import BUNDLED

ROOT = Path(__file__).resolve().parents[2]
PAPERS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)


def _commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """(paper, words after the program) of each line in a shell block, a line that ends with a backslash read on."""
    for paper in PAPERS:
        for block in re.findall(r"```sh\n(.*?)```", paper.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                for command in line.split("&&"):
                    words = shlex.split(command, comments=True)
                    if words[:1] == [program]:
                        yield paper.name, words[1:]


def _as_cases(program: str) -> list[object]:
    return [pytest.param(words, id=f"{paper}: {' '.join(words)}") for paper, words in _commands(program)]


@pytest.mark.parametrize("words", _as_cases("ecg-flare"))
def test_commands_exist_and_take_these_options(words: list[str]) -> None:
    command: click.Command = main
    rest = list(words)
    while isinstance(command, click.Group) and not rest[0].startswith("-"):
        command = command.commands[rest.pop(0)]
    given, unread, _ = command.make_parser(click.Context(command)).parse_args(rest)  # raises for an unknown option
    assert unread == []
    assert [each.name for each in command.params if each.required and not given.get(each.name)] == []


@pytest.mark.parametrize("words", _as_cases("make"))
def test_make_targets_exist(words: list[str]) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert words[0] in targets


@pytest.mark.parametrize("words", [case for case in _as_cases("nvflare") if case.values[0][0] == "simulator"])
def test_simulated_jobs_exist(words: list[str]) -> None:
    assert Path(words[1]).name in (*BUNDLED, "plan_agreement")  # which `jobs agree` writes


def test_the_readme_lists_each_job() -> None:
    listed = re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(BUNDLED)


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_links_within_the_project_lead_somewhere(paper: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", paper.read_text(encoding="utf-8"))
    assert [link for link in links if not (paper.parent / link).exists()] == []


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_files_that_are_named_exist(paper: Path) -> None:
    text = paper.read_text(encoding="utf-8")
    named = re.findall(
        r"`((?:ecg|page|digitize|nnunet|federated|privacy|flare|report|tests|src|docs|custom)/[\w/.+-]+)`", text
    )
    roots = (ROOT, ROOT / "src" / "ecg_flare")
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []


def test_the_citation_file_names_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == ecg_flare.__version__
    assert citation["preferred-citation"]["identifiers"][0]["value"] == "arXiv:2510.22387"


def test_the_changelog_has_a_place_for_what_comes() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    kinds = set(re.findall(r"^### (\w+)", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
