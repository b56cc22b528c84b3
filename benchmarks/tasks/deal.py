"""The hippocampus dealt to its four sites, each a data set in nnU-Net's raw format: what hospitals would have.

    python -m benchmarks.tasks.deal OUT [--cases N]

OUT/site-1/Dataset004_Hippocampus to OUT/site-4/Dataset004_Hippocampus, and OUT/all/Dataset004_Hippocampus with all of
them, to plan by. Each has a patients.csv, as a private job asks whose case each is: here each is another patient's.
Files are linked where that is possible, and copied otherwise.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from benchmarks.tasks.sites import cases_by_site, hippocampus

NAME: Final = "Dataset004_Hippocampus"
ALL: Final = "all"


@click.command(help=__doc__)
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--cases", type=click.IntRange(2), help="At most so many of a site.")
def main(out: Path, cases: int | None) -> None:
    folder = hippocampus()
    dealt = {site: names[:cases] for site, names in cases_by_site(folder).items()}
    dealt[ALL] = [name for names in dealt.values() for name in names]
    for site, names in dealt.items():
        _deal(folder, out / site / NAME, names)
        click.echo(f"{len(names)} cases in {out / site / NAME}")


def _deal(folder: Path, target: Path, names: Sequence[str]) -> None:
    description = json.loads((folder / "dataset.json").read_text())
    ending = description["file_ending"]
    for part, suffix in (("imagesTr", f"_0000{ending}"), ("labelsTr", ending)):
        (target / part).mkdir(parents=True, exist_ok=True)
        for name in names:
            _put(folder / part / f"{name}{suffix}", target / part / f"{name}{suffix}")
    rows = "".join(f"{name},patient-of-{name}\n" for name in names)  # a case's own name says nothing of its patient
    (target / "patients.csv").write_text(f"case,patient_id\n{rows}")
    (target / "dataset.json").write_text(json.dumps({**description, "numTraining": len(names)}, indent=2))


def _put(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copyfile(source, target)


if __name__ == "__main__":
    main()
