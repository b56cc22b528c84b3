"""Which sites a server asks again after a crash."""

from pathlib import Path

import pytest

from ecg_flare.errors import StorageError
from ecg_flare.flare.summation.last_sum import LastSum

MODEL, OTHER = bytes(32), bytes([1]) * 32


def test_the_sites_of_the_last_sum_are_those_to_ask_again_for_its_model(tmp_path: Path) -> None:
    assert LastSum(tmp_path).sites(MODEL) == ()
    LastSum(tmp_path).record(MODEL, ("a", "b", "c"))
    after_a_crash = LastSum(tmp_path)
    assert after_a_crash.sites(MODEL) == ("a", "b", "c")
    assert "over a, b, c was asked for before" in after_a_crash.hint(MODEL)
    assert after_a_crash.sites(OTHER) == ()
    assert after_a_crash.hint(OTHER) == ""


def test_without_results_it_lasts_as_long_as_the_server() -> None:
    last = LastSum(None)
    last.record(MODEL, ("a", "b", "c"))
    assert last.sites(MODEL) == ("a", "b", "c")
    assert LastSum(None).sites(MODEL) == ()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"model_sha256": "00", "sites": 3}'])
def test_a_broken_file_ends_the_job_with_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "last_sum.json").write_text(text)
    with pytest.raises(StorageError, match=r"last_sum\.json.*restore it or remove it"):
        LastSum(tmp_path).sites(MODEL)
