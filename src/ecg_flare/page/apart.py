"""Decoders in a process of their own, whose memory and time are bounded, for files whose cost no header tells.

The process also keeps what kills it to itself. It writes a line of JSON (`height` and `width`, or `error`, or another
answer) and then the pixels, RGB.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Final

from ecg_flare.errors import PageError

MAX_BYTES: Final = 1_200_000_000
"""Address space of the process."""

MAX_SECONDS: Final = 120
"""Processor time of one page; a scan takes about one second."""

ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Of the process's environment: linear algebra takes address space for each core as it is loaded, and MAX_BYTES holds
whatever the number of cores."""

Answer = Callable[[IO[bytes], Sequence[str]], tuple[dict[str, Any], bytes]]


def ask_apart(module: str, path: Path, how: Sequence[str]) -> tuple[dict[str, Any], bytes]:
    """What `module`, run by itself with these arguments and the file as its input, answers.

    The working folder may be one of strangers' files: no module is taken from it (`-P`).

    Raises PageError where the file is missing, may not be read or is empty, where the answer is an error, and where
    the process took too much.
    """
    try:
        if path.stat().st_size == 0:
            raise PageError(f"{path} is empty: it has no bytes")
        with path.open("rb") as file:
            done = subprocess.run(
                [sys.executable, "-P", "-m", module, *how],
                stdin=file,
                capture_output=True,
                check=False,
                env=os.environ | ONE_THREAD,
            )
    except FileNotFoundError as error:
        raise PageError(f"{path} does not exist") from error
    except PermissionError as error:
        raise PageError(f"{path} may not be read: permission denied") from error
    head, _, rest = done.stdout.partition(b"\n")
    if done.returncode != 0 or not head:
        raise PageError(
            f"{path} cannot be drawn within {MAX_BYTES / 1e9:.1f} GB of memory and {MAX_SECONDS} s, or is damaged: "
            "export its page as PNG"
        )
    said = json.loads(head)
    if "error" in said:
        raise PageError(f"{path} {said['error']}")
    return said, rest


def answer_apart(answer: Answer) -> None:
    """The main of such a module: bound this process, and write what is answered of its input and arguments."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    said, pixels = answer(sys.stdin.buffer, sys.argv[1:])
    sys.stdout.buffer.write(json.dumps(said).encode() + b"\n" + pixels)
