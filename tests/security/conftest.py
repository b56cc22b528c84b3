"""Kits as `nvflare provision` makes them, once for all tests of the folder."""

from pathlib import Path

import pytest
from flare_loader import provisioned


@pytest.fixture(scope="session")
def fresh_kits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return provisioned(tmp_path_factory.mktemp("fresh"))
