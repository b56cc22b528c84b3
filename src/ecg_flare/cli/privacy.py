"""Privacy before a job (plan) and after it (report, verify)."""

from pathlib import Path

import click

from ecg_flare.cli.screen import Commands, OneOf, json_option, say_json

LEDGER = click.Path(exists=True, dir_okay=False, path_type=Path)


def _plans() -> tuple[str, ...]:
    from ecg_flare.nnunet.plan import preset_names

    return preset_names()


@click.group(cls=Commands)
def privacy() -> None:
    """Plan a job's noise, and check its ledger."""


@privacy.command()
@click.option(
    "--patients", type=click.IntRange(1), metavar="N", help="How many patients, over all sites, are to be hidden."
)
@click.option("--sites", type=click.IntRange(1), metavar="N", help="Or how many sites, each as a whole.")
@click.option("--rounds", type=click.IntRange(1), metavar="N", required=True)
@click.option("--rate", type=float, default=1.0, show_default=True, help="Chance of a patient to be in a round.")
@click.option("--epsilon", type=float, required=True, help="What all rounds together may spend.")
@click.option("--delta", type=float, default=1e-5, show_default=True)
@click.option("--plan", "plan_name", type=OneOf("PLAN", _plans), default="tiny", show_default=True, help="The network.")
@click.option("--parameters", type=click.IntRange(1), metavar="N", help="Its size, where it is none of the plans.")
@json_option
def plan(
    patients: int | None,
    sites: int | None,
    rounds: int,
    rate: float,
    epsilon: float,
    delta: float,
    plan_name: str,
    parameters: int | None,
    as_json: bool,
) -> None:
    """Find the noise that a promise needs.

    And say whether a network can still learn under it. The noise multiplier is the smallest whose Rényi epsilon
    stays within --epsilon. Noise over signal is sigma sqrt(d) / (q N): how long a round's noise is beside the longest
    mean update of q N units.

    \b
    Examples:
      ecg-flare privacy plan --patients 19000 --rounds 100 --rate 0.05 --epsilon 4 --delta 1e-6
      ecg-flare privacy plan --sites 10 --rounds 50 --epsilon 8
    """
    from ecg_flare.privacy.accountant import noise_multiplier_for, spent
    from ecg_flare.privacy.events import GaussianEvent
    from ecg_flare.report.words import noise_words

    if (patients is None) == (sites is None):
        raise click.UsageError("Give either --patients or --sites: whose presence is to be hidden.")
    if sites is not None and rate != 1.0:
        raise click.UsageError("--rate is for patients: everyone sees which sites answer, so sampling them hides none.")
    if not 0 < rate <= 1:
        raise click.BadParameter(f"must be above 0 and at most 1. Found {rate}.", param_hint="--rate")
    units = patients or sites or 0
    size = parameters or _size(plan_name)
    sigma = noise_multiplier_for(epsilon, delta, sampling_rate=rate, rounds=rounds)
    cost = spent([GaussianEvent(sigma, rate, rounds)], delta)
    ratio = sigma * size**0.5 / (rate * units)
    if as_json:
        say_json(
            {
                "unit": "site" if patients is None else "patient",
                "units": units,
                "noise_multiplier": sigma,
                "epsilon_rdp": cost.epsilon_rdp,
                "epsilon_prv": cost.epsilon_prv,
                "delta": delta,
                "parameters": size,
                "noise_to_signal": ratio,
            }
        )
        return
    tight = "" if cost.epsilon_prv is None else f" (PRV: {cost.epsilon_prv:.2f})"
    click.echo(f"noise multiplier  {sigma:.2f}")
    click.echo(f"epsilon           {cost.epsilon_rdp:.2f} at delta {delta:g} after {rounds} rounds{tight}")
    click.echo(f"noise over signal {ratio:.3g}, for {size:,} parameters and {rate * units:g} units a round")
    click.echo(noise_words(ratio))


@privacy.command()
@click.argument("ledger", type=LEDGER)
@json_option
def report(ledger: Path, as_json: bool) -> None:
    """Tell what a ledger promised and each round spent.

    Every line is checked first, as by `verify`.

    \b
    Example:
      ecg-flare privacy report runs/fedadam_dp/server/simulate_job/ecg_flare/ledger.jsonl
    """
    from dataclasses import asdict

    from ecg_flare.privacy.ledger import verify as read

    told = read(ledger)
    if as_json:
        say_json(asdict(told))
        return
    cohort = told.cohort
    click.echo(f"cohort {cohort.name}: {len(cohort.roster)} sites, unit {cohort.unit}, {cohort.adjacency} adjacency")
    click.echo(f"budget epsilon {cohort.epsilon_budget:g} at delta {cohort.delta:g}")
    click.echo("line  round  sigma   rate  epsilon RDP  PRV    released  job")
    for each in told.rounds:
        made, cost = each.mechanism, each.spent
        prv = "–" if cost.epsilon_prv is None else f"{cost.epsilon_prv:.3f}"
        released = "yes" if each.released else "no"
        click.echo(
            f"{each.line:4}  {made.round:5}  {made.noise_multiplier:<6.3g}  {made.sampling_rate:<4.3g}  "
            f"{cost.epsilon_rdp:11.3f}  {prv:5}  {released:8}  {made.job}"
        )


@privacy.command()
@click.argument("ledger", type=LEDGER)
@json_option
def verify(ledger: Path, as_json: bool) -> None:
    """Check a ledger as a third party.

    Every line, the chain of their hashes, and every epsilon, computed anew. Ends with 0 where all holds and with 1,
    naming the first line that is wrong, where it does not.

    \b
    Example:
      ecg-flare privacy verify ledger.jsonl
    """
    from ecg_flare.privacy.ledger import verify as check

    told = check(ledger)
    if as_json:
        say_json({"valid": True, "lines": told.head.lines, "head": told.head.digest, "anchored": told.anchored})
        return
    click.echo(
        f"{ledger} holds: {told.head.lines} lines, {len(told.rounds)} rounds, "
        f"epsilon {told.spent.epsilon_rdp:.3f} at delta {told.spent.delta:g}"
    )
    if not told.anchored:
        click.echo("No head was kept beside it: lines cut off its end would not show.")


def _size(plan_name: str) -> int:
    from ecg_flare.nnunet.plan import parameter_count, plan_preset

    return parameter_count(plan_preset(plan_name))
