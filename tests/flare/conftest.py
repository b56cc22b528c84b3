from collections.abc import Callable
from pathlib import Path

import pytest
from flare_context import make_context
from nvflare.apis.fl_context import FLContext


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., FLContext]:
    """Makes contexts below the test's folder."""
    return lambda **options: make_context(tmp_path / options.get("name", "site-1"), **options)
