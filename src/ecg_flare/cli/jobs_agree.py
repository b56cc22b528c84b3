"""The job in which sites agree on a plan of nnU-Net."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecg_flare.cli.screen import no_code_option, split_names, tell
from ecg_flare.errors import ConfigError

if TYPE_CHECKING:
    from ecg_flare.federated.parts import Privacy
    from ecg_flare.flare.job.folders import JobSpec

FOLDER = click.Path(file_okay=False, path_type=Path)


@dataclass(frozen=True)
class Promise:
    """What patients are promised: the noise, the budget, and how many they are; no noise promises nothing."""

    noise_multiplier: float | None
    epsilon_budget: float | None
    delta: float
    patients: int | None
    patients_per_site: int | None

    @property
    def privacy(self) -> "Privacy | None":
        """The noise; raises ConfigError for a number that is given without it, or missing with it."""
        from ecg_flare.federated.parts import Privacy

        needed = {
            "--epsilon-budget": self.epsilon_budget,
            "--patients": self.patients,
            "--patients-per-site": self.patients_per_site,
        }
        if self.noise_multiplier is None:
            if given := [name for name, value in needed.items() if value is not None]:
                raise ConfigError(
                    f"{given[0]} belongs to --noise-multiplier: without noise nobody is promised anything"
                )
            return None
        if missing := [name for name, value in needed.items() if value is None]:
            raise ConfigError(f"--noise-multiplier needs {', '.join(missing)}")
        return Privacy(self.noise_multiplier, self.epsilon_budget, self.delta)


@click.command()
@click.option("--sites", required=True, help="Names of the sites, separated by commas, as FLARE knows them.")
@click.option(
    "--dataset-json",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The data sets' dataset.json: channels and labels.",
)
@click.option("--dataset-name", default="", metavar="NAME", help="nnU-Net's name, such as Dataset004_Hippocampus.")
@click.option("--summation", default="masked", show_default=True, help="Way of summing: plain, masked or encrypted.")
@click.option("--planner", default="ExperimentPlanner", show_default=True, help="nnU-Net's planner.")
@click.option("--data", default="own", show_default=True, help="own, or nnunet:FOLDER, where {site} is the name.")
@click.option("--min-sites", type=click.IntRange(1), metavar="N", help="Fewest sites of a plan.  [default: all]")
@click.option("--max-cases", type=click.IntRange(2), default=1000, show_default=True, help="Most cases of a site.")
@click.option(
    "--bins", type=click.IntRange(1, 4096), metavar="N", help="For each doubling.  [default: 1024, or 8 with noise]"
)
@click.option("--noise-multiplier", type=click.FloatRange(0, min_open=True), help="Hides each patient by noise.")
@click.option("--epsilon-budget", type=click.FloatRange(0, min_open=True), help="The job does not pass this.")
@click.option("--delta", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=1e-5, show_default=True)
@click.option("--patients", type=click.IntRange(1), metavar="N", help="Minimum number of patients of all sites.")
@click.option("--patients-per-site", type=click.IntRange(1), metavar="N", help="Maximum number of a site.")
@click.option("--results", default="", metavar="FOLDER", help="Where the server keeps the plan.")
@click.option("--custom", type=FOLDER, help="Code that the job carries.")
@no_code_option
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder in which the job's folder is written.")
def agree(
    sites: str,
    dataset_json: Path,
    dataset_name: str,
    summation: str,
    planner: str,
    data: str,
    min_sites: int | None,
    max_cases: int,
    bins: int | None,
    noise_multiplier: float | None,
    epsilon_budget: float | None,
    delta: float,
    patients: int | None,
    patients_per_site: int | None,
    results: str,
    custom: Path | None,
    no_code: bool,
    output: Path,
) -> None:
    """Write a job in which sites agree on a plan of nnU-Net.

    Its result is a plans.json with a dataset.json, which `jobs export --task nnunet --plans` takes.

    \b
    Examples:
      ecg-flare jobs agree --sites a,b,c --dataset-json dataset.json --no-code -o jobs_mri
      ecg-flare jobs agree --sites a,b,c --dataset-json dataset.json --noise-multiplier 2 --epsilon-budget 4 \\
        --patients 600 --patients-per-site 300 -o jobs_mri
    """
    from ecg_flare.flare.job.agreement import AgreementSettings, agreement_job
    from ecg_flare.flare.job.export import data_sets, located
    from ecg_flare.task.agreement import FingerprintBins, agreement_plan

    roster = split_names(sites)
    promise = Promise(noise_multiplier, epsilon_budget, delta, patients, patients_per_site)
    try:
        privacy = promise.privacy
        chosen = FingerprintBins.coarse if privacy else FingerprintBins
        plan = agreement_plan(
            dataset_json, planner=planner, bins=chosen(**({"per_octave": bins} if bins else {})), dataset=dataset_name
        )
        settings = AgreementSettings(
            sites=roster,
            way=summation,
            min_sites=min_sites,
            max_cases=max_cases,
            privacy=privacy,
            patients=patients or 0,
            patients_per_site=patients_per_site or 0,
            pages=data_sets(located(data, roster)),
            results=results,
            custom=not no_code,
        )
        spec = agreement_job(plan, settings)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    _write(spec, output, custom)


def _write(spec: "JobSpec", output: Path, custom: Path | None) -> None:
    from ecg_flare.flare.job.folders import write_job

    click.echo(write_job(spec, output, custom))
    terms = spec.terms
    if terms.privacy is not None and terms.sensitivity is not None:
        from ecg_flare.cli.cost import cost

        tell(cost(terms, terms.privacy))
        noise = terms.privacy.noise_multiplier * terms.sensitivity
        tell(f"each bin has noise of {noise:.3g} patients, of {terms.units}")
