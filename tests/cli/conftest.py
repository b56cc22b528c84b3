"""Runs a command line in this process; a site's kit."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ecg_flare.cli import main


@pytest.fixture
def run_cli() -> Callable[..., Result]:
    """run_cli("command", ...) -> exit code, stdout and stderr."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """As much of a startup kit as says whose it is."""
    folder = tmp_path / "berlin"
    (folder / "startup").mkdir(parents=True)
    (folder / "local").mkdir()
    (folder / "startup" / "fed_client.json").write_text(json.dumps({"client": {"fqsn": "berlin"}}))
    return folder
