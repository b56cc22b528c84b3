"""Files that survive a crash: written beside their place, synced to disk, then renamed into it."""

import fcntl
import io
import json
import math
import os
import re
import tempfile
import time
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib.format import read_array_header_1_0, read_array_header_2_0, read_magic

from ecg_flare.errors import EcgFlareError, StorageError

MAX_ARRAY_BYTES: Final = 4_000_000_000
"""Of a file of arrays once it is read: the state of the largest plan takes 0.5 GB."""

_SECONDS_BETWEEN_TRIES: Final = 0.05


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


def remove_unfinished(folder: Path, endings: Sequence[str]) -> None:
    """Remove what `write_atomically` left where it was killed in the middle: of files with these endings.

    Nobody else may write into the folder meanwhile. Raises StorageError where a file cannot be removed.
    """
    shape = re.compile(rf"\..+({'|'.join(map(re.escape, endings))})\.[a-z0-9_]{{8}}")
    try:
        with os.scandir(folder) as inside:
            for entry in inside:
                if shape.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    Path(entry.path).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be tidied: {error.strerror or error}") from error


def hold_folder(folder: Path) -> None:
    """Say that this process writes into a folder, until it ends however it ends; see `wait_for_writers`.

    Several may. A file system without locks keeps no such word.
    """
    with suppress(OSError):
        fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_SH)  # never closed: the system does it


def wait_for_writers(folder: Path, seconds: float) -> None:
    """Wait until no process holds the folder any more.

    Raises StorageError where one still does after so many seconds.
    """
    deadline = time.monotonic() + seconds
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StorageError(
                        f"{folder} is still written into by a process of an earlier run: end it, and try again"
                    ) from None
                time.sleep(_SECONDS_BETWEEN_TRIES)
            except OSError:  # a file system without locks
                return
            else:
                return
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    text = json.dumps(value, indent=2, sort_keys=True) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], *, mode: int = 0o644) -> None:
    """Write named arrays as an uncompressed .npz, atomically; none may hold objects. `mode` is the permission bits."""
    write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **arrays), mode=mode)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote; never unpickles.

    Raises StorageError where the file is missing or corrupt, or its arrays take more than MAX_ARRAY_BYTES.
    """
    where = f"Could not read {path}"
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if (claimed := sum(entry.file_size for entry in entries)) > MAX_ARRAY_BYTES:
                raise StorageError(f"{where}: it claims {claimed} bytes, more than {MAX_ARRAY_BYTES}.")
            files = {entry.filename.removesuffix(".npy"): archive.read(entry) for entry in entries}
    # What zipfile lets through of a damaged file; RuntimeError is an encrypted one.
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise StorageError(f"{where}: {error}.") from error
    return {name: decode_array(data, f"{where}: {name}", StorageError) for name, data in files.items()}


def decode_array(data: bytes, where: str, error: type[EcgFlareError]) -> np.ndarray:
    """The array that `numpy.save` wrote, of numbers or text; raises `error`, saying `where`, for anything else.

    numpy itself would unpickle, make room for whatever the head claims, and let errors of its parser through.
    """
    file = io.BytesIO(data)
    try:
        head = {(1, 0): read_array_header_1_0, (2, 0): read_array_header_2_0}[read_magic(file)]
        shape, by_columns, kind = head(file)
    except (LookupError, ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError) as problem:
        raise error(f"{where} is no array of numpy's: {problem}.") from problem
    body = data[file.tell() :]
    if kind.hasobject or min(shape, default=0) < 0 or math.prod(shape) * kind.itemsize != len(body):
        raise error(f"{where} claims {kind} of shape {shape}, and holds {len(body)} bytes.")
    array = np.ndarray(shape, kind, body, order="F" if by_columns else "C")
    return array.copy()  # which can be written to


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


def nearest_existing(path: Path) -> Path:
    """The path, or what of the folders above it is there."""
    return next(one for one in (path, *path.absolute().parents) if one.exists())


def check_writable(path: Path) -> None:
    """Raise StorageError, before work of minutes is done, where no file can be written there."""
    folder = nearest_existing(path.parent)
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise StorageError(f"Could not write {path}: it is no place where a file can be made.")


def move(path: Path, to: Path) -> None:
    """Move a file over another of the same folder; raises StorageError where that cannot be done."""
    try:
        path.replace(to)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"Could not move {path} to {to}: {error.strerror or error}.") from error


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
