"""Fixtures of the secure sum's tests."""

import pytest
import secure_sum_world


@pytest.fixture(params=[8, 16, 32, 64])
def every_ring(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Has the worlds of a test sum in words of each width in turn."""
    monkeypatch.setattr(secure_sum_world, "RING_BITS", request.param)
    return int(request.param)
