"""A workspace whose path FLARE would split is refused before anything starts."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_flare.errors import ConfigError
from ecg_flare.flare.job.paths import check_workspace


@pytest.mark.parametrize("path", ["/tmp/my runs", "/tmp/it's", "/tmp/a\\b", "/tmp/a #1", '/tmp/"x"', "runs\t1"])
def test_a_path_that_flare_splits_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="expected a path without spaces"):
        check_workspace(path)


@given(st.text(min_size=1, max_size=20))
def test_a_path_that_is_taken_comes_whole_out_of_flares_command_line(path: str) -> None:
    try:
        check_workspace(Path("/runs") / path)
    except ConfigError:
        return
    whole = str(Path("/runs") / path)
    assert shlex.split(f"python -m worker --workspace {whole} --port 1", True)[4:] == [whole, "--port", "1"]
