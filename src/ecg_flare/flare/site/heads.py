"""What a site remembers of the server's ledger: its latest head, which the next request's must extend.

A file a ledger in the site's workspace, outside of any job's folder. A server that restored an older ledger, or shows
this site another one than its peers, can spend the same budget twice; the head is what it cannot make the site forget.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal

from ecg_flare.documents import Fields, parse_object, short
from ecg_flare.errors import ConfigError, EcgFlareError, LedgerError, PolicyError, StorageError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.deploy.identity import site_signer
from ecg_flare.flare.job.components import component, job_terms, report_error
from ecg_flare.flare.job.ledger_messages import WITNESS, empty_message, ledger_alone, tail_of, with_countersignature
from ecg_flare.flare.job.messages import TRAIN, error_reply
from ecg_flare.flare.site.policy import SitePolicy, read_policy
from ecg_flare.privacy.chain import Head
from ecg_flare.privacy.chain_tail import ChainTail
from ecg_flare.privacy.countersignature import Countersignature
from ecg_flare.privacy.secure_sum.signing import CertificateSigner
from ecg_flare.storage import locked, write_json

HEADS_FOLDER: Final = "ecg_flare_ledger_heads"


@dataclass(frozen=True)
class HeldHead:
    """The latest head that a site has seen of a ledger.

    Attributes:
        ledger: SHA-256 of the ledger's first line, in hex.
        cohort: its name in that line.
    """

    ledger: str
    cohort: str
    head: Head


class SiteHeads:
    """The heads in a site's workspace, durable before anything is signed on their strength.

    Raises StorageError where a file cannot be read or written: forgetting a head would be worse than stopping.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / HEADS_FOLDER

    def all(self) -> tuple[HeldHead, ...]:
        """One head a ledger."""
        return tuple(_read(path) for path in sorted(self._folder.glob("*.json")))

    def advance(self, tail: ChainTail, policy: SitePolicy) -> HeldHead:
        """Take the head that the tail leads to in the place of the one held.

        Raises LedgerError where it does not extend it, and PolicyError for a ledger that the site does not follow.
        """
        with locked(self._folder):  # two jobs at once must not each put its own head in the place of the same one
            held = {one.ledger: one for one in self.all()}
            mine = held.get(tail.ledger)
            head = tail.follow(None if mine is None else mine.head)
            cohort = mine.cohort if mine is not None else _cohort(tail)
            _check_followed(tail.ledger, cohort, tuple(held.values()), policy)
            new = HeldHead(tail.ledger, cohort, head)
            if new != mine:
                fields = {"cohort": cohort, "digest": head.digest, "ledger": tail.ledger, "lines": head.lines}
                write_json(self._folder / f"{tail.ledger}.json", fields)
        return new


def follow_ledger(fl_ctx: FLContext, terms: JobTerms, request: Shareable | None) -> HeldHead | None:
    """Hold the ledger that comes with a request against what this site remembers; None in a job without noise.

    Raises PolicyError, whose text may leave the site, where the request carries none, or one that does not extend it.
    """
    if not terms.private:
        return None
    workspace = fl_ctx.get_engine().get_workspace()
    try:
        tail = None if request is None else tail_of(request)
        if tail is None:
            raise LedgerError("the request carries no ledger, though the job adds noise")
        return SiteHeads(Path(workspace.get_root_dir())).advance(tail, read_policy(workspace))
    except LedgerError as error:
        raise PolicyError(f"ledger_head: {error}") from error


def countersign_request(fl_ctx: FLContext, terms: JobTerms, request: Shareable | None) -> Countersignature | None:
    """This site's signature of the ledger's head that comes with a request; None in a job without noise.

    Raises as `follow_ledger`.
    """
    followed = follow_ledger(fl_ctx, terms, request)
    if followed is None:
        return None
    site = fl_ctx.get_identity_name()
    signer = site_signer(fl_ctx.get_engine().get_workspace(), fl_ctx.get_job_id(), site)
    return Countersignature.sign(site, followed.ledger, followed.head, signer)


