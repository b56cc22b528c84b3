"""Poisoned sites: what each rule for the mean update makes of them, in trace Dice on public pages.

    python -m benchmarks.poisoning [--rounds 3] [--sites 7] [--poisoned 2] [--seeds 2] [--results FILE]

Sites with synthetic pages in four profiles train the tiny plan from the bundled `start`, in memory and on one thread.
The last sites are poisoned: their updates are flipped and ten times as long, or trained on masks with trace and
background swapped, or Gaussian noise. FedAvg stands beside each robust rule, without and with the poison. Pages to
measure on are of a profile and of persons that no site has.

The same command goes on where it was ended: finished runs are kept in the results file, prepared pages in the folder.
Name a new results file after a change of the code. The default table takes about ten minutes of one core. Example of
a short one:

    python -m benchmarks.poisoning --seeds 1 --rounds 1 --poison sign_flip
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from tqdm import tqdm

from benchmarks.poisoning.federation import Federation, Size
from benchmarks.poisoning.poisons import POISONS, Poison
from benchmarks.poisoning.table import FEDAVG, Run, RunFile, RunRequest, dice_table, failure_lines
from ecg_flare.errors import ConfigError
from ecg_flare.federated.robust import GeometricMedian, Krum, Median, MultiKrum, RobustRule, TrimmedMean
from ecg_flare.nnunet.environment import limit_threads


def rules(poisoned: int) -> Mapping[str, RobustRule | None]:
    """Constructor -> rule, each set to stand so many poisoned sites; None averages."""
    robust = (Median(), TrimmedMean(poisoned), Krum(poisoned), MultiKrum(poisoned), GeometricMedian())
    return {FEDAVG: None, **{repr(rule): rule for rule in robust}}


@click.command(help=__doc__)
@click.option("--rounds", default=Size.rounds, show_default=True, type=click.IntRange(1), help="Rounds of a run.")
@click.option("--sites", default=Size.sites, show_default=True, type=click.IntRange(3), help="All sites.")
@click.option("--poisoned", default=Size.poisoned, show_default=True, type=click.IntRange(1), help="Of them poisoned.")
@click.option("--steps", default=Size.steps, show_default=True, type=click.IntRange(1), help="Steps of a site a round.")
@click.option("--seeds", default=2, show_default=True, type=click.IntRange(1), help="Runs of each cell.")
@click.option("--poison", "poisons", multiple=True, type=click.Choice(list(POISONS)), help="This alone; can repeat.")
@click.option("--folder", type=click.Path(path_type=Path), default="build/poisoning", show_default=True)
@click.option("--results", type=click.Path(dir_okay=False, path_type=Path), help="Finished runs [FOLDER/runs.jsonl].")
def main(
    rounds: int,
    sites: int,
    poisoned: int,
    steps: int,
    seeds: int,
    poisons: tuple[Poison, ...],
    folder: Path,
    results: Path | None,
) -> None:
    limit_threads(1)
    size = Size(sites=sites, poisoned=poisoned, rounds=rounds, steps=steps)
    known = rules(poisoned)
    _check_rules(known, sites)
    federation = Federation(size, folder / "cache", log=_log)
    requests = [
        RunRequest(label, poison, seed, size, federation.pages_digest)
        for seed in range(seeds)
        for label in known
        for poison in poisons or POISONS
    ]
    runs = finished(federation, requests, known, RunFile(results or folder / "runs.jsonl"))
    click.echo(f"start: {federation.dice(federation.start):.3f}\n\n{dice_table(runs)}")
    if failures := failure_lines(runs):
        click.echo(f"\n{failures}")


def finished(
    federation: Federation, requests: Sequence[RunRequest], known: Mapping[str, RobustRule | None], file: RunFile
) -> list[Run]:
    """The run of each request, from the file where it is there, trained and appended to the file where it is not."""
    kept = file.runs()
    missing = [request for request in requests if request.key not in kept]
    for request in tqdm(missing, unit="run", disable=not sys.stderr.isatty()):
        begun = time.process_time()
        outcome = federation.run(known[request.rule], request.poison, request.seed)
        kept[request.key] = Run(request, outcome, time.process_time() - begun)
        file.append(kept[request.key])
        _log(f"{request.rule}, {request.poison}, seed {request.seed}: Dice {outcome.dice:.3f}")
    return [kept[request.key] for request in requests]


def _check_rules(known: Mapping[str, RobustRule | None], sites: int) -> None:
    for rule in known.values():
        if rule is not None:
            try:
                rule.check(sites)
            except ConfigError as error:
                raise click.BadParameter(str(error), param_hint="--sites") from error


def _log(message: str) -> None:
    tqdm.write(message, file=sys.stderr)


if __name__ == "__main__":
    main()
