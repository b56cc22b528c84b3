"""Which pages a batch has, and what their results are called."""

import os
from pathlib import Path

import pytest
from PIL import Image

from ecg_flare.errors import ConfigError
from ecg_flare.page.page_list import find_files, left_out_lines, name_pages


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

    assert [str(path.relative_to(tmp_path)) for path in found.files] == ["a.jpg", "b.png", "more/a.png"]
    assert {left.path.name: left.why for left in found.left_out} == {
        "a.overlay.png": "is an overlay or a mask that ecg-flare writes",
        ".hidden.png": "is hidden",
        "notes.txt": "is no page (PNG, JPEG, TIFF, BMP, WebP, GIF, JPEG 2000 or PDF)",
        "more": "is a folder, whose files are not looked at: name it, too",
    }


def test_pictures_that_are_not_read_are_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (tmp_path / "photo").write_bytes(b"\0\0\0\x18ftypavif" + bytes(40))
    Image.new("L", (4, 4)).save(tmp_path / "scan.dat", "PNG")

    found = find_files([tmp_path])

    assert [path.name for path in found.files] == ["a.png"]
    assert all(left.is_picture for left in found.left_out)
    assert left_out_lines(found.left_out) == [
        "photo is AVIF, which is not read: convert it to PNG or JPEG",
        "photo.heic is HEIC, which is not read: convert it to PNG or JPEG",
        "scan.dat is PNG by its content, under another ending: rename it to .png",
    ]


@pytest.mark.timeout(20)
def test_pipes_and_links_to_nothing_are_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "linked.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "gone.PNG").symlink_to(tmp_path / "nothing")
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.pdf")

    for given in (tmp_path, str(tmp_path / "*")):
        found = find_files([given])

        assert [path.name for path in found.files] == ["a.png", "linked.png"]
        assert {left.path.name: left.is_picture for left in found.left_out} == {
            "gone.PNG": True,
            "gone": False,
            "pipe": False,
            "pipe.pdf": True,
        }
        assert {left.why for left in found.left_out} == {"is no regular file, or a link to nothing"}


def test_a_folder_without_a_page_names_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "one.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    for number in range(7):
        (tmp_path / f"{number}.txt").touch()

    named = r"has no page: .* 7 files \(0.txt, .*, 4.txt and 2 more\): is no page .*one\.heic is HEIC"
    with pytest.raises(ConfigError, match=named):
        find_files([tmp_path])


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
