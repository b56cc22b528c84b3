"""Fewer bytes: the Dice of a masked FedAdam run beside the megabytes that each site sent for it.

    python -m benchmarks.federation.megabytes [--seeds 2] [--rounds 20] [--steps 10] [--bits-alone] [--quick]

The runs are those of `benchmarks.federation` with FedAdam, but the sum is masked, and a site sends fewer bits of each
value (words of 16 and 8 bits), fewer values (some tensors alone; a random projection), or fewer updates of more steps.
All take the same number of steps at a site. MB are what a site sends in the whole run, masked updates alone; the
messages about keys are 4 kB a round. Finished runs are kept in FOLDER/runs.jsonl.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from benchmarks.federation.candidates import PLAN, TUNED
from benchmarks.federation.kept import finished
from benchmarks.federation.methods import Budget, Method, Upload
from benchmarks.federation.pages import SITES, pages_of
from benchmarks.federation.runs import Bench
from benchmarks.federation.table import Order, Run, reseeded
from benchmarks.markdown import mean_and_spread, row
from benchmarks.run_lines import grouped
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import Plan

CLIPPING_NORM: Final = 4.0
"""C: longer than the sites' updates, but for those of the first rounds."""

DECODER: Final = ("decoder.*",)
FOLDED: Final = 30_337
"""A quarter of the values."""

BITS: Final = {
    "32 bits": Upload(CLIPPING_NORM),
    "16 bits": Upload(CLIPPING_NORM, ring_bits=16),
    "8 bits": Upload(CLIPPING_NORM, ring_bits=8),
}
UPLOADS: Final = {
    **BITS,
    "decoder, 32 bits": Upload(CLIPPING_NORM, trained=DECODER),
    "decoder, 8 bits": Upload(CLIPPING_NORM, ring_bits=8, trained=DECODER),
    "a quarter, 32 bits": Upload(CLIPPING_NORM, projection=FOLDED),
    "a quarter, 8 bits": Upload(CLIPPING_NORM, ring_bits=8, projection=FOLDED),
}
FEWER: Final = (2, 4)
"""Times fewer rounds of so many times more steps, with 16 bits."""


@click.command(help=__doc__)
@click.option("--rounds", default=20, show_default=True, help="Of a run.")
@click.option("--steps", default=10, show_default=True, help="Of each site in a round.")
@click.option("--seeds", default=2, show_default=True, help="Runs of each.")
@click.option("--bits-alone", is_flag=True, help="Words of 32, 16 and 8 bits alone.")
@click.option("--synthetic", is_flag=True, help="Pages of synthetic recordings instead of PTB-XL's.")
@click.option("--quick", is_flag=True, help="Synthetic, four rounds of one step, one seed: to see that it works.")
@click.option("--folder", type=click.Path(path_type=Path), default="build/megabytes", show_default=True)
def main(rounds: int, steps: int, seeds: int, bits_alone: bool, synthetic: bool, quick: bool, folder: Path) -> None:
    limit_threads(1)
    pages, measured = 24, 5
    if quick:
        synthetic, rounds, steps, seeds, pages, measured = True, 4, 1, 1, 1, 1
    plan = plan_preset(PLAN)
    train, test = pages_of("train", pages, synthetic), pages_of("test", measured, synthetic)
    bench = Bench(plan, SITES, train, test, folder / "cache", log=lambda message: click.echo(message, err=True))
    orders = [
        seeded
        for method, budget in runs_of(rounds, steps)[: len(BITS) if bits_alone else None]
        for seeded in reseeded(Order(method, budget, 0, "start", bench.pages_digest, PLAN), range(seeds))
    ]
    click.echo(table(finished(bench, orders, folder), plan))


def runs_of(rounds: int, steps: int) -> list[tuple[Method, Budget]]:
    """Each way to send less, named, with its budget; the first sends all."""
    fedadam = TUNED["fedadam"]
    found = [(replace(fedadam, upload=upload), Budget(rounds, steps, every=rounds)) for upload in UPLOADS.values()]
    narrow = replace(fedadam, upload=UPLOADS["16 bits"])
    return found + [(narrow, Budget(rounds // fewer, steps * fewer, every=rounds)) for fewer in FEWER]


def table(runs: Sequence[Run], plan: Plan) -> str:
    """MB and Dice of each way as Markdown, and its Dice less that of 32 bits, seed by seed."""
    by_way = grouped(runs, lambda run: (_name(run), run.order.budget))
    first = next(iter(by_way.values()))
    head = ("sent", "rounds x steps", "values", "MB a site", "Dice", "less 32 bits")
    lines = [row(*head), row(*["---"] * len(head))]
    for (name, budget), some in by_way.items():
        upload = some[0].order.method.upload
        change = statistics.fmean(run.last.dice - other.last.dice for run, other in zip(some, first, strict=True))
        lines.append(
            row(
                name,
                f"{budget.rounds} x {budget.steps}",
                f"{upload.values(plan):,}",
                f"{upload.megabytes(plan, budget.rounds):.2f}",
                mean_and_spread([run.last.dice for run in some]),
                f"{change:+.4f}",
            )
        )
    return "\n".join(lines)


def _name(run: Run) -> str:
    return next(name for name, upload in UPLOADS.items() if upload == run.order.method.upload)


if __name__ == "__main__":
    main()
