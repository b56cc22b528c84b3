"""A guarded site reads no file for anyone, whatever the request claims."""

from pathlib import Path

import pytest
from nvflare.private.admin_defs import Message
from nvflare.private.fed.client import shell_cmd

from ecg_flare.flare.site.guard import NoShellCommands

COMMANDS = ("cat {}", "head {}", "tail {}", "grep Doe {}", "ls {}")


def _answer(command: str) -> str:
    return str(shell_cmd.ShellCommandProcessor().process(Message("shell", command), None).body)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_guarded_site_reads_no_file(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell_cmd, "SHELL_CMD_VALIDATORS", dict(shell_cmd.SHELL_CMD_VALIDATORS))
    table = tmp_path / "patients.csv"
    table.write_text("page,patient_id\n1,Doe\n")
    asked = command.format(table)
    assert "Doe" in _answer(asked) or command.startswith("ls")
    NoShellCommands()
    assert _answer(asked) == f"Error: {asked} is not a supported shell command"
