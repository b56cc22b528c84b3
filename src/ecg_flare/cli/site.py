"""Commands for a site's engineer: check and prepare cases, a dry run of a job, the ledger's head."""

from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from ecg_flare.cli.screen import NOT_ALL, Commands, SiteName, json_option, say_json, tell
from ecg_flare.errors import ConfigError, EcgFlareError

_USAGE: Final = 2

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(cls=Commands)
def site() -> None:
    """At a hospital: check and prepare cases, try a job in a dry run, report the ledger's head.

    Exit codes: 0 all is well, 3 something must be fixed first, 2 wrong use.
    """


@site.command()
@click.option("--pages", "folder", type=_FOLDER, help="Folder of page images with masks or truths.")
@click.option("--dataset", type=_FOLDER, help="Folder in nnU-Net's raw format: imagesTr, labelsTr, dataset.json.")
@click.option(
    "--source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file that names the case source of a torch task, as local/ecg_flare_pages.json does.",
)
@click.option(
    "--reviewed",
    type=_FOLDER,
    help="Folder of readings whose confirmed leads are the masks; --pages is then where their pictures lie.",
)
@click.option(
    "--workspace",
    type=_FOLDER,
    metavar="KIT",
    help="The site's unpacked startup kit. Without it, cases are only checked.",
)
@click.option("--job", type=_FOLDER, help="The job's folder, for its plan and unit.")
@click.option("--plan", metavar="NAME", help="The plan, if no job is given.  [default: tiny]")
@click.option("--plan-hash", metavar="HEX", help="The hash of the plan, as the coordinator reports it.")
@click.option("--site", "name", type=SiteName(), help="The site's name.  [default: the kit's]")
@click.option("--dpi", type=click.FloatRange(min=0, min_open=True), help="Resolution of pages that have a mask only.")
@click.option(
    "--patient-pattern", metavar="REGEX", help="Pattern for a case's name; its first group is the patient's id."
)
@click.option(
    "--each-case-a-patient",
    "--each-page-a-patient",
    "each_case_a_patient",
    is_flag=True,
    help="Each case is of another patient.",
)
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for prepared cases.  [default: in the kit]",
)
@json_option
@click.pass_context
def prepare(
    ctx: click.Context,
    folder: Path | None,
    dataset: Path | None,
    source: Path | None,
    reviewed: Path | None,
    workspace: Path | None,
    job: Path | None,
    plan: str | None,
    plan_hash: str | None,
    name: str | None,
    dpi: float | None,
    patient_pattern: str | None,
    each_case_a_patient: bool,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Check cases, prepare them, and name them in the kit.

    A case is a page (--pages, --reviewed), an image of a data set in nnU-Net's raw format (--dataset), or what a source
    of a torch task gives (--source). The last two need --job for their plan. The class of a source is one of those that
    the kit lists under extensions, or `ecg-flare --extension MODULE` loads.

    Every case is read. Each problem is listed with what to do. The patient of a case is in patients.csv (columns page
    or case, patient_id), or where --patient-pattern says; of a page also before the first underscore of its name.

    Cases that pass are prepared, so that the first round does not wait. local/ecg_flare_pages.json of the kit then
    names the folder, and no job can name another.

    With --reviewed, pages without masks train: the leads that a person confirmed with `ecg-flare review` are drawn as
    masks into FOLDER/confirmed. Leads that nobody confirmed, and stretches marked unreadable, are left out of the loss.

    \b
    Examples:
      ecg-flare site prepare --pages /data/ecg --dpi 200
      ecg-flare site prepare --reviewed read --pages scans --each-page-a-patient --workspace berlin
      ecg-flare site prepare --pages /data/ecg --dpi 200 --workspace berlin --job jobs_eu/fedadam_dp
      ecg-flare site prepare --dataset /data/Dataset004_Hippocampus --each-case-a-patient --job jobs_mri/fedavg
      ecg-flare site prepare --source recordings.json --job jobs_diagnosis/fedavg --workspace berlin
    """
    from ecg_flare.cli import site_prepare as steps

    try:
        given = steps.Given(folder, dataset, reviewed, source, dpi, patient_pattern, each_case_a_patient, workspace)
        done = steps.Prepared(given.cases(), workspace, steps.Wanted(job, plan, plan_hash), name, cache).run()
    except EcgFlareError as error:
        click.echo(f"Error: {error}", err=True)
        ctx.exit(_USAGE)
    if as_json:
        say_json(done.to_json())
    else:
        click.echo("\n".join(done.lines()))
    ctx.exit(0 if done.ready else NOT_ALL)


@site.command()
@click.option("--workspace", type=_FOLDER, metavar="KIT", required=True, help="The site's unpacked startup kit.")
@click.option("--job", type=_FOLDER, required=True, help="The job's folder.")
@click.option("--site", "name", type=SiteName(), help="The site's name.  [default: the kit's]")
@click.option("--steps", type=click.IntRange(1), default=1, show_default=True, help="Training steps to try.")
@json_option
@click.pass_context
def check(ctx: click.Context, workspace: Path, job: Path, name: str | None, steps: int, as_json: bool) -> None:
    """Dry run of a job: list what would leave the site.

    One step of the job runs on the site's own cases. The job's own filters and the limits of the kit apply. The server
    and the other sites are simulated in memory. Nothing is sent. If the site would refuse the job, the command says
    why.

    \b
    Example:
      ecg-flare site check --workspace berlin --job jobs_eu/fedadam_dp
    """
    from ecg_flare.cli.site_check import check_json, check_lines
    from ecg_flare.flare.site.dry_run import dry_run
    from ecg_flare.site.kit import JobFolder, Kit

    kit = Kit(workspace)
    try:
        tried = dry_run(JobFolder(job), kit, name or kit.site, steps=steps, log=tell)
    except EcgFlareError as error:
        click.echo(f"Error: {error}", err=True)
        ctx.exit(_USAGE)
    if as_json:
        say_json(check_json(tried))
    else:
        click.echo("\n".join(check_lines(tried)))
    ctx.exit(NOT_ALL if tried.refused else 0)


@site.command()
@click.option("--workspace", type=_FOLDER, metavar="KIT", required=True, help="The site's unpacked startup kit.")
@click.option("--site", "name", type=SiteName(), help="The site's name.  [default: the kit's]")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Sign it with the kit's key.")
@json_option
@click.pass_context
def head(ctx: click.Context, workspace: Path, name: str | None, output: Path | None, as_json: bool) -> None:
    """Report how much of the server's ledger this site has seen.

    An auditor of the ledger gives this to `ecg-flare privacy verify --head`, or the signed file of -o to --witness.
    With more than one ledger, -o signs the one with the most lines.

    \b
    Examples:
      ecg-flare site head --workspace berlin
      ecg-flare site head --workspace berlin -o berlin.witness
    """
    from ecg_flare.flare.site.heads import SiteHeads, sign_held
    from ecg_flare.privacy.countersignature import write_countersignatures
    from ecg_flare.site.kit import Kit

    try:
        held = sorted(SiteHeads(workspace).all(), key=lambda one: -one.head.lines)
        if output is not None:
            if not held:
                raise ConfigError(f"{workspace} has seen no ledger yet: there is nothing to sign")
            write_countersignatures(output, [sign_held(held[0], name or Kit(workspace).site, workspace)])
    except EcgFlareError as error:
        click.echo(f"Error: {error}", err=True)
        ctx.exit(_USAGE)
    if as_json:
        say_json([{"cohort": one.cohort, "ledger": one.ledger, **asdict(one.head)} for one in held])
        return
    for one in held:
        click.echo(f"{one.head}  cohort {one.cohort!r}, ledger {one.ledger}")
    if not held:
        click.echo("This site has seen no ledger yet: it took part in no job with noise.")
