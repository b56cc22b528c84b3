"""Temporary folders of the training process: none outlives its owner for longer than the next one's start."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ecg_flare.nnunet.scratch import Scratch

_OWNER = """
import sys, tempfile
from ecg_flare.nnunet.scratch import Scratch
scratch = Scratch()
(scratch.path / "file").write_text("left")
print(scratch.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_a_killed_owners_folder_goes_with_the_next_one_and_a_living_ones_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _OWNER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        Scratch().remove()
        assert (folder / "file").exists()
        owner.kill()
    assert (folder / "file").exists()
    scratch = Scratch()
    assert not folder.exists()
    scratch.remove()
    assert not list(tmp_path.iterdir())
