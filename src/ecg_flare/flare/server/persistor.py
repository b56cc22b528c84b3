"""The server's durable memory: the last and the best model, the optimizer's state, and the rounds' figures.

FLARE restarts no job where it stopped, so the folder is written after every round and read at the start: a job that
finds its own state there goes on from it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext

from ecg_flare.documents import Fields, parse_object
from ecg_flare.errors import ConfigError, StorageError
from ecg_flare.federated.run_files import ENDED, METRICS, RUN
from ecg_flare.flare.job.paths import check_path
from ecg_flare.nnunet.learnt import AgreedPlan
from ecg_flare.storage import append_line, read_arrays, write_arrays, write_json

_OPTIMIZER: Final = "optimizer."
_FIELDS: Final = (
    "aggregator",
    "ledger_lines",
    "ledger_digest",
    "rounds_done",
    "dice",
    "best_dice",
    "best_round",
    "plan_hash",
    "layout_digest",
    "terms_digest",
    "shares",
)


@dataclass(frozen=True, eq=False)
class GlobalState:
    """All that the server must remember between two rounds.

    Attributes:
        model: the global model, one flat float32 vector.
        optimizer: the server optimizer's arrays by name (none for FedAvg).
        rounds_done: how many rounds this model has behind it.
        dice: of this model on the public cases (-1: not measured).
        best_dice: the highest so far, and best_round the round that had it.
        plan_hash, layout_digest, terms_digest, aggregator: what the state belongs to.
        shares: the noised shares of updates within C that the rounds released, where C is adaptive.
        ledger_lines, ledger_digest: head of the ledger when the state was saved; 0 lines where the job is not private.
    """

    model: Float32[np.ndarray, " d"]
    plan_hash: str
    layout_digest: str
    terms_digest: str
    aggregator: str = ""
    ledger_lines: int = 0
    ledger_digest: str = ""
    optimizer: Mapping[str, np.ndarray] = field(default_factory=dict)
    rounds_done: int = 0
    dice: float = -1.0
    best_dice: float = -1.0
    best_round: int = -1
    shares: tuple[float, ...] = ()


class ModelStore(FLComponent):
    """Keeps the global state, the metrics of the rounds, and where the ledger and the exported model lie.

    Args:
        folder: where to keep them. By default `ecg_flare` in the job's run folder, which FLARE's `download_job`
            brings along and which ends with the job; name a folder of your own to let a later submission of the
            same job go on from it. A server with a kit takes it below its policy's `results_folders` alone.
        start: 'bundled:NAME' (a public model that ecg_flare ships), 'random:SEED', or the path of a model file.
    """

    def __init__(self, folder: str = "", start: str = "bundled:start") -> None:
        super().__init__()
        self._folder = folder
        self.start = start

    def folder(self, fl_ctx: FLContext) -> Path:
        """The folder of this job's results; raises PolicyError for one that the server does not allow a job to name."""
        if self._folder:
            check_path(self._folder, fl_ctx.get_engine().get_workspace(), "results_folders")
            return Path(self._folder).expanduser()
        return Path(fl_ctx.get_engine().get_workspace().get_run_dir(fl_ctx.get_job_id())) / "ecg_flare"

    def load(self, fl_ctx: FLContext, plan: AgreedPlan, terms_digest: str, aggregator: str = "") -> GlobalState | None:
        """The state that an earlier run left, or None; raises ConfigError where it belongs to another plan or terms."""
        path = self.folder(fl_ctx) / "state.npz"
        if not path.exists():
            return None
        state = read_state(path)
        mine = {"plan_hash": plan.hash, "layout_digest": plan.layout_digest, "terms_digest": terms_digest}
        mine["aggregator"] = aggregator
        for key, value in mine.items():
            found = getattr(state, key)
            if found != value:
                raise ConfigError(
                    f"{path} holds a job with {key} {found[:60]}, this one has {value[:60]}: "
                    "give another folder, or submit the job as it was."
                )
        return state

    def save(self, state: GlobalState, fl_ctx: FLContext, *, best: bool) -> None:
        """Write the last state and, where it is the best so far, the best model, each whole or not at all.

        The best goes first: a crash in between must not leave a state that names a best round whose model is gone.
        """
        folder = self.folder(fl_ctx)
        if best:
            write_arrays(folder / "best.npz", _to_arrays(state))
        write_arrays(folder / "state.npz", _to_arrays(state))

    def log_round(self, figures: Mapping[str, Any], fl_ctx: FLContext) -> None:
        """Append a round's figures to metrics.jsonl."""
        append_line(self.folder(fl_ctx) / METRICS, json.dumps(figures, sort_keys=True))

    def describe(self, run: Mapping[str, Any], fl_ctx: FLContext) -> None:
        """Write run.json: what the figures beside it are figures of."""
        (self.folder(fl_ctx) / ENDED).unlink(missing_ok=True)  # an earlier submission's
        write_json(self.folder(fl_ctx) / RUN, run)

    def log_end(self, outcome: str, fl_ctx: FLContext) -> None:
        """Write ended.json, for those who watch: 'finished', or why the job ended before."""
        write_json(self.folder(fl_ctx) / ENDED, {"outcome": outcome})

    def check_writable(self, fl_ctx: FLContext) -> None:
        """Raise StorageError now rather than after the first round where the folder cannot be written."""
        folder = self.folder(fl_ctx)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"Could not make {folder}: {error.strerror}.") from error
        if not os.access(folder, os.W_OK):
            raise StorageError(f"{folder} is read-only: results could not be saved.")


def _to_arrays(state: GlobalState) -> dict[str, np.ndarray]:
    fields = {name: getattr(state, name) for name in _FIELDS}
    arrays = {_OPTIMIZER + name: array for name, array in state.optimizer.items()}
    return {"model": state.model, "fields": np.frombuffer(json.dumps(fields).encode(), dtype=np.uint8), **arrays}


def read_state(path: Path) -> GlobalState:
    """The state in a file; raises StorageError where it is missing, corrupt, or something else."""
    return _from_arrays(read_arrays(path), path)


def _from_arrays(arrays: Mapping[str, np.ndarray], path: Path) -> GlobalState:
    if "model" not in arrays or "fields" not in arrays:
        raise StorageError(f"{path} is not a saved state: it holds {sorted(arrays)}.")
    optimizer = {k.removeprefix(_OPTIMIZER): v for k, v in arrays.items() if k.startswith(_OPTIMIZER)}
    where = f"{path} is not a saved state"
    fields = Fields(parse_object(arrays["fields"].tobytes(), where, StorageError), where, StorageError).only(_FIELDS)
    model = arrays["model"]
    if model.dtype != np.float32 or model.ndim != 1:
        raise StorageError(f"{where}: its model is {model.dtype} of shape {model.shape}, expected a float32 vector.")
    texts = {name: fields.text(name, "") for name in ("aggregator", "ledger_digest")}
    belongs = {name: fields.text(name) for name in ("plan_hash", "layout_digest", "terms_digest")}
    counts = {name: fields.whole(name, -1, 2**31, 0) for name in ("ledger_lines", "rounds_done")}
    return GlobalState(
        model=model,
        optimizer=optimizer,
        shares=fields.series("shares", 0, 1, ()),
        dice=fields.number("dice", -1, 1, -1.0),
        best_dice=fields.number("best_dice", -1, 1, -1.0),
        best_round=fields.whole("best_round", -1, 2**31, -1),
        **texts,
        **belongs,
        **counts,
    )
