"""Shared fixtures: where the real data lies, and one thread a library."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# A busy machine is no failure: examples may take as long as they take.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def _data_root() -> Path:
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("ECG_FLARE_DATA", default))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if _data_root().is_dir():
        return
    reason = f"real data not found at {_data_root()}: set ECG_FLARE_DATA to the folder that holds ptbxl/"
    for item in items:
        if item.get_closest_marker("realdata"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def nobody_reads_print() -> Iterator[None]:
    """Pages are read alike whether the extra `words` is installed or not; a test that reads print asks for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ecg_flare.digitize.options.words_installed", lambda: False)
        yield


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real records and pages (ptbxl/, ludb_pages/, real_pages/)."""
    return _data_root()
