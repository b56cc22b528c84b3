"""FLARE jobs: the bundled ones, and exports for other sites."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecg_flare.cli.cost import cost
from ecg_flare.cli.jobs_agree import agree
from ecg_flare.cli.screen import Commands, OneOf, json_option, no_code_option, say_json, split_names, tell
from ecg_flare.errors import ConfigError

if TYPE_CHECKING:
    from ecg_flare.nnunet.learnt import AgreedPlan

FOLDER = click.Path(file_okay=False, path_type=Path)


def _names() -> tuple[str, ...]:
    from ecg_flare.flare.job.bundled import BUNDLED

    return tuple(BUNDLED)


@click.group(cls=Commands)
def jobs() -> None:
    """List and write FLARE job folders.

    Run one with `nvflare simulator FOLDER`, or submit it with `nvflare job submit -j FOLDER`.
    """


jobs.add_command(agree)


@jobs.command("list")
@json_option
def list_jobs(as_json: bool) -> None:
    """List the bundled jobs.

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
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if a job is stale.")
@click.option("--jobs", "folder", type=FOLDER, default=Path("jobs"), show_default=True)
@click.option("--custom", type=FOLDER, default=Path("custom"), show_default=True, help="Code that the jobs carry.")
def build(check: bool, folder: Path, custom: Path) -> None:
    """Write the bundled jobs.

    This is for developers of the project: jobs/ is generated, and a test fails when it is stale.

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
        click.echo(f"{len(BUNDLED)} jobs in {folder} are up to date")
        return
    for spec in BUNDLED.values():
        click.echo(write_job(spec, folder, custom))


@jobs.command()
@click.argument("name", type=OneOf("NAME", _names))
@click.option("--sites", required=True, help="Names of the sites, separated by commas, as FLARE knows them.")
@click.option("--rounds", type=click.IntRange(1), metavar="N", help="[default: as in the bundled job]")
@click.option(
    "--aggregator",
    metavar="CLASS",
    help="Class of the aggregator: a bundled one (FedAvg, FedAdam, Median, Krum, ...), or the class path of an "
    "extension's, which the server's kit must allow. [default: as in the bundled job]",
)
@click.option(
    "--setting", "settings", multiple=True, metavar="NAME=NUMBER", help="An argument of --aggregator. Repeatable."
)
@click.option(
    "--min-sites",
    type=click.IntRange(1),
    metavar="N",
    help="Minimum number of sites of a round. [default: two thirds of them]",
)
@click.option(
    "--data",
    default="custom",
    show_default=True,
    help="Source of the pages: own (each site names them by `ecg-flare site prepare`), custom (site_pages.SitePages of "
    "--custom), synthetic, ptbxl:FOLDER (its patients are divided among the sites), pages:FOLDER, nnunet:FOLDER (a "
    "data set in nnU-Net's raw format), where {site} is the site's name, or source:FILE (class and arguments of a "
    "source, as in a site's ecg_flare_pages.json).",
)
@click.option(
    "--task",
    default="traces",
    show_default=True,
    metavar="traces|nnunet|torch:CLASS",
    help="What is learnt: traces on ECG pages, labels of a data set in nnU-Net's raw format, or by a torch module: the "
    "class path of a task that an --extension registers.",
)
@click.option(
    "--trained",
    multiple=True,
    metavar="PATTERN",
    help="Train the tensors of these names alone, such as 'head.*'. Repeatable. [default: as in the bundled job]",
)
@click.option(
    "--local",
    multiple=True,
    metavar="PATTERN",
    help="Each site trains and keeps the tensors of these names, such as '*.norm.*'. No message has them. Repeatable.",
)
@click.option(
    "--plans",
    metavar="FILE",
    help="For --task nnunet: a plans.json of nnU-Net with its dataset.json beside it, or the preset small_3d.",
)
@click.option(
    "--dataset-json",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The data set's dataset.json.  [default: beside --plans]",
)
@click.option("--configuration", default="", metavar="NAME", help="Of --plans.  [default: 3d_fullres, or 2d]")
@click.option(
    "--spacing", default="1,1,1", metavar="Z,Y,X", show_default=True, help="Of the preset, in the data's unit."
)
@click.option(
    "--trainer",
    type=click.Choice(["nnUNetTrainer", "nnUNetTrainerNoMirroring"]),
    default="nnUNetTrainer",
    show_default=True,
    help="nnU-Net's trainer, for --task nnunet.",
)
@click.option(
    "--mlflow", metavar="URI", help="Report the figures of the rounds to MLflow there; '' keeps them with the results."
)
@click.option("--custom", type=FOLDER, help="Code that the job carries.  [default: custom, with --data custom]")
@no_code_option
@click.option(
    "--results",
    default="",
    metavar="FOLDER",
    help="Where the server keeps the model: a later submission with the same folder continues from there. "
    "A server with a kit accepts only its results_folders. "
    "[default: in the job's run folder, which ends with the job]",
)
@click.option(
    "--max-weight",
    type=click.IntRange(1),
    metavar="PAGES",
    help="Weigh each site by its number of training pages, at most PAGES, and hide the numbers in the masked sum.",
)
@click.option(
    "--adaptive-clipping",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="QUANTILE",
    help="Let the clipping norm follow this quantile of the patients' updates, starting at the job's own norm.",
)
@click.option(
    "--clipping-norm",
    type=click.FloatRange(0, min_open=True),
    metavar="C",
    help="Longest update. [default: as in the bundled job]",
)
@click.option(
    "--ring-bits",
    type=click.Choice(["8", "16"]),
    help="Send masked updates in words of so many bits. [default: 32, or 64 where they are needed]",
)
@click.option(
    "--delta", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Delta of the privacy promise."
)
@click.option(
    "--epsilon-budget",
    type=click.FloatRange(0, min_open=True),
    help="The job stops before it passes this. The server's ledger has its own budget for all jobs.",
)
@click.option(
    "--training",
    multiple=True,
    metavar="NAME=NUMBER",
    help="A setting of the sites' training: steps, learning_rate, momentum or proximal_mu. Repeatable.",
)
@click.option(
    "--validate-every",
    type=click.IntRange(0),
    metavar="N",
    help="Count on the sites' held-out cases every N rounds.",
)
@click.option(
    "--validate-noise",
    type=click.FloatRange(0, min_open=True),
    metavar="SIGMA",
    help="Noise of each such count in a private job, charged.",
)
@click.option("--measures", is_flag=True, help="Report public pages' decibels, too, not only Dice.")
@click.option(
    "--patients", type=click.IntRange(1), metavar="N", help="Minimum number of patients of all sites together."
)
@click.option("--patients-per-site", type=click.IntRange(1), metavar="N", help="Maximum number of patients of a site.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    help="Seed of the sites' training, for a repeatable run. [default: where updates are hidden, each site draws a "
    "secret one for each attempt, so that no two updates cancel; otherwise as in the bundled job]",
)
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder in which the job's folder is written.")
def export(
    name: str,
    sites: str,
    rounds: int | None,
    aggregator: str | None,
    settings: tuple[str, ...],
    min_sites: int | None,
    data: str,
    task: str,
    trained: tuple[str, ...],
    local: tuple[str, ...],
    plans: str | None,
    dataset_json: Path | None,
    configuration: str,
    spacing: str,
    trainer: str,
    mlflow: str | None,
    custom: Path | None,
    no_code: bool,
    results: str,
    max_weight: int | None,
    adaptive_clipping: float | None,
    clipping_norm: float | None,
    ring_bits: str | None,
    delta: float | None,
    epsilon_budget: float | None,
    training: tuple[str, ...],
    validate_every: int | None,
    validate_noise: float | None,
    measures: bool,
    patients: int | None,
    patients_per_site: int | None,
    seed: int | None,
    output: Path,
) -> None:
    """Write one of the jobs for other sites, rounds or pages.

    Each export is a new job, by a nonce in its terms. To continue after a crash, submit the folder that you have.

    \b
    Examples:
      ecg-flare jobs export fedadam --sites berlin,lyon,porto --rounds 20 --data own --no-code -o jobs_eu
      ecg-flare jobs export fedavg --sites a,b,c,d --data ptbxl:path/to/ptbxl -o jobs_ptbxl
      ecg-flare jobs export fedadam_dp --sites a,b,c --task nnunet --plans plans.json --data own --no-code -o jobs_mri
      ecg-flare --extension chest jobs export fedavg --sites a,b,c --task torch:chest.Findings --data own -o jobs_chest
    """
    from ecg_flare.flare.job.bundled import BUNDLED
    from ecg_flare.flare.job.export import Changes, check_data, job_for, located, pages_of
    from ecg_flare.flare.job.folders import write_job

    if no_code and data == "custom":
        raise click.UsageError("--no-code needs --data: a job without code cannot use --data custom.")
    spec = BUNDLED[name]
    roster = split_names(sites)
    try:
        plan = _plan(task, plans, dataset_json, configuration, _spacing(spacing), trainer)
        check_data(data, plan)
        changes = Changes(
            sites=roster,
            rounds=rounds,
            min_sites=min_sites,
            max_weight=max_weight,
            quantile=adaptive_clipping,
            clipping_norm=clipping_norm,
            ring_bits=None if ring_bits is None else int(ring_bits),
            delta=delta,
            epsilon_budget=epsilon_budget,
            seed=seed,
            pages=pages_of(located(data, roster), roster, spec),
            aggregator=aggregator,
            settings=_numbers(settings, "--setting"),
            training=_numbers(training, "--training"),
            validate_every=validate_every,
            validate_noise=validate_noise,
            patients=patients,
            patients_per_site=patients_per_site,
            results=results,
            measures=measures,
            mlflow=mlflow,
            code=not no_code,
            plan=plan,
            trained=trained or None,
            local=local or None,
        )
        exported = job_for(spec, changes)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    click.echo(write_job(exported, output, Path("custom") if custom is None and data == "custom" else custom))
    if exported.terms.privacy is not None:
        tell(cost(exported.terms, exported.terms.privacy))


def _plan(
    task: str, plans: str | None, dataset_json: Path | None, configuration: str, spacing: list[float], trainer: str
) -> "AgreedPlan | None":
    from ecg_flare.task.datasets.plans import PRESETS, preset_plan, stock_plan

    kind, _, path = task.partition(":")
    if kind not in ("traces", "nnunet", "torch") or (kind == "torch") != bool(path):
        raise ConfigError(f"--task is traces, nnunet or torch:CLASS. Found {task!r}.")
    if kind != "nnunet" and (plans or dataset_json or configuration):
        raise ConfigError("--plans, --dataset-json and --configuration are for --task nnunet")
    if kind == "traces":
        return None
    if kind == "torch":
        from ecg_flare.task.modules.plan import plan_of_task
        from ecg_flare.task.modules.task import build_task

        return plan_of_task(build_task(path, {}))
    if not plans:
        raise ConfigError(f"--task nnunet needs --plans: a plans.json, or the preset {' or '.join(PRESETS)}")
    if plans not in PRESETS:
        return stock_plan(Path(plans), configuration=configuration, dataset_file=dataset_json, trainer=trainer)
    if dataset_json is None:
        raise ConfigError(f"--plans {plans} needs --dataset-json, for its channels and labels")
    return preset_plan(plans, dataset_json, spacing=spacing, trainer=trainer)


def _spacing(text: str) -> list[float]:
    try:
        return [float(each) for each in text.split(",")]
    except ValueError:
        raise ConfigError(f"--spacing takes numbers with commas between them. Found {text!r}.") from None


def _numbers(settings: tuple[str, ...], option: str) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for each in settings:
        name, _, number = each.partition("=")
        try:
            numbers[name] = float(number)
        except ValueError:
            raise click.UsageError(f"{option} takes NAME=NUMBER. Found {each!r}.") from None
    return numbers
