"""What left a site under differential privacy, in the site's own words, and the limit that the site sets to it.

One file lies in the site's workspace, outside of any job's folder: every job of either unit that the site answers
continues it. A round is charged when the site's update leaves, whatever becomes of the sum, with the same events as in
the server's ledger; rounds that the site did not answer cost its units nothing and are not in it.

The ledger is of unit patient unless the site's policy accepts jobs of unit site alone: it then counts what a patient
lost in all jobs, those of unit site among them, and what the site lost in the latter. The limit holds for both, as the
second figure is never above the first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from nvflare.apis.fl_context import FLContext

from ecg_flare.errors import LedgerError, PolicyError
from ecg_flare.federated.promise import mechanism_of
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.deploy.identity import site_signature
from ecg_flare.flare.site.policy import SitePolicy, read_policy
from ecg_flare.privacy.cohort import Cohort, Mechanism
from ecg_flare.privacy.ledger import Ledger

LEDGER_FOLDER: Final = "ecg_flare_ledger"
_LEDGER_FILE: Final = "ledger.jsonl"
_EARLIER_FILES: Final = ("patient.jsonl", "site.jsonl")


def check_limit(fl_ctx: FLContext, terms: JobTerms, round_index: int) -> None:
    """Refuse a round that would bring this site above its own limit; the message is public.

    Raises PolicyError where it would, LedgerError where the site's ledger is wrong or was changed.
    """
    policy = read_policy(fl_ctx.get_engine().get_workspace())
    if not terms.private or not policy.limits_epsilon:
        return
    with _opened(fl_ctx, policy) as ledger:
        _check(ledger, _left(fl_ctx, terms, round_index), policy)


def charge_round(fl_ctx: FLContext, terms: JobTerms, round_index: int) -> None:
    """Put on disk what is about to leave this site; raises as `check_limit`, and StorageError for a full disk.

    The last filter of each way of summing calls it when the message is ready to go, and lets it go only after that.
    """
    if not terms.private:
        return
    policy = read_policy(fl_ctx.get_engine().get_workspace())
    with _opened(fl_ctx, policy) as ledger:
        mechanism = _left(fl_ctx, terms, round_index)
        _check(ledger, mechanism, policy)
        ledger.charge(mechanism)


def ledger_path(fl_ctx: FLContext) -> Path:
    """Where this site keeps its ledger."""
    return Path(fl_ctx.get_engine().get_workspace().get_root_dir()) / LEDGER_FOLDER / _LEDGER_FILE


def _left(fl_ctx: FLContext, terms: JobTerms, round_index: int) -> Mechanism:
    """The round as this site's own ledger records it.

    The site is alone in its ledger: the weight that the noise was measured against bounds its own, and what an
    adaptive C follows is in the server's.
    """
    mechanism = mechanism_of(terms, fl_ctx.get_job_id(), round_index)
    weights = {fl_ctx.get_identity_name(): mechanism.sensitivity / mechanism.clipping_norm}
    return replace(mechanism, weights=weights, shared_patients=False, adaptation=None)


@contextmanager
def _opened(fl_ctx: FLContext, policy: SitePolicy) -> Iterator[Ledger]:
    path = ledger_path(fl_ctx)
    if earlier := [name for name in _EARLIER_FILES if (path.parent / name).exists()]:
        raise LedgerError(
            f"{path.parent} has {' and '.join(earlier)} of an earlier version, which kept a ledger a unit. One ledger "
            f"counts now, and must not begin at nothing: see what they spent (`ecg-flare privacy report`), lower "
            "max_epsilon by it, and move them elsewhere"
        )
    site = fl_ctx.get_identity_name()
    cohort = Cohort(site, policy.protected_unit, (site,), policy.delta, epsilon_budget=None)
    signer = site_signature(fl_ctx.get_engine().get_workspace())
    with Ledger(path, cohort, signer=signer) as ledger:
        yield ledger


def _check(ledger: Ledger, mechanism: Mechanism, policy: SitePolicy) -> None:
    if policy.limits_epsilon and ledger.guarantee_after(mechanism) > policy.max_epsilon:
        raise PolicyError(
            f"max_epsilon={policy.max_epsilon} at delta={policy.delta}: round {mechanism.round + 1} would pass it"
        )
