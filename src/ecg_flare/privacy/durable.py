"""Files that are on disk when the call returns."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ecg_flare.errors import StorageError


@contextlib.contextmanager
def storage_errors(path: Path, what: str = "cannot be written") -> Iterator[None]:
    """Turn an OSError of the block (a full disk, a read-only folder) into a StorageError that names the file."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path}: {what} ({error}): check the disk and its permissions") from error


def write_all(fd: int, data: bytes) -> None:
    """Write every byte, however many calls that takes."""
    while data:
        data = data[os.write(fd, data) :]


def replace_durably(path: Path, data: bytes) -> None:
    """Put a file in place of another, whole or not at all, on disk before this returns."""
    draft = path.with_name(path.name + ".new")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put a folder's names on disk: without this, a new or renamed file may vanish in a crash."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
