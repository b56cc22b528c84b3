"""What is known of a page before it is read, and who reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from ecg_flare.digitize.ink.candidates import load_segmenters
from ecg_flare.digitize.ink.segmenters import AUTO, Segmenter
from ecg_flare.digitize.measure.given import given_measures
from ecg_flare.digitize.outputs import Outputs
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.digitize.words.ocr import load_word_reader, words_installed
from ecg_flare.digitize.words.printed_word import WordReader
from ecg_flare.errors import ConfigError
from ecg_flare.page.layout import load_layout

FS_RANGE_HZ: Final = (50.0, 5000.0)


@dataclass(frozen=True)
class ReadingOptions:
    """How pages are read.

    `layout`, `speed` (mm/s), `gain` (mm/mV) and `px_per_mm` (one number, or x and y) are measured unless they are
    given; so is `chest_gain`, that of V1 to V6 where it is another. `layout` is one of the package by its name, or
    one's own by the path of its YAML file. `fs_hz` is how many samples a second the recording has. `segmenter` is the
    name of an installed one, a callable from an image at 4 px/mm to probabilities, or several callables: they are tried
    in turn until a reading leaves no doubt, and the best reading is kept. `force` lets `run_batch` write recordings of
    any confidence. `words` says who reads what is printed of speed and gain, where nothing else says them: an OCR
    library if it is installed ("auto"), that or an error ("on"), nobody ("off"), or a callable; "all" is like "on", and
    reads the print of every page, with what the machine measured. `outputs` says what
    `run_batch` writes, and whose recordings they are.

    Raises LayoutError or ConfigError for a value that is wrong for every page; a segmenter's name is looked up when
    it is loaded.
    """

    layout: str = "auto"
    speed: float | Literal["auto"] = "auto"
    gain: float | Literal["auto"] = "auto"
    px_per_mm: PxPerMm | float | tuple[float, float] | None = None
    fs_hz: float = 500.0
    segmenter: str | Segmenter | Sequence[Segmenter] = AUTO
    force: bool = False
    chest_gain: float | Literal["auto"] = "auto"
    words: Literal["auto", "on", "all", "off"] | WordReader = "auto"
    outputs: Outputs = field(default_factory=Outputs)

    def __post_init__(self) -> None:
        if not FS_RANGE_HZ[0] <= self.fs_hz <= FS_RANGE_HZ[1]:
            raise ConfigError(
                f"fs_hz is {self.fs_hz}; expected {FS_RANGE_HZ[0]:g} to {FS_RANGE_HZ[1]:g} samples a second."
            )
        if self.layout != "auto":
            load_layout(self.layout)
        given_measures(self.speed, self.gain, self.px_per_mm, self.chest_gain)
        if not isinstance(self.segmenter, str) and not callable(self.segmenter) and not len(self.segmenter):
            raise ConfigError("segmenter is empty; expected a name, a callable or several callables.")
        if isinstance(self.words, str) and self.words not in ("auto", "on", "all", "off"):
            raise ConfigError(f"words is {self.words!r}; expected 'auto', 'on', 'all', 'off' or a callable.")
        if self.words in ("on", "all"):
            load_word_reader()

    def word_reader(self) -> WordReader | None:
        """Load who reads print; None for nobody. Raises ConfigError where the library has to be there and is not."""
        if not isinstance(self.words, str):
            return self.words
        return None if self.words == "off" or (self.words == "auto" and not words_installed()) else load_word_reader()

    def segmenters(self) -> tuple[Segmenter, ...]:
        """Load the segmenters, in the order in which they are tried. Raises ConfigError for an unknown name."""
        if isinstance(self.segmenter, str):
            return load_segmenters(self.segmenter)
        return (self.segmenter,) if callable(self.segmenter) else tuple(self.segmenter)
