"""Privacy before a job (plan), of the code that runs (audit), and after the job (report, verify)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ecg_flare.cli.screen import Commands, OneOf, json_option, say_json, tell
from ecg_flare.errors import PrivacyError

if TYPE_CHECKING:
    from ecg_flare.privacy.accountant import Spent
    from ecg_flare.privacy.audit import AuditResult
    from ecg_flare.privacy.ledger import LedgerReport
    from ecg_flare.privacy.planning import NoisePlan

LEDGER = click.Path(exists=True, dir_okay=False, path_type=Path)
PAGE = click.Path(dir_okay=False, path_type=Path)


def _plans() -> tuple[str, ...]:
    from ecg_flare.nnunet.kinds import preset_names

    return preset_names()


@click.group(cls=Commands)
def privacy() -> None:
    """Plan the noise of a job, audit the code that adds it, and check a ledger."""


@privacy.command()
@click.option("--patients", type=click.IntRange(1), metavar="N", help="Number of patients to hide, over all sites.")
@click.option("--sites", type=click.IntRange(1), metavar="N", help="Or: number of sites to hide, each as a whole.")
@click.option("--rounds", type=click.IntRange(1), metavar="N", required=True)
@click.option("--rate", type=float, default=1.0, show_default=True, help="Chance of a patient to be drawn in a round.")
@click.option("--epsilon", type=float, required=True, help="Budget of all rounds together.")
@click.option("--delta", type=float, default=1e-5, show_default=True)
@click.option("--plan", "plan_name", type=OneOf("PLAN", _plans), default="tiny", show_default=True, help="The network.")
@click.option("--parameters", type=click.IntRange(1), metavar="N", help="Size of a network that is none of the plans.")
@click.option("-o", "--output", type=PAGE, help="Write an HTML page with charts of epsilon by rounds and noise.")
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
    output: Path | None,
    as_json: bool,
) -> None:
    """Find the noise that a privacy promise needs.

    The command also says whether a network can still learn under that noise. The noise multiplier is the smallest whose
    Rényi epsilon stays within --epsilon. Noise over signal is sigma sqrt(d) / (q N): the length of a round's noise,
    divided by the longest mean update of q N units.

    \b
    Examples:
      ecg-flare privacy plan --patients 19000 --rounds 100 --rate 0.05 --epsilon 4 --delta 1e-6
      ecg-flare privacy plan --sites 10 --rounds 50 --epsilon 8 -o plan.html
    """
    from ecg_flare.privacy.planning import Population
    from ecg_flare.privacy.planning import plan as plan_privacy

    if (patients is None) == (sites is None):
        raise click.UsageError("Give either --patients or --sites: the units to hide.")
    if sites is not None and rate != 1.0:
        raise click.UsageError(
            "--rate is for patients: everyone sees which sites answer, so sampling sites hides nothing."
        )
    if not 0 < rate <= 1:
        raise click.BadParameter(f"must be above 0 and at most 1. Found {rate}.", param_hint="--rate")
    planned = plan_privacy(
        Population("site" if patients is None else "patient", patients or sites or 0, rate),
        rounds=rounds,
        epsilon=epsilon,
        delta=delta,
        parameters=parameters or _size(plan_name),
    )
    if output is not None:
        from ecg_flare.privacy.planning import cost_curves
        from ecg_flare.report.document import write_text
        from ecg_flare.report.privacy_page import plan_page

        write_text(plan_page(planned, cost_curves(planned)), output)
    if as_json:
        say_json(_plan_json(planned))
        return
    cost, tight = planned.spent, planned.noise_multiplier_prv
    click.echo(f"noise multiplier  {planned.noise_multiplier:.2f}{_aside(tight)}")
    click.echo(
        f"epsilon           {cost.epsilon_rdp:.2f} at delta {delta:g} after {rounds} rounds{_aside(cost.epsilon_prv)}"
    )
    for stop in planned.costs[:-1]:
        click.echo(f"  after {stop.rounds:>6,}    {stop.spent.epsilon_rdp:.2f}{_aside(stop.spent.epsilon_prv)}")
    click.echo(
        f"noise over signal {planned.noise_to_signal:.3g}, for {planned.parameters:,} parameters and "
        f"{rate * planned.units:g} units a round"
    )
    click.echo(planned.words)


@privacy.command()
@click.option("--unit", type=click.Choice(["patient", "site"]), default="patient", show_default=True)
@click.option(
    "--noise-multiplier",
    type=click.FloatRange(0.1, 10),
    default=1.0,
    show_default=True,
    help="The claimed noise multiplier.",
)
@click.option("--delta", type=click.FloatRange(1e-9, 0.1), default=1e-5, show_default=True)
@click.option("--parameters", type=click.IntRange(400), default=121_348, show_default=True, help="Length of an update.")
@click.option(
    "--canaries",
    type=click.IntRange(10),
    default=500,
    show_default=True,
    help="Canaries of the one-shot audit; at most a twentieth of the parameters.",
)
@click.option(
    "--trials", type=click.IntRange(20), default=2000, show_default=True, help="Trials of the many-trial audit."
)
@click.option(
    "--candidates",
    type=click.IntRange(20),
    default=1000,
    show_default=True,
    help="Candidates of the membership inference.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the attacks, not of the noise."
)
@click.option(
    "--deployed", is_flag=True, help="Instead, run a job in FLARE's simulator with canary patients, and audit it."
)
@json_option
def audit(
    unit: Literal["patient", "site"],
    noise_multiplier: float,
    delta: float,
    parameters: int,
    canaries: int,
    trials: int,
    candidates: int,
    seed: int,
    deployed: bool,
    as_json: bool,
) -> None:
    """Attack the code that makes a round private.

    Clipping, fixed point, sum and noise are those of a job; the data are the attacks' own. Each audit gives a number
    and the bound that it must obey. This does not prove the promise, but it can show that the promise is broken. Exit
    code 1: an audit fails. A correct mechanism fails one of the statistical audits once in a thousand times.

    These audits run a round in memory. With --deployed a whole job runs in FLARE's simulator, in a minute or two.
    Patients of three sites, half of them chosen by coins, are drawn, trained on by nnU-Net, clipped, masked, summed and
    noised, and the coins are guessed from the released models. This audit has its own claim; only the options --seed
    and --json apply.

    \b
    Examples:
      ecg-flare privacy audit
      ecg-flare privacy audit --unit site --canaries 100 --json
      ecg-flare privacy audit --deployed --json
    """
    if deployed:
        _report_audits(_deployed_audits(seed), as_json)
        return
    from ecg_flare.federated.audits import AuditSize, run_audits

    found = run_audits(
        unit,
        AuditSize(dimension=parameters, canaries=canaries, trials=trials, candidates=candidates),
        noise_multiplier=noise_multiplier,
        delta=delta,
        seed=seed,
    )
    _report_audits(found, as_json)


@privacy.command()
@click.argument("ledger", type=LEDGER)
@click.option("-o", "--output", type=PAGE, help="Write an HTML page with a chart of epsilon.")
@json_option
def report(ledger: Path, output: Path | None, as_json: bool) -> None:
    """Report what a ledger promised and what each round spent.

    Every line is checked first, as by `verify`.

    \b
    Examples:
      ecg-flare privacy report runs/fedadam_dp/server/simulate_job/ecg_flare/ledger.jsonl
      ecg-flare privacy report ledger.jsonl -o ledger.html
    """
    from ecg_flare.privacy.ledger import verify as read

    told = read(ledger)
    if output is not None:
        from ecg_flare.report.document import write_text
        from ecg_flare.report.privacy_page import ledger_page

        write_text(ledger_page(told), output)
    if as_json:
        say_json(asdict(told))
        return
    cohort = told.cohort
    click.echo(f"cohort {cohort.name}: {len(cohort.roster)} sites, unit {cohort.unit}, {cohort.adjacency} adjacency")
    budget = "no budget" if cohort.epsilon_budget is None else f"budget epsilon {cohort.epsilon_budget:g}"
    click.echo(f"{budget} at delta {cohort.delta:g}")
    for unit, lost in told.spent_by_unit.items():
        where = "in all jobs" if unit == cohort.unit else f"in jobs of unit {unit}"
        click.echo(f"a {unit} lost epsilon {lost.epsilon_rdp:.3f}{_aside(lost.epsilon_prv)} {where}")
    if len(told.rosters) > 1:
        for line, roster in told.rosters.items():
            click.echo(f"sites from line {line} on: {', '.join(roster)}")
    click.echo("line  round  unit     sigma   rate  epsilon RDP  PRV    released  job")
    for each in told.rounds:
        made, cost = each.mechanism, each.spent
        prv = "–" if cost.epsilon_prv is None else f"{cost.epsilon_prv:.3f}"
        released = "yes" if each.released else "no"
        click.echo(
            f"{each.line:4}  {made.round:5}  {made.unit:7}  {made.noise_multiplier:<6.3g}  {made.sampling_rate:<4.3g}  "
            f"{cost.epsilon_rdp:11.3f}  {prv:5}  {released:8}  {made.job}"
        )


@privacy.command()
@click.argument("ledger", type=LEDGER)
@click.option("--cert", type=LEDGER, help="The server's certificate (server.crt of its kit): each line must be signed.")
@click.option("--root", type=LEDGER, help="The project's root CA (rootCA.pem), which must have issued --cert.")
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="LINES:DIGEST",
    help="A head that somebody noted (`ecg-flare site head`): the ledger must contain it. May be repeated.",
)
@click.option(
    "--witness",
    "witnesses",
    type=LEDGER,
    multiple=True,
    help="Heads that sites signed: the file beside a ledger, or one of `ecg-flare site head -o`. May be repeated.",
)
@click.option(
    "--pins",
    type=LEDGER,
    help="A kit's local/ecg_flare.json: sites must have signed with the certificates that it pins.",
)
@click.option("--opacus", is_flag=True, help="Also compute the final epsilon by opacus' accountants, and compare.")
@json_option
def verify(
    ledger: Path,
    cert: Path | None,
    root: Path | None,
    heads: tuple[str, ...],
    witnesses: tuple[Path, ...],
    pins: Path | None,
    opacus: bool,
    as_json: bool,
) -> None:
    """Check a ledger as a third party.

    The command checks every line and the chain of hashes, and computes every epsilon anew. With --cert it checks every
    signature. With --head and --witness it also checks that the ledger was not rolled back behind what others have seen
    of it. Exit codes: 0 all is correct, 1 something is wrong; the first wrong line is named.

    \b
    Examples:
      ecg-flare privacy verify ledger.jsonl
      ecg-flare privacy verify ledger.jsonl --cert server.crt --root rootCA.pem
      ecg-flare privacy verify ledger.jsonl --head 7:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
      ecg-flare privacy verify ledger.jsonl --witness ledger.jsonl.witness --root rootCA.pem
      ecg-flare privacy verify ledger.jsonl --opacus
    """
    from ecg_flare.cli.verify import read_pinned, verify_json, verify_lines
    from ecg_flare.privacy.chain import Head, check_head, read_chain
    from ecg_flare.privacy.countersignature import auditor, check_on_ledger, read_countersignatures
    from ecg_flare.privacy.ledger import verify as check
    from ecg_flare.privacy.ledger_signature import ledger_verifier

    if root is not None and cert is None and not witnesses:
        raise click.UsageError("--root says who issued --cert or the certificates of --witness: give one of the two.")
    if pins is not None and not witnesses:
        raise click.UsageError("--pins names the certificates of sites: give --witness as well.")
    remembered = tuple(Head.parse(text) for text in heads)
    for head in remembered:
        check_head(ledger, read_chain(ledger), head)
    told = check(ledger, verifier=None if cert is None else ledger_verifier(cert, root))
    other = _second_opinion(told) if opacus else None
    vouched = None
    if witnesses:
        given = [one for path in witnesses for one in read_countersignatures(path)]
        vouched = check_on_ledger(ledger, given, auditor(root), None if pins is None else read_pinned(pins))
    if as_json:
        say_json(
            verify_json(told, vouched, signatures_checked=cert is not None)
            | {"spent_by_opacus": None if other is None else asdict(other)}
        )
        return
    click.echo("\n".join(verify_lines(ledger, told, vouched, cert=cert, root=root, heads=remembered)))
    if other is not None:
        click.echo(f"opacus agrees: epsilon {other.epsilon_rdp:.3f}{_aside(other.epsilon_prv)}.")


def _second_opinion(told: LedgerReport) -> Spent:
    from ecg_flare.privacy.second_accountant import check_second_opinion, spent_by_opacus

    other = spent_by_opacus(told.events, told.spent.delta)
    check_second_opinion(told.spent, other)
    return other


def _plan_json(planned: NoisePlan) -> dict[str, Any]:
    cost = planned.spent
    return {
        "unit": planned.unit,
        "units": planned.units,
        "rounds": planned.rounds,
        "sampling_rate": planned.sampling_rate,
        "noise_multiplier": planned.noise_multiplier,
        "noise_multiplier_prv": planned.noise_multiplier_prv,
        "epsilon_rdp": cost.epsilon_rdp,
        "epsilon_prv": cost.epsilon_prv,
        "delta": planned.delta,
        "epsilon_after": [
            {"rounds": stop.rounds, "epsilon_rdp": stop.spent.epsilon_rdp, "epsilon_prv": stop.spent.epsilon_prv}
            for stop in planned.costs
        ],
        "parameters": planned.parameters,
        "noise_to_signal": planned.noise_to_signal,
        "outlook": planned.outlook,
    }


def _report_audits(found: Iterable[AuditResult], as_json: bool) -> None:
    results = []
    for result in found:
        results.append(result)
        if not as_json:
            _report_audit(result)
    if as_json:
        say_json([{**asdict(result), "passed": result.passed} for result in results])
    if failed := [result.name for result in results if not result.passed]:
        raise PrivacyError(f"{', '.join(failed)} exceeded the bound: do not release models of this code")


def _deployed_audits(seed: int) -> tuple[AuditResult, ...]:
    from ecg_flare.flare.deploy.deployed_audit import Design, audit_deployed

    folder = Path(tempfile.mkdtemp(prefix="ecg_flare-audit-"))
    results = audit_deployed(folder, Design(seed=seed), log=tell)
    shutil.rmtree(folder)  # not where it failed: its error names the log in there
    return results


def _report_audit(result: AuditResult) -> None:
    verdict = "passed" if result.passed else "FAILED"
    click.echo(
        f"{result.name:<20}  {verdict}  {result.estimate:.4g} of at most {result.bound:.4g}  ({result.seconds:.1f} s)"
    )
    click.echo(f"  {result.detail}")


def _aside(tight: float | None) -> str:
    return "" if tight is None else f" (PRV: {tight:.2f})"


def _size(plan_name: str) -> int:
    from ecg_flare.nnunet.kinds import plan_preset
    from ecg_flare.nnunet.plan import parameter_count

    return parameter_count(plan_preset(plan_name))
