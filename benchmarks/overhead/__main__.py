"""`python -m benchmarks.overhead`: what FLARE and the child process cost, in one run."""

import json
from dataclasses import asdict

import click

from benchmarks.overhead.memory import peak_bytes
from benchmarks.overhead.training import difference, measure
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import parameter_count


@click.command()
@click.option("--steps", default=60, show_default=True, help="Training steps of a round.")
@click.option("--pairs", default=5, show_default=True, help="How often both ways are timed, in turn.")
@click.option("--threads", default=1, show_default=True, help="CPU threads of the training.")
@click.option("--plan", default="paper", show_default=True, help="Plan whose model the memory runs carry.")
@click.option("--sites", default="3,12", show_default=True, help="Numbers of sites to compare the server's memory for.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(steps: int, pairs: int, threads: int, plan: str, sites: str, as_json: bool) -> None:
    """Time of the executor over the bare trainer, and the server's memory by the number of sites.

    Example: python -m benchmarks.overhead --steps 60 --pairs 5
    """
    overhead = measure(steps=steps, pairs=pairs, threads=threads)
    model_bytes = 4 * parameter_count(plan_preset(plan))
    peaks = {count: peak_bytes(count, plan_name=plan) for count in map(int, sites.split(","))}
    spread = max(peaks.values()) - min(peaks.values())
    if as_json:
        result = {**asdict(overhead), "ratio": overhead.ratio, "model_bytes": model_bytes, "server_peak_bytes": peaks}
        click.echo(json.dumps(result, indent=2))
        return
    click.echo(
        f"executor / trainer, median of {pairs} pairs of {steps} steps: {overhead.ratio:.3f} (aim: at most 1.05)"
    )
    click.echo(f"added: {1000 * difference(overhead):.2f} ms a step")
    for count, peak in peaks.items():
        click.echo(f"server peak, {count} sites, plan {plan} ({model_bytes / 1e6:.0f} MB a model): {peak / 1e6:.0f} MB")
    click.echo(f"spread: {spread / model_bytes:.2f} models (aim: below 1)")


if __name__ == "__main__":
    main()
