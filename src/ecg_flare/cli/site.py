"""Commands for a site's engineer: prepare cases, a dry run of a job, a model of the site's own, the ledger's head."""

from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from ecg_flare.cli.screen import NOT_ALL, Commands, OneOf, SiteName, json_option, say_json, tell
from ecg_flare.errors import ConfigError, EcgFlareError

_USAGE: Final = 2

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def _parts() -> tuple[str, ...]:
    from ecg_flare.nnunet.personal import PARTS

    return PARTS


@click.group(cls=Commands)
def site() -> None:
    """At a hospital: prepare cases, try a job in a dry run, make a model the site's own, report the ledger's head.

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
@click.argument("model")
@click.option("--workspace", type=_FOLDER, metavar="KIT", required=True, help="The site's unpacked startup kit.")
@click.option("--site", "name", type=SiteName(), help="The site's name.  [default: the kit's]")
@click.option(
    "--part", type=OneOf("PART", _parts), default="all", show_default=True, help="What of the network is own."
)
@click.option("--steps", type=click.IntRange(0), metavar="N", default=100, show_default=True, help="Optimizer steps.")
@click.option("--learning-rate", type=float, default=0.01, show_default=True)
@click.option("--momentum", type=float, default=0.9, show_default=True)
@click.option("--mu", type=float, default=0.0, show_default=True, help="Pull towards where training begins.")
@click.option("--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1), metavar="N", default=1, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="torch device.")
@click.option("--kept", is_flag=True, help="Begin with the tensors that this site kept in the job, by its --local.")
@click.option("--kept-of", metavar="DIGEST", help="The same, of the job whose terms have a digest that begins so.")
@click.option("--best", is_flag=True, help="For a run: the model of the highest Dice instead of the last one.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Model file (.npz).  [default: local/ecg_flare_personal.npz of the kit]",
)
@json_option
@click.pass_context
def personalize(
    ctx: click.Context,
    model: str,
    workspace: Path,
    name: str | None,
    part: str,
    steps: int,
    learning_rate: float,
    momentum: float,
    mu: float,
    seed: int,
    threads: int,
    device: str,
    kept: bool,
    kept_of: str | None,
    best: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Make a released model the site's own.

    MODEL is a model file (.npz), the folder of a run, or bundled:NAME. It is trained on the cases that the kit names
    (`ecg-flare site prepare`). Then the line between both models is measured on held-out patients, and the best point
    of it is written: the released model itself where nothing is better.

    PART is all, norm (the norm layers) or head (the part that a small job trains). --mu above 0 pulls each step
    towards the model that training begins with, as Ditto does.

    After a job with --local, --kept begins with the tensors that this site kept; with --steps 0 they are put in as far
    as they help, and nothing is trained. They belong to the job's last model: --best does not go with them.

    The file has learnt from the site's patients without noise: keep it at the site. No job reads it, and no message
    carries it.

    \b
    Examples:
      ecg-flare site personalize model.npz --workspace berlin
      ecg-flare site personalize model.npz --workspace berlin --part norm --steps 200
      ecg-flare site personalize model.npz --workspace berlin --kept --steps 0
      ecg-flare digitize scans -o read --segmenter berlin/local/ecg_flare_personal.npz
    """
    from ecg_flare.cli import site_personalize as steps_of
    from ecg_flare.nnunet.settings import Compute, TrainingSettings

    keeps = kept_of or ("" if kept else None)
    if best and keeps is not None:
        raise click.UsageError("--best and --kept: the tensors that this site kept belong to the last model.")
    try:
        training = TrainingSettings(steps, learning_rate, "poly", mu, momentum) if steps else None
        wanted = steps_of.Wanted(workspace, name, part, training, seed, keeps, output)
        made = steps_of.personal_of_kit(model, wanted, Compute(threads, device), best=best)
    except EcgFlareError as error:
        click.echo(f"Error: {error}", err=True)
        ctx.exit(_USAGE)
    if as_json:
        say_json(made.to_json())
    else:
        click.echo("\n".join(made.lines()))


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
