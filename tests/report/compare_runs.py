"""Made-up runs to compare, whose figures can be checked by hand."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ecg_flare.report.compare.comparison import Named
from ecg_flare.report.run import read_run

PLAIN = {"noise_multiplier": None, "clipping_norm": None, "delta": None, "epsilon_budget": None}
PATIENTS = {"sampling_rate": 0.25, "patients": 40, "patients_per_site": 20, "delta": 1e-3}
PAGES = "ab" * 32
OTHER_PAGES = "cd" * 32


class Runs:
    """Writes runs of the fixtures `write_run` and `report_line`."""

    def __init__(self, write_run: Callable[..., Path], report_line: Callable[..., dict[str, Any]]) -> None:
        self._write, self._line = write_run, report_line

    def write(
        self,
        name: str,
        dice: Sequence[float] = (0.5, 0.7, 0.9, 0.8),
        *,
        terms: Mapping[str, Any] = PLAIN,
        steps: int | None = 10,
        lines: Mapping[int, Mapping[str, Any]] | None = None,
        **facts: Any,
    ) -> Path:
        """A finished run in the folder `name`, its job of that name; `lines` change the figures of single rounds."""
        told = {"pages": PAGES} if terms is not PLAIN else {"pages": PAGES, "epsilon_rdp": None, "epsilon_prv": None}
        rounds = [
            self._line(min(index, 3), **{"round": index, "dice": each, **told, **dict((lines or {}).get(index, {}))})
            for index, each in enumerate(dice)
        ]
        training = {} if steps is None else {"training": {"steps": steps}}
        workspace = self._write(
            rounds, {"rounds": len(dice) - 1, **terms}, {"job": name, **training, **facts}, workspace=name
        )
        (self.folder(workspace) / "ended.json").write_text('{"outcome": "finished"}')
        return workspace

    def read(self, name: str, *args: Any, label: str = "", **kwargs: Any) -> Named:
        """The same, read back."""
        workspace = self.write(name, *args, **kwargs)
        return Named(read_run(workspace), label, workspace.name)

    @staticmethod
    def folder(workspace: Path) -> Path:
        """Where the run's own files lie."""
        return workspace / "server" / "simulate_job" / "ecg_flare"
