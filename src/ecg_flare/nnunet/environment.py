"""The process settings that nnU-Net reads from its environment, set for the time of a block only."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ecg_flare.errors import ConfigError


@contextlib.contextmanager
def nnunet_environment(
    *,
    raw: Path | None = None,
    preprocessed: Path | None = None,
    results: Path | None = None,
    threads: int = 0,
) -> Iterator[None]:
    """Point nnU-Net at folders, keep its data loading in this process, and swallow what it prints.

    nnU-Net reads its folders and `nnUNet_n_proc_DA` from `os.environ` (the latter already at import, where it would
    otherwise start a shell), and prints banners to stdout. Its planner takes that for torch's number of threads, and
    needs `threads` of at least 1.
    """
    settings = {"nnUNet_n_proc_DA": str(threads)}
    if raw is not None:
        settings["nnUNet_raw"] = str(raw)
    if preprocessed is not None:
        settings["nnUNet_preprocessed"] = str(preprocessed)
    if results is not None:
        settings["nnUNet_results"] = str(results)
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def limit_threads(threads: int) -> None:
    """Hold torch and OpenCV to so many threads in this process: on few cores oversubscription costs ten times."""
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def return_memory() -> None:
    """Give memory that was freed back to the system.

    Whole pages of ever other sizes fragment glibc's heap: without this a process that reads a hundred of them holds
    three gigabytes. Does nothing where the C library cannot.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def check_device(device: str) -> None:
    """Raise ConfigError for a device that torch does not have here."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        why = str(error).splitlines()[0]
        raise ConfigError(f"device is {device!r}, which torch does not have here: {why}") from error
