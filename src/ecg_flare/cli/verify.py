"""What `ecg-flare privacy verify` prints about a ledger, and about the sites that vouch for it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecg_flare.privacy.chain import Head
    from ecg_flare.privacy.countersignature import Vouched
    from ecg_flare.privacy.ledger import LedgerReport, LedgerRound


def read_pinned(path: Path) -> dict[str, bytes]:
    """The fingerprints that a policy file pins; raises ConfigError where it pins none, or cannot be read."""
    from ecg_flare.errors import ConfigError
    from ecg_flare.flare.site.policy import read_entries, read_pins

    pinned = read_pins(read_entries(path).get("pinned", {}))
    if not pinned:
        raise ConfigError(f"{path} pins no certificate, expected the fingerprints of the sites under 'pinned'")
    return pinned


def verify_json(told: "LedgerReport", vouched: "Vouched | None", *, signatures_checked: bool) -> dict[str, Any]:
    """The outcome as JSON values."""
    facts = {"lines": told.head.lines, "head": told.head.digest, "anchored": told.anchored, "signed": told.signed}
    sites = None if vouched is None else {site: head.lines for site, head in sorted(vouched.heads.items())}
    unvouched = None if vouched is None else [_named(one) for one in _unvouched(told, vouched)]
    return {
        "valid": True,
        **facts,
        "signatures_checked": signatures_checked,
        "vouched_lines_by_site": sites,
        "released_rounds_without_witness": unvouched,
    }


def verify_lines(
    ledger: Path,
    told: "LedgerReport",
    vouched: "Vouched | None",
    *,
    cert: Path | None,
    root: Path | None,
    heads: "Sequence[Head]",
) -> Iterator[str]:
    """The outcome for people."""
    yield (
        f"{ledger} holds: {told.head.lines} lines, {len(told.rounds)} rounds, "
        f"epsilon {told.spent.epsilon_rdp:.3f} at delta {told.spent.delta:g}"
    )
    yield f"Its head is {told.head}."
    if cert is not None:
        yield f"Each line is signed by the key of {cert}{'' if root is None else f', which {root} vouches for'}."
    elif told.signed:
        yield f"{told.signed} lines are signed; give --cert to have the signatures checked."
    yield from (f"It contains the head of line {head.lines} that was given." for head in heads)
    if vouched is not None:
        yield from _vouched_lines(told, vouched, root)
    if not told.anchored:
        yield "No head is stored beside it: lines removed from its end would not be noticed."


def _vouched_lines(told: "LedgerReport", vouched: "Vouched", root: Path | None) -> Iterator[str]:
    for line, count in vouched.reach:
        noun = "site vouches" if count == 1 else "sites vouch"
        yield f"{count} {noun} for all up to line {line}: {', '.join(vouched.sites(line))}."
    if root is None:
        yield "Give --root to know that the sites' certificates are the project's."
    if unvouched := [f"round {one.mechanism.round + 1} of {one.mechanism.job}" for one in _unvouched(told, vouched)]:
        yield f"Released, and nobody vouches for it: {', '.join(unvouched)}."
    else:
        yield "Some site vouches for every round that was released."


def _unvouched(told: "LedgerReport", vouched: "Vouched") -> "list[LedgerRound]":
    return [one for one in told.rounds if one.release_line is not None and not vouched.sites(one.release_line)]


def _named(one: "LedgerRound") -> dict[str, Any]:
    return {"job": one.mechanism.job, "round": one.mechanism.round, "line": one.release_line}
