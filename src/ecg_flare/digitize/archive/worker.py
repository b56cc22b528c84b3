"""A process that reads pages for another one: set up once, then asked page by page."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ecg_flare.digitize.archive.listing import ToRead
from ecg_flare.digitize.files.batch import Digitizer, Reading, read_one
from ecg_flare.digitize.files.html import PageEntry, linked
from ecg_flare.digitize.files.summary import PageOutcome
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.extensions import load_extensions, loaded_extensions
from ecg_flare.page.page_list import PageFile
from ecg_flare.storage import hold_folder

Done = tuple[PageOutcome, PageEntry | None]

Results = Generator[tuple[ToRead, Done] | None]
"""Pages as they are done, in any order; None for each that stands already. Closing it ends what reads them."""

_THREADED: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
THREADS: Final = dict.fromkeys(_THREADED, "1")
"""Environment of a worker: there is one for each core, and libraries begin no threads beside it."""

_SECONDS_BETWEEN_LOOKS: Final = 0.5


@dataclass(frozen=True)
class Setup:
    """What a worker has to know before its first page.

    Attributes:
        options: how pages are read.
        out: folder of the results.
        html: whether a report's parts are made.
        extensions: modules of the machine's owner to load first.
        digitizer: reads a page instead of `digitize` with these options.
    """

    options: ReadingOptions
    out: Path
    html: bool = False
    extensions: tuple[str, ...] = ()
    digitizer: Digitizer | None = None

    @classmethod
    def here(cls, options: ReadingOptions, out: Path, html: bool, digitizer: Digitizer | None = None) -> Setup:
        """A worker with the extensions of this process."""
        return cls(options, out, html, loaded_extensions(), digitizer)

    def reading(self) -> Reading:
        """Load what reads pages; raises ConfigError where there is no such segmenter or extension."""
        load_extensions(self.extensions, "the process that began this one")
        return Reading.by(self.options, self.out, linked if self.html else None, self.digitizer)


_set_up: Setup | None = None
_reading: Reading | None = None


def begin(setup: Setup, parent: int) -> None:
    """Make this process a worker of the process `parent`, whose end is its end.

    It holds the folder of the results: a run that goes on after a kill waits for the last file of the killed one.
    What reads pages is loaded for the first page, so that an error in it is an answer to whoever asks.
    """
    global _set_up
    _set_up = setup
    hold_folder(setup.out)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def read(page: PageFile) -> Done:
    """Read a page and write its files; raises ConfigError where what reads pages cannot be loaded."""
    global _reading
    if _reading is None:
        import cv2

        cv2.setNumThreads(1)
        assert _set_up is not None, "begin comes first"
        _reading = _set_up.reading()
    return read_one(page, _reading)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)
