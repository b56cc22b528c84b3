"""Secure sums side by side: ours, Flower's SecAgg+ functions, and CKKS by TenSEAL with FLARE's parameters.

    python -m benchmarks.secure_sum [--json] [--quick]

One float32 vector a site, from the clipped update to what is sent, and at the server from what arrives to the mean
update. No site falls silent. Seconds are CPU seconds of this process (user and system), so that other work on the
machine does not count, of the best of up to five runs. Bytes are those of the serialized messages, with the float32
model counted in what goes down.
Needs `flwr` and `tenseal` for the comparisons; what is not installed is left out and said.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import click
from tqdm import tqdm

from benchmarks.secure_sum.ckks import ckks
from benchmarks.secure_sum.flower import flower
from benchmarks.secure_sum.ours import bare, ours
from benchmarks.secure_sum.rows import Row

PARAMETERS = (120_000, 1_300_000, 33_500_000)
SITES = (3, 10, 30)
QUICK_PARAMETERS = (120_000,)
QUICK_SITES = (3, 10)
MAX_RUNS = 5
SECONDS_A_ROW = 8.0
System = Callable[[int, int], Row]


def measure(parameters: Sequence[int], sites: Sequence[int]) -> Iterator[Row]:
    """All systems that are installed, for every size and cohort."""
    systems: list[System] = [bare, ours]
    optional: list[tuple[str, System, str]] = [("flwr", flower, "flwr"), ("tenseal", ckks, "ecg_flare[he]")]
    for package, system, install in optional:
        if importlib.util.find_spec(package):
            systems.append(system)
        else:
            click.echo(f"{package} is not installed, left out: pip install '{install}'", err=True)
    plan = [(system, d, n) for d in parameters for n in sites for system in systems]
    for system, d, n in tqdm(plan, disable=not sys.stderr.isatty()):
        yield best(system, d, n)


def best(system: System, parameters: int, sites: int) -> Row:
    """The run with the fewest seconds of a few: what disturbs a run only ever adds to it."""
    rows: list[Row] = []
    start = time.process_time()
    while not rows or (len(rows) < MAX_RUNS and time.process_time() - start < SECONDS_A_ROW):
        rows.append(system(parameters, sites))
    return min(rows, key=lambda row: row.client_s + row.server_s)


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, with each aim's figure beside our own rows."""
    lines = [
        "| parameters | sites | system | client s | server s | up MB | up bytes/parameter | down MB | down/float32 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.parameters / 1e6:.2f} M | {row.sites} | {row.system} | {row.client_s:.3f} | {row.server_s:.3f} | "
            f"{row.up_bytes / 1e6:.2f} | {row.up_bytes / row.parameters:.2f} | {row.down_bytes / 1e6:.2f} | "
            f"{row.down_bytes / (4 * row.parameters):.3f} |"
        )
    return "\n".join(lines)


def ratios(rows: Sequence[Row]) -> str:
    """Our rows against the aims."""
    lines = ["| parameters | sites | masking / bare | Flower / ours, client + server |", "|---|---|---|---|"]
    found = {(row.system, row.parameters, row.sites): row for row in rows}
    for row in (row for row in rows if row.system == "ecg_flare"):
        least = found["bare numpy mask", row.parameters, row.sites].client_s
        masking = (
            sum(seconds for name, seconds in row.parts_s.items() if name.startswith("client "))
            - row.parts_s["client encode"]
        )
        other = found.get(("Flower SecAgg+", row.parameters, row.sites))
        beside = (other.client_s + other.server_s) / (row.client_s + row.server_s) if other else float("nan")
        lines.append(f"| {row.parameters / 1e6:.2f} M | {row.sites} | {masking / least:.2f} | {beside:.1f} |")
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--json", "as_json", is_flag=True, help="Rows as JSON.")
@click.option("--quick", is_flag=True, help="0.12 M parameters, 3 and 10 sites.")
def main(as_json: bool, quick: bool) -> None:
    rows = list(measure(QUICK_PARAMETERS, QUICK_SITES) if quick else measure(PARAMETERS, SITES))
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=1))
        return
    click.echo(table(rows))
    click.echo()
    click.echo(ratios(rows))
    for row in rows:
        if row.note:
            click.echo(f"{row.system}, {row.parameters / 1e6:.2f} M, {row.sites} sites: {row.note}", err=True)


if __name__ == "__main__":
    main()
