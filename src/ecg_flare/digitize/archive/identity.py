"""What a reading depends on beside its page: the code that reads it, and its settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, Final

import ecg_flare
from ecg_flare.digitize.ink.segmenters import AUTO, auto_names
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.words.ocr import words_installed
from ecg_flare.page.layout import load_layout

READ_BY: Final = ("digitize", "ecg", "nnunet", "page", "task")
"""The parts of the package that a reading goes through, with their models and layouts."""

_DIGITS: Final = 16


def reader_version() -> str:
    """The package's version, and a digest of all that reads pages: a changed line of it is another reader."""
    return code_version(*READ_BY)


@cache
def code_version(*parts: str) -> str:
    """The package's version, and a digest of these folders and files of it: a changed line is another version."""
    root = Path(ecg_flare.__file__).parent
    files = sorted(path for part in parts for path in (root / part, *(root / part).rglob("*")) if _is_read(path))
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(root)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return f"{ecg_flare.__version__}+{digest.hexdigest()[:_DIGITS]}"


def _is_read(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def settings_text(options: ReadingOptions) -> str:
    """The settings as JSON: the same text stands for the same readings of the same pages.

    A layout stands there as it is, not as its name. A callable (a segmenter, a reader of words) is told by its
    attribute `identity` where it has one, and by its module and name otherwise: then a change of its code is not seen.
    """
    told = {field.name: getattr(options, field.name) for field in fields(options)}
    told["layout"] = options.layout if options.layout == "auto" else repr(load_layout(options.layout))
    told["segmenter"] = _segmenters(options)
    told["words"] = _words(options)
    return json.dumps(told, sort_keys=True, default=_named)


def digest_of(text: str) -> str:
    """Sixteen digits that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def file_digest(path: Path) -> str:
    """SHA-256 of a file; raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _segmenters(options: ReadingOptions) -> Sequence[str]:
    if isinstance(options.segmenter, str):
        return auto_names() if options.segmenter == AUTO else (options.segmenter,)
    return [_named(each) for each in ((options.segmenter,) if callable(options.segmenter) else options.segmenter)]


def _words(options: ReadingOptions) -> str:
    if not isinstance(options.words, str):
        return _named(options.words)
    if options.words == "all" and words_installed():
        return "all"
    return "on" if options.words == "on" or (options.words == "auto" and words_installed()) else "off"


def _named(value: Any) -> str:
    if isinstance(identity := getattr(value, "identity", None), str):
        return identity
    return _place(value if hasattr(value, "__qualname__") else type(value)) if callable(value) else repr(value)


def _place(thing: Callable[..., Any]) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"
