"""The recipes of docs/extending.md, followed to the letter in a folder outside of the package.

A recipe is a section of the page. Its code blocks with a title are files, but for the blocks "commands".
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

_BLOCK: Final = re.compile(r'^```[a-z]+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


class Recipe:
    """A section of the page, at work in a folder.

    Args:
        heading: of the section.
        folder: where its files go.
    """

    def __init__(self, heading: str, folder: Path) -> None:
        page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
        [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        self.blocks: list[tuple[str, str]] = _BLOCK.findall(section)
        self.folder = folder

    def text(self, title: str) -> str:
        """The block of that title."""
        [text] = [text for name, text in self.blocks if name == title]
        return text

    def write(self) -> None:
        """Write the recipe's files. A file of a kit adds to what stands there already."""
        for name, text in self.blocks:
            if name == "commands":
                continue
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".json" and path.exists():
                text = json.dumps({**json.loads(path.read_text()), **json.loads(text)})
            path.write_text(text, encoding="utf-8")

    def run(self, *, ends: int = 0) -> str:
        """Run the recipe's commands, each in a process of its own; gives what the last one said."""
        [*first, last] = [line for line in self.text("commands").splitlines() if line]
        for line in first:
            assert self.command(line).returncode == 0
        done = self.command(last)
        assert done.returncode == ends, done.stdout + done.stderr
        return done.stdout + done.stderr

    def command(self, line: str) -> "subprocess.CompletedProcess[str]":
        """Run one line: an `ecg-flare` command, or a script of the recipe."""
        program, *arguments = shlex.split(line)
        start = {"ecg-flare": ["-c", "from ecg_flare.cli import main; main(prog_name='ecg-flare')"], "python": []}
        path = os.pathsep.join([str(self.folder), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            [sys.executable, *start[program], *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
