"""Equal settings are told as equal texts, and whatever can change a reading changes the text."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ecg_flare
from ecg_flare.digitize.archive import identity
from ecg_flare.digitize.archive.identity import (
    READ_BY,
    code_version,
    digest_of,
    file_digest,
    reader_version,
    settings_text,
)
from ecg_flare.digitize.options import ReadingOptions

LAYOUT = "rows: [[{lead: V1, duration_s: 4}]]"


def first(image: np.ndarray) -> np.ndarray:
    return image


def second(image: np.ndarray) -> np.ndarray:
    return image


class Told:
    """A segmenter that says what it is."""

    def __init__(self, name: str) -> None:
        self.identity = name

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return image


def test_each_setting_counts() -> None:
    options = [
        ReadingOptions(words="off"),
        ReadingOptions(words="off", layout="3x4"),
        ReadingOptions(words="off", layout="6x2"),
        ReadingOptions(words="off", speed=25.0),
        ReadingOptions(words="off", gain=10.0),
        ReadingOptions(words="off", chest_gain=5.0),
        ReadingOptions(words="off", px_per_mm=8.0),
        ReadingOptions(words="off", fs_hz=250.0),
        ReadingOptions(words="off", force=True),
        ReadingOptions(words="off", segmenter="classical"),
        ReadingOptions(words="off", segmenter=first),
        ReadingOptions(words="off", segmenter=second),
        ReadingOptions(words="off", segmenter=[first, second]),
        ReadingOptions(words="off", segmenter=Told("a")),
        ReadingOptions(words="off", segmenter=Told("b")),
        ReadingOptions(words=lambda image, scale: ()),
    ]
    assert len({settings_text(each) for each in options}) == len(options)
    assert settings_text(ReadingOptions(segmenter=Told("a"))) == settings_text(ReadingOptions(segmenter=Told("a")))


def test_words_count_by_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "words_installed", lambda: False)
    without = settings_text(ReadingOptions())
    assert without == settings_text(ReadingOptions(words="off"))
    monkeypatch.setattr(identity, "words_installed", lambda: True)
    assert settings_text(ReadingOptions()) != without


def test_a_layout_counts_by_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(LAYOUT)
    before = settings_text(ReadingOptions(layout=str(file)))
    file.write_text(LAYOUT + "  # my own")
    assert settings_text(ReadingOptions(layout=str(file))) == before
    file.write_text(LAYOUT.replace("V1", "V2"))
    assert settings_text(ReadingOptions(layout=str(file))) != before


def test_a_changed_line_of_the_code_is_another_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("digitize", "ecg", "nnunet", "page", "flare"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.py").write_text("x = 1")
    monkeypatch.setattr(ecg_flare, "__file__", str(tmp_path / "__init__.py"))

    def version(*more: str) -> str:
        code_version.cache_clear()
        return code_version(*READ_BY, *more) if more else reader_version()

    before, with_one_file = version(), version("flare/a.py")
    assert before.startswith(f"{ecg_flare.__version__}+")
    (tmp_path / "flare" / "a.py").write_text("x = 2")
    (tmp_path / "page" / "__pycache__").mkdir()
    (tmp_path / "page" / "__pycache__" / "a.pyc").write_text("compiled")
    assert version() == before
    assert version("flare/a.py") != with_one_file
    (tmp_path / "nnunet" / "a.py").write_text("x = 2")
    assert version() != before
    code_version.cache_clear()


def test_settings_are_told_alike_in_another_process() -> None:
    code = (
        "from ecg_flare.digitize.archive.identity import settings_text\n"
        "from ecg_flare.digitize.options import ReadingOptions\n"
        "print(settings_text(ReadingOptions(layout='3x4+1R', words='off')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == settings_text(ReadingOptions(layout="3x4+1R", words="off"))


def test_digests_against_known_ones(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4
    assert file_digest(tmp_path / "abc") == sha256
    assert digest_of("abc") == sha256[:16]