class LedgerWitness(FLComponent):
    """Holds a request's ledger for the filters: FLARE clears a request away before it filters the answer."""

    def __init__(self) -> None:
        super().__init__()
        self._request: Shareable | None = None

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        if event_type == EventType.BEFORE_TASK_EXECUTION and fl_ctx.get_prop(FLContextKey.TASK_NAME) == TRAIN:
            self._request = ledger_alone(fl_ctx.get_prop(FLContextKey.TASK_DATA))
        elif event_type == EventType.ABOUT_TO_END_RUN:
            self._request = None

    def countersign(self, fl_ctx: FLContext, terms: JobTerms) -> Countersignature | None:
        """The signature of the ledger that came with the request under way, once."""
        request, self._request = self._request, None
        return countersign_request(fl_ctx, terms, request)


def countersign(fl_ctx: FLContext, terms: JobTerms) -> Countersignature | None:
    """The signature that goes with the answer to the request under way; None in a job without noise.

    The last filter of each way of summing calls it before anything is charged, and sends it with the answer
    (`with_countersignature`). Raises as `follow_ledger`.
    """
    return component(fl_ctx, WITNESS, LedgerWitness).countersign(fl_ctx, terms) if terms.private else None


def sign_held(held: HeldHead, site: str, kit: Path) -> Countersignature:
    """A held head, signed with the key of the site's startup kit; raises ConfigError where the kit has none."""
    startup = kit / "startup"
    try:
        signer = CertificateSigner.from_files(startup / "client.key", startup / "client.crt")
    except OSError as error:
        raise ConfigError(f"{startup} holds no client.key and client.crt to sign with: {error}") from error
    return Countersignature.sign(site, held.ledger, held.head, signer)


class WitnessExecutor(Executor):
    """Answers the last task of a job with noise: it countersigns the ledger's head after the last release."""

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        if task_name != WITNESS:
            return make_reply(ReturnCode.TASK_UNKNOWN)
        try:
            return with_countersignature(empty_message(), countersign_request(fl_ctx, job_terms(fl_ctx), shareable))
        except EcgFlareError as error:
            report_error(self, task_name, error, fl_ctx)
            return error_reply(error)


def _check_followed(ledger: str, cohort: str, held: tuple[HeldHead, ...], policy: SitePolicy) -> None:
    others = tuple(one for one in held if one.ledger != ledger)
    known = len(others) < len(held)
    if not policy.ledgers:
        if known or not held:
            return
        described = ", ".join(f"{one.cohort!r} ({one.ledger[:12]})" for one in others)
        raise PolicyError(
            f"ledgers: this site follows {described}; the server's is another one, {cohort!r} ({ledger[:12]})"
        )
    first_of_its_name = known or not any(one.cohort == cohort for one in others)
    if ledger not in policy.ledgers and not (cohort in policy.ledgers and first_of_its_name):
        raise PolicyError(f"ledgers={list(policy.ledgers)}: the server's is {cohort!r} ({ledger[:12]})")


def _cohort(tail: ChainTail) -> str:
    founding = tail.founding
    if founding is None:
        raise LedgerError("the ledger is sent without its first line, expected all of it: no head of it is held")
    return str(Fields(founding, "the ledger's first line", LedgerError).text("name"))


def _read(path: Path) -> HeldHead:
    where = (
        f"{path} does not hold a ledger's head, restore it from a backup (deleting it lets the server spend again what "
        "it has spent)"
    )
    try:
        fields = Fields(parse_object(path.read_bytes(), where, StorageError), where, StorageError)
        head = Head.parse(f"{fields.whole('lines', 0, 2**63)}:{fields.text('digest')}")
    except (OSError, ConfigError) as error:
        raise StorageError(f"{where}: {error}") from error
    if (ledger := fields.text("ledger")) != path.stem:
        raise StorageError(f"{where}: it is of ledger {short(ledger)}")
    return HeldHead(path.stem, fields.text("cohort"), head)
