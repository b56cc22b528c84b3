"""Which pages a batch has, and what their results are called."""

from pathlib import Path

import pytest

from ecg_flare.digitize.files.page_list import find_files, name_pages
from ecg_flare.errors import ConfigError


def test_a_forbidden_folder_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", forbid)

    with pytest.raises(ConfigError, match="may not be read: permission denied"):
        find_files([tmp_path])


def test_folders_globs_and_files_together_name_each_page_once(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "a.overlay.png", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.png").write_bytes(b"")

    found = find_files([tmp_path, str(tmp_path / "*" / "*.png"), tmp_path / "b.png"])

    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.jpg", "b.png", "more/a.png"]


def test_pages_of_one_stem_keep_apart() -> None:
    files = [
        (Path("x/a.png"), 1),
        (Path("y/A.png"), 1),
        (Path("a.pdf"), 2),
        (Path("ä b?.png"), 1),
        (Path("???.png"), 1),
    ]

    names = [page.name for page in name_pages(files)]

    assert names == ["a", "A-2", "a-p1", "a-p2", "b", "page"]


def test_nothing_to_read_is_a_usage_error(tmp_path: Path) -> None:
    for inputs in ([], [tmp_path], [str(tmp_path / "*.png")]):
        with pytest.raises(ConfigError):
            find_files(inputs)
