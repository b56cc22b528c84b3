"""`python -m benchmarks.sizing`: a round of the private protocol by parameters and sites."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.sizing.runs import Round, measure, measure_job


@click.command()
@click.option("--plan", "plans", default="tiny,small,paper", show_default=True, help="Plans, with commas.")
@click.option("--sites", default="3", show_default=True, help="Numbers of sites, with commas.")
@click.option("--threads", type=click.IntRange(1), help="Sites at work at once. [default: all of them]")
@click.option("--pages", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Train one step on these.")
@click.option("--job", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Run this exported job.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also append each round as a line of JSON.")
def main(
    plans: str, sites: str, threads: int | None, pages: Path | None, job: Path | None, output: Path | None
) -> None:
    """Seconds by phase, bytes and memory of one round of a masked sum with noise, in the simulator.

    With --job it is the last round of that job, as it was exported: its sites train.

    \b
    Examples:
      python -m benchmarks.sizing --plan tiny,small,paper --sites 3
      python -m benchmarks.sizing --plan tiny --sites 50 --threads 2 --pages pages
      python -m benchmarks.sizing --job jobs_mri/fedadam_secure
    """
    if job is not None:
        _tell(measure_job(job, threads=threads), output)
        return
    for plan in plans.split(","):
        for count in map(int, sites.split(",")):
            _tell(measure(plan, count, threads=threads or count, pages=pages), output)


def _tell(round_: Round, output: Path | None) -> None:
    click.echo(_line(round_))
    if output is not None:
        with output.open("a") as file:
            file.write(json.dumps(asdict(round_)) + "\n")


def _line(round_: Round) -> str:
    steps = "  ".join(f"{step} {seconds:.1f}" for step, seconds in round_.seconds_by_step.items())
    server = "" if round_.server_bytes is None else f"server {round_.server_bytes / 2**30:.2f} GiB, "
    return (
        f"{round_.plan} ({round_.parameters:,} parameters), {round_.answered} of {round_.sites} sites, "
        f"{round_.threads} at once: {round_.seconds:.0f} s ({steps}); "
        f"down {round_.bytes_down / 1e6:.1f} MB, up {round_.bytes_up / 1e6:.1f} MB; "
        f"{server}all processes {round_.all_bytes / 2**30:.2f} GiB"
    )


if __name__ == "__main__":
    main()
