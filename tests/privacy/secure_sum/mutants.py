"""Takes each check of secure aggregation away in turn and shows which test notices: run as a script.

    python tests/privacy/secure_sum/mutants.py

`test_guards_mutation` shows for the attacks that the attack itself succeeds; this covers every check there is. It ends
with status 1 and names the checks whose absence no test noticed.
"""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "ecg_flare.privacy.secure_sum."
MODULES = ("checks", "limits", "memory", "recovered_sums", "masking", "signing", "context")
FILES = (
    "checks",
    "terms",
    "secure_sum_attacks",
    "memory",
    "recovered_sums",
    "signing",
    "masking",
    "keys",
    "dropouts",
    "secure_sum_protocol",
)
RUN = """
import importlib, sys, pytest
module = importlib.import_module({module!r})
setattr(module, {name!r}, lambda *_, **__: True)
sys.exit(pytest.main(["-x", "-q", "--no-header", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


def removable() -> Iterator[tuple[str, str]]:
    """Every check: functions named check_…, is_… and require_…."""
    for module in MODULES:
        found = importlib.import_module(PACKAGE + module)
        for name, function in inspect.getmembers(found, inspect.isfunction):
            if function.__module__ == found.__name__ and re.match(r"_?(check|is|require)_", name):
                yield module, name


def first_to_notice(module: str, name: str) -> str | None:
    """Name of the first test that fails without the check, or None."""
    here = Path(__file__).resolve().parent
    files = [str(here / f"test_{file}.py") for file in FILES]
    run = [sys.executable, "-c", RUN.format(module=PACKAGE + module, name=name), *files]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, flags=re.MULTILINE)
    return failed.group(1).rsplit("/", 1)[-1] if failed else None


def main() -> int:
    unnoticed = []
    for module, name in removable():
        noticed = first_to_notice(module, name)
        sys.stdout.write(f"{module}.{name}: {noticed or 'NOT NOTICED'}\n")
        sys.stdout.flush()
        if noticed is None:
            unnoticed.append(name)
    return 1 if unnoticed else 0


if __name__ == "__main__":
    raise SystemExit(main())
