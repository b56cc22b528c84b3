"""Models: pretrain on rendered pages, export for stock nnU-Net."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecg_flare.cli.screen import OneOf, json_option, say_json, tell

if TYPE_CHECKING:
    from ecg_flare.nnunet.export import StoredModel


def _plans() -> tuple[str, ...]:
    from ecg_flare.nnunet.kinds import preset_names

    return preset_names()


@click.command()
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Model file (.npz)."
)
@click.option("--plan", "plan_name", type=OneOf("PLAN", _plans), default="tiny", show_default=True)
@click.option("--profile", default="plain", show_default=True, help="Site profile of the rendered pages.")
@click.option(
    "--pages", type=click.IntRange(2), metavar="N", default=60, show_default=True, help="How many pages to render."
)
@click.option("--steps", type=click.IntRange(1), metavar="N", default=150, show_default=True, help="Optimizer steps.")
@click.option("--learning-rate", type=float, default=0.01, show_default=True)
@click.option("--start", help="Begin from a model file, or bundled:NAME. [default: nnU-Net's initialization]")
@click.option("--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1), metavar="N", default=1, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="torch device.")
@click.option(
    "--cache", type=click.Path(file_okay=False, path_type=Path), default=Path("~/.cache/ecg_flare"), show_default=True
)
@json_option
def pretrain(
    output: Path,
    plan_name: str,
    profile: str,
    pages: int,
    steps: int,
    learning_rate: float,
    start: str | None,
    seed: int,
    threads: int,
    device: str,
    cache: Path,
    as_json: bool,
) -> None:
    """Train a public start model on rendered pages.

    The pages print synthetic recordings: they belong to nobody, and training on them costs no privacy. On one thread,
    the same options and versions give the same model, bit by bit.

    \b
    Example:
      ecg-flare pretrain -o start.npz --plan tiny --profile broad --pages 400 --steps 2000
    """
    from ecg_flare.nnunet.environment import check_device, limit_threads
    from ecg_flare.nnunet.export import save_model
    from ecg_flare.nnunet.kinds import plan_preset
    from ecg_flare.nnunet.learnt import SiteCases
    from ecg_flare.nnunet.pretrain import pretrain as train
    from ecg_flare.nnunet.pretrain import pretraining
    from ecg_flare.nnunet.settings import Compute
    from ecg_flare.task.traces.sources import SyntheticPages

    limit_threads(threads)
    check_device(device)
    plan = plan_preset(plan_name)
    source = SyntheticPages({profile: profile}, pages_per_site=pages, seed=seed)
    trained = train(
        SiteCases(source, profile, plan, cache.expanduser()),
        pretraining(steps, learning_rate=learning_rate, seed=seed),
        compute=Compute(threads, device),
        start=_stored(start).vector if start else None,
        log=tell,
    )
    recipe: dict[str, Any] = {"profile": profile, "pages": pages, "steps": steps, "seed": seed, "start": start}
    save_model(output, trained.vector, plan, {"recipe": recipe, "validation_dice": trained.validation_dice})
    if as_json:
        say_json({"model": str(output), "validation_dice": trained.validation_dice})
    else:
        click.echo(f"{output}: Dice {trained.validation_dice:.3f} on held-out patients")


@click.command()
@click.argument("model")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True, help="Model folder.")
@click.option("--best", is_flag=True, help="For a run: the model of the highest Dice instead of the last one.")
def export(model: str, output: Path, best: bool) -> None:
    """Write a model as a folder for other programs.

    Stock nnU-Net predicts from it; of another network it has the weights.

    MODEL is a model file (.npz), the folder of a run, or bundled:NAME.

    \b
    Example:
      ecg-flare export runs/fedadam_dp -o model --best
      nnUNetv2_predict_from_modelfolder -i IN -o OUT -m model -f 0 -device cpu --disable_tta
    """
    from ecg_flare.nnunet.kinds import learnt

    stored = model_named(model, best=best)
    folder = learnt(stored.plan).export(stored.vector, output)
    click.echo(f"{folder}: plan {stored.plan.name}, {stored.vector.size:,} parameters")


def model_named(name: str, *, best: bool = False) -> "StoredModel":
    """The model of a file, a run's folder (its best one, or the last), or bundled:NAME.

    Raises click.UsageError where `best` cannot choose, and ConfigError for what is no model.
    """
    if Path(name).is_dir():
        return _of_run(Path(name), "best.npz" if best else "state.npz")
    if best:
        raise click.UsageError(f"--best chooses among the models of a run, but {name} is not a folder.")
    return _stored(name)


def _stored(name: str) -> "StoredModel":
    from ecg_flare.nnunet.export import load_bundled, load_model

    kind, _, bundled = name.partition(":")
    return load_bundled(bundled) if kind == "bundled" else load_model(Path(name))


def _of_run(path: Path, file: str) -> "StoredModel":
    from ecg_flare.nnunet.export import StoredModel
    from ecg_flare.nnunet.kinds import verified_plan
    from ecg_flare.report import read_run
    from ecg_flare.storage import read_arrays

    run = read_run(path)
    plan = verified_plan(run.terms.model.plan, str(run.facts.get("plan_hash", "")), run.terms.model.document)
    said = {"job": run.job, "terms_digest": run.terms.digest}
    return StoredModel(plan, read_arrays(run.folder / file)["model"], said)
