import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecg_flare.errors import ConfigError
from ecg_flare.flare.site_policy import POLICY_FILE, SitePolicy, read_policy


def read(context: Callable[..., Any], text: str) -> SitePolicy:
    workspace = context().get_engine().get_workspace()
    (Path(workspace.get_site_config_dir()) / POLICY_FILE).write_text(text, encoding="utf-8")
    return read_policy(workspace)


def test_without_a_file_the_protocols_own_floors_hold(context: Callable[..., Any]) -> None:
    assert read_policy(context().get_engine().get_workspace()) == SitePolicy(3, 3, math.inf, {})


def test_a_policy_is_read_whole(context: Callable[..., Any]) -> None:
    pin = hashlib.sha256(b"certificate").hexdigest()
    policy = read(context, f'{{"least_cohort": 5, "most_clipping_norm": 1, "pinned": {{"site-1": "{pin}"}}}}')
    assert (policy.least_cohort, policy.least_threshold, policy.most_clipping_norm) == (5, 3, 1)
    assert policy.fingerprints == {"site-1": hashlib.sha256(b"certificate").digest()}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "cannot be read"),
        ("[1]", r"\[1\]"),
        ("null", "None"),
        ('{"least": 3}', "least"),
        ('{"least_cohort": "5"}', "least_cohort is '5'"),
        ('{"least_cohort": 2}', "least_cohort is 2"),
        ('{"least_threshold": 3.5}', "least_threshold is 3.5"),
        ('{"least_threshold": true}', "least_threshold is True"),
        ('{"most_clipping_norm": NaN}', "most_clipping_norm is nan"),
        ('{"most_clipping_norm": 0}', "most_clipping_norm is 0"),
        ('{"most_clipping_norm": "1"}', "most_clipping_norm is '1'"),
        ('{"pinned": ["ab"]}', "pinned is"),
    ],
)
def test_a_policy_that_would_bound_nothing_is_refused(context: Callable[..., Any], text: str, named: str) -> None:
    """NaN above all: no clipping norm is above it, so it would let every job through."""
    with pytest.raises(ConfigError, match=named):
        read(context, text)


@pytest.mark.parametrize("pin", ["xy", "ab" * 31, 7])
def test_a_pin_that_is_no_fingerprint_is_refused(pin: object) -> None:
    with pytest.raises(ConfigError, match="pin"):
        _ = SitePolicy(pinned={"site-1": pin}).fingerprints  # type: ignore[dict-item]
