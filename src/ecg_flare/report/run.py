"""A run read back from its folder: `run.json`, `metrics.jsonl` and, where they are, the models and the ledger."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ecg_flare.errors import ConfigError
from ecg_flare.federated.subset import EVERY_TENSOR, TrainableSubset
from ecg_flare.privacy.adaptive_clipping import AdaptiveClipping
from ecg_flare.report.figures import natural_key

METRICS: Final = "metrics.jsonl"
_SEARCH_DEPTH: Final = 5


@dataclass(frozen=True)
class Round:
    """The figures of one round; round 0 is the start. Fields as in `flare.telemetry.RoundFigures`."""

    index: int
    dice: float
    sites_dice: float | None = None
    lost: str = ""
    update_norm: float = 0.0
    answered: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    bytes_down: int = 0
    bytes_up: int = 0
    epsilon_rdp: float | None = None
    epsilon_prv: float | None = None
    seconds_by_step: Mapping[str, float] = field(default_factory=dict)
    site_metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Wall seconds of the whole round."""
        return math.fsum(self.seconds_by_step.values())

    @property
    def trained(self) -> bool:
        """Whether the model took a step in it: it is neither the start nor lost."""
        return self.index > 0 and not self.lost

    @property
    def clipped_fraction(self) -> float | None:
        """Share of the answering sites whose update was clipped; None where no site told."""
        told = [metrics["clipped"] for metrics in self.site_metrics.values() if "clipped" in metrics]
        return sum(told) / len(told) if told else None


@dataclass(frozen=True)
class Terms:
    """The public terms of the job, as `flare.terms.RoundTerms` wrote them."""

    weights: Mapping[str, float]
    rounds: int
    min_sites: int
    plan: str
    clipping_norm: float | None = None
    noise_multiplier: float | None = None
    delta: float = 1e-5
    epsilon_budget: float | None = None
    unit: str = "site"
    sampling_rate: float = 1.0
    patients: int | None = None
    adaptive_clipping: Mapping[str, float] | None = None
    projection: Mapping[str, int] | None = None
    trained: Sequence[str] = EVERY_TENSOR
    summation: str = "plain"

    @property
    def sites(self) -> tuple[str, ...]:
        """The roster, in the order that people number it."""
        return tuple(sorted(self.weights, key=natural_key))

    @property
    def trained_parameters(self) -> int | None:
        """d where only some tensors are trained; None where all are."""
        if tuple(self.trained) == EVERY_TENSOR:
            return None
        from ecg_flare.nnunet.plan import parameter_layout, plan_preset

        return TrainableSubset.matching(parameter_layout(plan_preset(self.plan)), self.trained).dimension

    @property
    def noise_on_updates(self) -> float | None:
        """The noise on a coordinate of the sum over C: the multiplier, a little more where C is adaptive."""
        if self.noise_multiplier is None or self.adaptive_clipping is None:
            return self.noise_multiplier
        return AdaptiveClipping(**self.adaptive_clipping).update_noise_multiplier(self.noise_multiplier)

    @property
    def clipping_text(self) -> str:
        """C in words."""
        if self.clipping_norm is None:
            return "none"
        if self.adaptive_clipping is None:
            return f"{self.clipping_norm:g}"
        quantile = self.adaptive_clipping["quantile"]
        return f"{self.clipping_norm:g} at first, then following the {quantile:g} quantile of the patients' updates"

    @property
    def private(self) -> bool:
        """Whether noise was added to every sum."""
        return self.noise_multiplier is not None


@dataclass(frozen=True)
class Run:
    """A run: what was agreed, what happened, and where its files lie.

    `facts` is run.json as it stands; `cut_short` says that the last line of metrics.jsonl was half written.
    """

    folder: Path
    terms: Terms
    rounds: tuple[Round, ...]
    facts: Mapping[str, Any]
    cut_short: bool = False

    @property
    def job(self) -> str:
        """Name of the job."""
        return str(self.facts.get("job", self.folder.name))

    @property
    def final(self) -> Round:
        """The last round."""
        return self.rounds[-1]

    @property
    def best(self) -> Round:
        """The round of the highest Dice, the earliest of equals."""
        return max(self.rounds, key=lambda each: (each.dice, -each.index))

    @property
    def start(self) -> Round | None:
        """Round 0, where it was measured."""
        return self.rounds[0] if self.rounds[0].index == 0 else None

    def file(self, name: str) -> Path | None:
        """Path of a file or folder of the run, or None where it has none of that name."""
        path = self.folder / name
        return path if path.exists() else None


def find_run(path: Path) -> Path:
    """The folder with metrics.jsonl at or below `path`: a simulator's workspace, a job's folder, or the folder itself.

    Raises ConfigError where there is none, or several, which it lists.
    """
    if not path.is_dir():
        raise ConfigError(f"{path} is no folder: give the folder of a run (what stood after `-w`).")
    found = sorted(file.parent for file in _files_below(path, _SEARCH_DEPTH) if file.name == METRICS)
    if not found:
        raise ConfigError(
            f"{path} holds no {METRICS}: give the folder of a run that has evaluated its start (what stood after `-w`)."
        )
    if len(found) > 1:
        listing = "\n  ".join(str(folder) for folder in found)
        raise ConfigError(f"{path} holds {len(found)} runs, name one of them:\n  {listing}")
    return found[0]


def read_run(path: Path) -> Run:
    """Read the run at or below `path`.

    Raises ConfigError where there is none or several, or where a line cannot be read.
    """
    folder = find_run(path)
    facts = _read_json(folder / "run.json")
    rounds, cut_short = _read_rounds(folder / METRICS)
    try:
        terms = Terms(**{key: value for key, value in facts["terms"].items() if key in Terms.__dataclass_fields__})
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{folder / 'run.json'} has no terms that can be read: {error}.") from error
    return Run(folder, terms, rounds, facts, cut_short)


def _files_below(folder: Path, depth: int) -> Iterator[Path]:
    # Bounded, so that a mistyped "/" does not walk a whole disk.
    for entry in folder.iterdir():
        if entry.is_file():
            yield entry
        elif depth > 0 and entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
            yield from _files_below(entry, depth - 1)


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. The server writes it when a job starts.") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path} must hold an object. Found {type(value).__name__}.")
    return value


def _read_rounds(path: Path) -> tuple[tuple[Round, ...], bool]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    rounds: dict[int, Round] = {}
    cut_short = False
    for number, line in enumerate(lines, 1):
        try:
            each = _round(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            # A crash can leave the last line half written; anywhere else the file is damaged.
            if number == len(lines) and rounds:
                cut_short = True
                break
            raise ConfigError(f"Line {number} of {path} is no round's figures: {error!r}.") from error
        rounds[each.index] = each  # a job that went on after a crash may have told a round twice
    if not rounds:
        raise ConfigError(f"{path} is empty: the run ended before its first evaluation.")
    return tuple(rounds[index] for index in sorted(rounds)), cut_short


def _round(values: Mapping[str, Any]) -> Round:
    known = {key: value for key, value in values.items() if key in Round.__dataclass_fields__}
    known |= {key: tuple(known[key]) for key in ("answered", "missing") if key in known}
    return Round(index=int(values["round"]), **known)
