"""Files that survive a crash: written beside their place, synced to disk, then renamed into it."""

import fcntl
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from ecg_flare.errors import StorageError


def write_atomically(path: Path, write: Callable[[IO[bytes]], object], *, mode: int = 0o644) -> None:
    """Write `path` by `write(file)` so that a crash, a full disk or an error leaves the old file whole.

    `mode` is the file's permission bits: 0o600 for secrets.

    Raises:
        StorageError: where the disk is full, the folder read-only or missing; the old file is untouched.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            os.fchmod(file.fileno(), mode)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        reason = error.strerror or error
        raise StorageError(f"Could not write {path}: {reason}. What stood there is unchanged.") from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    text = json.dumps(value, indent=2, sort_keys=True) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as an uncompressed .npz, atomically; none may hold objects."""
    write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote; never unpickles. Raises StorageError where the file is missing or corrupt."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, TypeError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:  # TypeError: an .npy
        raise StorageError(f"Could not read {path}: {error}.") from error


def append_line(path: Path, line: str) -> None:
    """Append one line and sync it to disk before returning; raises StorageError where that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(f"Could not append to {path}: {error.strerror or error}.") from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: of all processes and threads that want it, one goes on and the others wait.

    The folder itself is locked, so that no lock file stays behind. Raises StorageError where it cannot be made or
    locked.
    """
    descriptor = -1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        raise StorageError(f"Could not lock {folder}: {error.strerror or error}.") from error
    try:
        yield
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries to disk, so that a renamed file keeps its name after a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
