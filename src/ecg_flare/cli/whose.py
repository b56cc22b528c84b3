"""Options that say whose recordings are written, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from ecg_flare.digitize.outputs import Outputs

_OPTIONS: Final = (
    click.option("--patient-id", default="", help="Whose recordings they are: the hospital's identifier."),
    click.option(
        "--recorded-at", default="", metavar="TIME", help="When they were recorded, such as 2019-03-31T14:05:00."
    ),
    click.option(
        "--patients",
        type=click.Path(dir_okay=False, path_type=Path),
        help="A table (CSV) that says of each file whose it is: file, patient_id, and what else is known.",
    ),
    click.option("--anonymous", is_flag=True, help="Write DICOM, FHIR and aECG without any patient."),
)


def whose_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --patient-id, --recorded-at, --patients and --anonymous, as `outputs` takes them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def outputs(
    formats: Sequence[str] | None, *, patient_id: str, recorded_at: str, patients: Path | None, anonymous: bool
) -> Outputs:
    """Return what is written, in these formats or in the usual ones. Raises ConfigError for what contradicts itself."""
    from ecg_flare.digitize.outputs import Outputs
    from ecg_flare.ecg.formats.registry import DEFAULT
    from ecg_flare.ecg.formats.study import Study, parse_time, read_patients

    return Outputs(
        formats=DEFAULT if formats is None else tuple(formats),
        study=Study(
            patient_id=patient_id,
            recorded_at=parse_time(recorded_at, "--recorded-at") if recorded_at else None,
            anonymous=anonymous,
        ),
        patients=None if patients is None else read_patients(patients),
    )
