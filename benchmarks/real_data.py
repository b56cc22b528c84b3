"""Where the real recordings and pages lie: below the folder that ECG_FLARE_DATA names, else in ../shared/data."""

import os
from pathlib import Path

import click


def data_root() -> Path:
    """The folder of all real data, whether it is there or not."""
    return Path(os.environ.get("ECG_FLARE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def ptbxl_root(*, otherwise: str) -> Path:
    """The folder of PTB-XL; raises ClickException where it is missing, and names the option to go without."""
    root = data_root() / "ptbxl"
    if not root.is_dir():
        raise click.ClickException(
            f"PTB-XL is not at {root}: set ECG_FLARE_DATA to the folder that holds ptbxl/, or add {otherwise}"
        )
    return root
