"""What left a site under differential privacy, in the site's own words, and the limit that the site sets to it.

The file lies in the site's workspace, outside of any job's folder, one for each unit: every job that the site answers
continues it. A round is charged when the site's update leaves, whatever becomes of the sum, with the same events as in
the server's ledger; rounds that the site did not answer cost its units nothing and are not in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from nvflare.apis.fl_context import FLContext

from ecg_flare.errors import PolicyError
from ecg_flare.flare.site_policy import SitePolicy, read_policy
from ecg_flare.flare.terms import RoundTerms
from ecg_flare.privacy.cohort import Cohort
from ecg_flare.privacy.ledger import Ledger

LEDGER_FOLDER: Final = "ecg_flare_ledger"


def check_limit(fl_ctx: FLContext, terms: RoundTerms, round_index: int) -> None:
    """Refuse a round that would bring this site above its own limit; the message is public.

    Raises PolicyError where it would, LedgerError where the site's ledger is wrong or was changed.
    """
    policy = read_policy(fl_ctx.get_engine().get_workspace())
    if terms.config.event is None or not policy.limits_epsilon:
        return
    with _opened(fl_ctx, terms, policy) as ledger:
        _check(ledger, terms, round_index, policy)


def charge_round(fl_ctx: FLContext, terms: RoundTerms, round_index: int) -> None:
    """Put on disk what is about to leave this site; raises as `check_limit`, and StorageError for a full disk."""
    if terms.config.event is None:
        return
    policy = read_policy(fl_ctx.get_engine().get_workspace())
    with _opened(fl_ctx, terms, policy) as ledger:
        _check(ledger, terms, round_index, policy)
        mechanism = terms.mechanism(fl_ctx.get_job_id(), round_index)
        # The site is alone in its ledger: the weight that the noise was measured against bounds its own, and what an
        # adaptive C follows is in the server's.
        weights = {fl_ctx.get_identity_name(): mechanism.sensitivity / mechanism.clipping_norm}
        ledger.charge(replace(mechanism, weights=weights, shared_patients=False, adaptation=None))


def ledger_path(fl_ctx: FLContext, unit: str) -> Path:
    """Where this site keeps its ledger."""
    return Path(fl_ctx.get_engine().get_workspace().get_root_dir()) / LEDGER_FOLDER / f"{unit}.jsonl"


@contextmanager
def _opened(fl_ctx: FLContext, terms: RoundTerms, policy: SitePolicy) -> Iterator[Ledger]:
    site = fl_ctx.get_identity_name()
    cohort = Cohort(site, terms.unit, (site,), policy.delta, epsilon_budget=None)
    with Ledger(ledger_path(fl_ctx, terms.unit), cohort) as ledger:
        yield ledger


def _check(ledger: Ledger, terms: RoundTerms, round_index: int, policy: SitePolicy) -> None:
    event = terms.config.event
    assert event is not None, "only rounds with noise come here"
    if policy.limits_epsilon and ledger.guarantee_after(event) > policy.most_epsilon:
        raise PolicyError(
            f"most_epsilon={policy.most_epsilon} at delta={policy.delta}: round {round_index + 1} would pass it"
        )
