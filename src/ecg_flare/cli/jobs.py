"""FLARE jobs: those that come with the project, and ones for other sites."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecg_flare.cli.screen import Commands, OneOf, json_option, say_json, tell
from ecg_flare.errors import ConfigError

if TYPE_CHECKING:
    from ecg_flare.federated.parts import Privacy
    from ecg_flare.federated.terms import JobTerms

FOLDER = click.Path(file_okay=False, path_type=Path)


def _names() -> tuple[str, ...]:
    from ecg_flare.flare.job.bundled import BUNDLED

    return tuple(BUNDLED)


@click.group(cls=Commands)
def jobs() -> None:
    """Write FLARE job folders.

    They run with `nvflare simulator FOLDER` or are submitted with `nvflare job submit -j FOLDER`.
    """


@jobs.command("list")
@json_option
def list_jobs(as_json: bool) -> None:
    """List the jobs that come with the project.

    \b
    Example:
      ecg-flare jobs list
    """
    from ecg_flare.flare.job.bundled import BUNDLED

    if as_json:
        say_json({name: spec.about for name, spec in BUNDLED.items()})
        return
    width = max(map(len, BUNDLED))
    for name, spec in BUNDLED.items():
        click.echo(f"{name.ljust(width)}  {spec.about}")


@jobs.command()
@click.option("--check", is_flag=True, help="Write nothing; end with 1 where a job is stale.")
@click.option("--jobs", "folder", type=FOLDER, default=Path("jobs"), show_default=True)
@click.option("--custom", type=FOLDER, default=Path("custom"), show_default=True, help="Code that the jobs carry.")
def build(check: bool, folder: Path, custom: Path) -> None:
    """Write the project's own jobs.

    For those who work on the project: jobs/ is generated, and a test says when it is stale.

    \b
    Example:
      ecg-flare jobs build --check
    """
    from ecg_flare.flare.job.bundled import BUNDLED
    from ecg_flare.flare.job.folders import stale_files, write_job

    if check:
        stale = [f"{name}/{file}" for name, spec in BUNDLED.items() for file in stale_files(spec, folder, custom)]
        if stale:
            raise click.ClickException(f"stale, run `ecg-flare jobs build`: {', '.join(stale)}")
        click.echo(f"{len(BUNDLED)} jobs in {folder} are as they should be")
        return
    for spec in BUNDLED.values():
        click.echo(write_job(spec, folder, custom))


@jobs.command()
@click.argument("name", type=OneOf("NAME", _names))
@click.option("--sites", required=True, help="Names of the sites, with commas, as FLARE knows them.")
@click.option("--rounds", type=click.IntRange(1), metavar="N", help="[default: as in the project's job]")
@click.option(
    "--min-sites",
    type=click.IntRange(1),
    metavar="N",
    help="Fewest sites of a round. [default: two thirds of them]",
)
@click.option(
    "--data",
    default="custom",
    show_default=True,
    help="Where pages come from: own (each site says it by `ecg-flare site prepare`), custom (site_pages.SitePages of "
    "--custom), synthetic, ptbxl:FOLDER (its patients dealt out to the sites), or pages:FOLDER, in which {site} stands "
    "for the site's name.",
)
@click.option("--mlflow", metavar="URI", help="Tell MLflow there the rounds' figures; '' keeps them with the results.")
@click.option("--custom", type=FOLDER, default=Path("custom"), show_default=True, help="Code that the job carries.")
@click.option(
    "--no-code", is_flag=True, help="Carry no code: for sites with kits, which allow jobs ecg_flare's own classes."
)
@click.option(
    "--results",
    default="",
    metavar="FOLDER",
    help="Where the server keeps the model: a later submission with the same one goes on from there. "
    "A server with a kit takes one of its results_folders alone. "
    "[default: in the job's run folder, which ends with the job]",
)
@click.option(
    "--max-weight",
    type=click.IntRange(1),
    metavar="PAGES",
    help="Weigh each site by its number of training pages, at most so many, and hide the numbers in the masked sum.",
)
@click.option(
    "--adaptive-clipping",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="QUANTILE",
    help="Let the clipping norm follow this quantile of the patients' updates, from the job's own on.",
)
@click.option("--delta", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Of the privacy promise.")
@click.option(
    "--epsilon-budget",
    type=click.FloatRange(0, min_open=True),
    help="The job stops before it; the server's ledger has one of its own for all jobs.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    help="Seed of the sites' training, to train alike again. [default: where updates are hidden, each site draws a "
    "secret one for each attempt, so that no two updates cancel; else as in the project's job]",
)
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder to write the job's folder in.")
def export(
    name: str,
    sites: str,
    rounds: int | None,
    min_sites: int | None,
    data: str,
    mlflow: str | None,
    custom: Path,
    no_code: bool,
    results: str,
    max_weight: int | None,
    adaptive_clipping: float | None,
    delta: float | None,
    epsilon_budget: float | None,
    seed: int | None,
    output: Path,
) -> None:
    """Write one of the jobs for other sites, rounds or pages.

    Each export is a job of its own, by a nonce in its terms: to go on after a crash submit the folder that you have.

    \b
    Examples:
      ecg-flare jobs export fedadam --sites berlin,lyon,porto --rounds 20 --data own --no-code -o jobs_eu
      ecg-flare jobs export fedavg --sites a,b,c,d --data ptbxl:path/to/ptbxl -o jobs_ptbxl
    """
    from ecg_flare.flare.job.bundled import BUNDLED
    from ecg_flare.flare.job.export import Changes, job_for, pages_of
    from ecg_flare.flare.job.folders import write_job

    if no_code and data == "custom":
        raise click.UsageError("--no-code needs --data: the pages of a job without code come from ecg_flare itself.")
    spec = BUNDLED[name]
    roster = tuple(site.strip() for site in sites.split(",") if site.strip())
    try:
        changes = Changes(
            sites=roster,
            rounds=rounds,
            min_sites=min_sites,
            max_weight=max_weight,
            quantile=adaptive_clipping,
            delta=delta,
            epsilon_budget=epsilon_budget,
            seed=seed,
            pages=pages_of(data, roster, spec),
            results=results,
            mlflow=mlflow,
            code=not no_code,
        )
        changes.check(spec)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    exported = job_for(spec, changes)
    click.echo(write_job(exported, output, custom))
    if exported.terms.privacy is not None:
        tell(_cost(exported.terms, exported.terms.privacy))


def _cost(terms: "JobTerms", privacy: "Privacy") -> str:
    from ecg_flare.privacy.accountant import epsilon_rdp
    from ecg_flare.privacy.events import GaussianEvent

    def epsilon(count: int) -> float:
        event = GaussianEvent(privacy.noise_multiplier, terms.sampling_rate, count) if count else None
        return epsilon_rdp([event], privacy.delta) if event else 0.0

    budget = privacy.epsilon_budget or math.inf
    affordable = next(count for count in range(terms.rounds, -1, -1) if epsilon(count) <= budget)
    cost = (
        f"epsilon {epsilon(terms.rounds):.2f} at delta {privacy.delta:g} after {terms.rounds} rounds, budget {budget:g}"
    )
    return cost if affordable == terms.rounds else f"{cost}: the job will stop after round {affordable}"
