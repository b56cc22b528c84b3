"""The audit of the deployed path in its long form: more canaries, more rounds, half of the patients drawn.

    python -m benchmarks.audit [--quick] [--broken] [--json] [FAULT ...]

A job of FLARE's simulator for each fault (`planted/planted.py`), without names the honest one and all that change what
is released. `--quick` has the size that CI runs (`tests/flare/test_deployed_audit.py`). `--broken` makes each function
of the path raise in turn: no such job may pass.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import click

from benchmarks.audit.planted import PLANTED
from benchmarks.audit.planted.planted import PATH
from benchmarks.markdown import row
from ecg_flare.errors import PrivacyError
from ecg_flare.flare.deploy.deployed_audit import Design, Directions, audit_deployed, canary_directions
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import initial_vector
from ecg_flare.privacy.audit.path import AuditResult

QUICK: Final = Design(seed=7)
LONG: Final = Design(canaries=40, rounds=12, noise_multiplier=1.0, sampling_rate=0.5, seed=1)
FAULTS: Final = ("none", "half_noise", "two_names", "drawn_twice", "all_drawn")


@dataclass(frozen=True)
class Audited:
    """What the audit found in a job with this fault; `refused` says why there was nothing to judge, or is ''."""

    fault: str
    results: tuple[AuditResult, ...]
    refused: str
    seconds: float


def audit(fault: str, design: Design, directions: Directions, folder: Path) -> Audited:
    """Run the audit once, with the fault in FLARE's processes."""
    os.environ["AUDIT_FAULT"] = "" if fault == "none" else fault
    started = time.monotonic()
    try:
        results = audit_deployed(folder, design, app=PLANTED, directions=directions, log=_report)
        refused = ""
    except PrivacyError as error:
        results, refused = (), str(error)
    return Audited(fault, results, refused, time.monotonic() - started)


def lines(audited: Audited) -> str:
    """A row of the table, what is above its bound in bold."""
    if audited.refused:
        return row(f"`{audited.fault}`", audited.refused.partition(":")[0], "", "", "", f"{audited.seconds:.0f}")
    cells = [
        f"{each.estimate:.3g} of {each.bound:.3g}" if each.passed else f"**{each.estimate:.3g}** of {each.bound:.3g}"
        for each in audited.results
    ]
    return row(f"`{audited.fault}`", *cells, f"{audited.seconds:.0f}")


@click.command(help=__doc__)
@click.argument("faults", nargs=-1)
@click.option("--quick", is_flag=True, help="At CI's size.")
@click.option("--broken", is_flag=True, help="Make each function of the path raise in turn.")
@click.option("--json", "as_json", is_flag=True)
def main(faults: tuple[str, ...], quick: bool, broken: bool, as_json: bool) -> None:
    design = QUICK if quick else LONG
    chosen = faults or (tuple(f"raise:{name}" for name in PATH) if broken else FAULTS)
    found = []
    with tempfile.TemporaryDirectory(prefix="ecg_flare-audit-") as kept:
        model = initial_vector(plan_preset(design.terms.model.plan), 0)
        directions = canary_directions(Path(kept) / "auditor", model, design)
        for number, fault in enumerate(chosen):
            folder = Path(kept) / str(number)
            folder.mkdir()
            found.append(audit(fault, design, directions, folder))
            _report(lines(found[-1]))
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    click.echo(row("fault", "guesses", "noise", "contribution", "epsilon", "s"))
    click.echo(row(*6 * ["---"]))
    for each in found:
        click.echo(lines(each))


def _report(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
