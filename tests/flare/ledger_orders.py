"""Orders of jobs with noise carry the server's ledger: here is one for tests that have no server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.shareable import Shareable

from ecg_flare.flare.job.ledger_messages import with_tail
from ecg_flare.flare.site.heads import LedgerWitness
from ecg_flare.privacy.chain_tail import ChainTail
from ecg_flare.privacy.cohort import Cohort
from ecg_flare.privacy.ledger import Ledger


def new_ledger(path: Path, name: str = "cohort") -> Path:
    """A ledger without rounds."""
    with Ledger(path, Cohort(name, "site", ("site-1", "site-2", "site-3"), 1e-5, 9.0)):
        return path


def ordered(context: Callable[..., Any], terms: Any, ledger: Path) -> Any:
    """A site's context in which a request came that carries the whole ledger."""
    witness = LedgerWitness()
    fl_ctx = context(terms=terms, witness=witness)
    request(fl_ctx, witness, ledger)
    return fl_ctx


def request(fl_ctx: Any, witness: LedgerWitness, ledger: Path) -> None:
    """Let one request more come; FLARE takes it away before it filters the answer."""
    message = with_tail(Shareable(), ChainTail.read(ledger))
    fl_ctx.set_prop(FLContextKey.TASK_DATA, message, private=True, sticky=False)
    witness.handle_event(EventType.BEFORE_TASK_EXECUTION, fl_ctx)
    fl_ctx.set_prop(FLContextKey.TASK_DATA, None, private=True, sticky=False)
