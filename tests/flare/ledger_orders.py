"""Orders of jobs with noise carry the server's ledger: here is one for tests that have no server."""

from pathlib import Path
from typing import Any

from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.shareable import Shareable

from ecg_flare.flare.ledger_messages import with_tail
from ecg_flare.privacy.chain_tail import ChainTail
from ecg_flare.privacy.cohort import Cohort
from ecg_flare.privacy.ledger import Ledger


def new_ledger(path: Path, name: str = "cohort") -> Path:
    """A ledger without rounds."""
    with Ledger(path, Cohort(name, "site", ("site-1", "site-2", "site-3"), 1e-5, 9.0)):
        return path


def ordered(fl_ctx: Any, ledger: Path, order: Shareable | None = None) -> Any:
    """Put an order that carries the whole ledger into a context, as FLARE does before a task's filters run."""
    message = with_tail(order or Shareable(), ChainTail.read(ledger))
    fl_ctx.set_prop(FLContextKey.TASK_DATA, message, private=True, sticky=False)
    return fl_ctx
