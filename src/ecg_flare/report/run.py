"""A run read back from its folder: `run.json`, `metrics.jsonl` and, where they are, the models and the ledger."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ecg_flare.documents import Fields, parse_json, parse_object
from ecg_flare.errors import ConfigError
from ecg_flare.federated.run_files import ENDED, METRICS, RUN
from ecg_flare.federated.terms import JobTerms
from ecg_flare.report.records import RoundRecord, read_round, read_terms

__all__ = ["RoundRecord", "Run", "find_run", "read_run"]

FINISHED: Final = "finished"
_SEARCH_DEPTH: Final = 5
_MAX_MEASURES: Final = 4
_MAX_STEPS: Final = 10**9
_SERVER_CONFIG: Final = "config_fed_server.json"


@dataclass(frozen=True)
class Run:
    """A run: what was agreed, what happened, and where its files lie.

    `facts` is run.json as it stands. `cut_short` says that the last line of metrics.jsonl was half written. `outcome`
    is how the job ended: 'finished', or why it ended before; '' while it runs, or where its server was killed. `steps`
    are the gradient steps of a site in a round (on each patient, under unit patient); None where the run does not say.
    """

    folder: Path
    terms: JobTerms
    rounds: tuple[RoundRecord, ...]
    facts: Mapping[str, Any]
    cut_short: bool = False
    outcome: str = ""
    steps: int | None = None

    @property
    def job(self) -> str:
        """Name of the job."""
        return str(self.facts.get("job", self.folder.name))

    @property
    def final(self) -> RoundRecord:
        """The last round."""
        return self.rounds[-1]

    @property
    def measured(self) -> bool:
        """Whether the server had public data to measure the model on."""
        return any(each.dice >= 0 for each in self.rounds)

    @property
    def measured_at_sites(self) -> bool:
        """Whether the sites counted on held-out cases what the model finds."""
        return any(each.sites_dice is not None for each in self.rounds)

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of what the task measured beside Dice, the first few of them."""
        names = dict.fromkeys(name for each in self.rounds for name in each.measures)
        return tuple(names)[:_MAX_MEASURES]

    @property
    def best(self) -> RoundRecord:
        """The round of the highest Dice, the earliest of equals; the last one where nothing was measured.

        It is the server's Dice, or the sites' where the server has no public data, as the server itself chooses.
        """
        if self.measured:
            return max(self.rounds, key=lambda each: (each.dice, -each.index))
        told = [each for each in self.rounds if each.sites_dice is not None]
        return max(told, key=lambda each: (each.sites_dice, -each.index)) if told else self.final

    @property
    def start(self) -> RoundRecord | None:
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
    if not found and is_job_folder(path):
        raise ConfigError(
            f"{path} is a job's configuration and not a run: give the folder of its run (what stood after `-w`, or at "
            "a server the job's folder)."
        )
    if not found and (outcome := ended_before(path)):
        raise ConfigError(f"the run in {path} ended before its first evaluation: {outcome}")
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
    path = folder / RUN
    facts = parse_object(_read_bytes(path), f"{path} cannot be read", ConfigError)
    terms = read_terms(Fields(facts.get("terms"), f"{path} has no terms that can be read", ConfigError))
    training = Fields(facts, f"{path} cannot be read", ConfigError).inner("training")
    steps = None if training is None else training.whole("steps", 1, _MAX_STEPS, None)
    rounds, cut_short = _read_rounds(folder / METRICS)
    return Run(folder, terms, rounds, facts, cut_short, read_outcome(folder / ENDED), steps)


def read_outcome(path: Path) -> str:
    """How the job ended, by its ended.json; '' where there is none. Raises ConfigError where it cannot be read."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    where = f"{path} cannot be read"
    outcome: str = Fields(parse_json(data, where, ConfigError), where, ConfigError).text("outcome")
    return outcome


def ended_before(path: Path) -> str:
    """How a job at or below `path` ended that wrote no figures; '' where there is none, several, or a later job."""
    files = list(_files_below(path, _SEARCH_DEPTH))
    found = [file for file in files if file.name == ENDED]
    if len(found) != 1 or any(_begun_after(file, found[0]) for file in files):
        return ""
    return read_outcome(found[0])


def _begun_after(file: Path, ended: Path) -> bool:
    """Whether `file` is run.json or the server's configuration of another job, written after that one ended."""
    if file.name not in (RUN, _SERVER_CONFIG):
        return False
    job = file.parent if file.name == RUN else file.parent.parent.parent  # the latter lies in JOB/app_server/config
    return not ended.is_relative_to(job) and file.stat().st_mtime > ended.stat().st_mtime


def is_job_folder(path: Path) -> bool:
    """Whether `path` is the folder of a job's configuration, as `ecg-flare jobs export` writes it, and not a run's."""
    configs = (_SERVER_CONFIG, "config_fed_client.json")
    # FLARE names the app that it deploys app_server or app_SITE
    apps = [each for each in path.iterdir() if each.is_dir() and not each.name.startswith("app_")]
    return (path / "meta.json").is_file() and any(
        all((app / "config" / name).is_file() for name in configs) for app in apps
    )


def _files_below(folder: Path, depth: int) -> Iterator[Path]:
    # Bounded, so that a mistyped "/" does not walk a whole disk.
    for entry in folder.iterdir():
        if entry.is_file():
            yield entry
        elif depth > 0 and entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
            yield from _files_below(entry, depth - 1)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error}. The server writes it while a job runs.") from error


def _read_rounds(path: Path) -> tuple[tuple[RoundRecord, ...], bool]:
    data = _read_bytes(path)
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    rounds: dict[int, RoundRecord] = {}
    cut_short = False
    for number, line in lines:
        where = f"Line {number} of {path} is no round's figures"
        try:
            values = parse_object(line, where, ConfigError)
        except ConfigError:
            # A crash can leave the last line half written, and so without its end; any other damage is told.
            if number == lines[-1][0] and rounds and not data.endswith(b"\n"):
                cut_short = True
                break
            raise
        each = read_round(Fields(values, where, ConfigError))
        rounds[each.index] = each  # a job that went on after a crash may have written a round twice
    if not rounds:
        raise ConfigError(f"{path} is empty: the run ended before its first evaluation.")
    return tuple(rounds[index] for index in sorted(rounds)), cut_short
