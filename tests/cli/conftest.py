"""Runs a command line in this process."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from ecg_flare.cli import main


@pytest.fixture
def run_cli() -> Callable[..., Result]:
    """run_cli("command", ...) -> exit code, stdout and stderr."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run
