"""What a kill leaves of a file that was being written is removed, and nothing else."""

from pathlib import Path

import pytest

from ecg_flare.errors import StorageError
from ecg_flare.storage import remove_unfinished, write_atomically


class KilledError(BaseException):
    """Stands for the end of the process: nothing is tidied."""


def test_only_what_write_atomically_left_goes(tmp_path: Path) -> None:
    def killed(file: object) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        write_atomically(tmp_path / "a.json", killed)
    left = [path.name for path in tmp_path.iterdir()]
    assert len(left) == 1
    assert left[0].startswith(".a.json.")
    others = [".a.json", ".a.json.backup", ".a.txt.abcd1234", "a.json.abcd1234", "a.json", ".json.abcd1234", ".hidden"]
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / ".d.json.abcd1234").mkdir()

    remove_unfinished(tmp_path, (".json", ".csv"))

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, ".d.json.abcd1234"])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        remove_unfinished(tmp_path / "nowhere", (".json",))
