"""What `ecg-flare site check` prints: the dry run of a job's round at a site, task by task."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from ecg_flare.cli.screen import columns

if TYPE_CHECKING:
    from ecg_flare.flare.site.dry_run import DryRun, Field, Traffic

_HIDDEN: Final = {
    "ECG_FLARE_MASKED_UPDATE": "the update under masks",
    "ECG_FLARE_ENCRYPTED_SUM": "ciphertexts",
    "WEIGHT_DIFF": "THE UPDATE IN THE CLEAR",
    "ECG_FLARE_ENCODED_UPDATE": "THE UPDATE IN THE CLEAR, as integers",
    "ECG_FLARE_COUNTS": "what the model finds on held-out patients, counted",
}
_STEPS: Final = {"witness": "its signature of the server's ledger"}


def check_json(told: "DryRun") -> dict[str, Any]:
    """The whole dry run as JSON values."""
    return {
        "takes_part": not told.refused,
        "refused": told.refused,
        "site": told.site,
        "job": told.job,
        "terms": None if told.terms is None else asdict(told.terms),
        "policy": None if told.policy is None else _json_policy(asdict(told.policy)),
        "traffic": [asdict(each) for each in told.traffic],
        "sent_bytes": told.sent_bytes,
        "notes": told.notes,
    }


def check_lines(told: "DryRun") -> Iterator[str]:
    """The dry run for people."""
    yield f"job     {told.job}, at {told.site}"
    if told.terms is not None:
        terms = told.terms
        yield (
            f"terms   {terms.summation} sum of {len(terms.roster)} sites, at least {terms.min_sites}; "
            f"clipping norm {terms.clipping_norm}, noise {terms.noise_multiplier}, unit {terms.unit}; "
            f"{terms.rounds} rounds"
        )
    if told.policy is not None:
        said = {key: value for key, value in asdict(told.policy).items() if value not in ("", None, {}, (), [])}
        said["pinned"] = f"{len(told.policy.pinned)} sites"
        yield "policy  " + ", ".join(f"{key} {_text(value)}" for key, value in said.items())
    if told.traffic:
        yield ""
        steps = _STEPS | _own_steps(told)
        rows = [("task", "comes in", "goes out", "what goes out")]
        rows += [
            (
                each.task,
                f"{each.received_bytes:,}",
                f"{each.sent_bytes:,}",
                f"{steps.get(each.task) or _HIDDEN.get(each.kind, each.kind)}: {_fields(each)}",
            )
            for each in told.traffic
        ]
        received = sum(each.received_bytes for each in told.traffic)
        rows.append(("a round", f"{received:,}", f"{told.sent_bytes:,}", "bytes, without FLARE's framing and TLS"))
        yield from columns(rows, right=(1, 2))
        yield ""
    yield from (f"! {note}" for note in told.notes)
    if told.refused:
        yield f"WOULD NOT TAKE PART: {told.refused}"
    else:
        yield "WOULD TAKE PART: the round went through, and nothing was sent."


def _own_steps(told: "DryRun") -> dict[str, str]:
    """What each step of the job's way of summing takes from a site, by task."""
    from ecg_flare.federated.summation import summation

    steps = () if told.terms is None else summation(told.terms.summation).site.steps
    return {step.task: step.sends for step in steps}


def _fields(traffic: "Traffic") -> str:
    return ", ".join(f"{field.name} {_short(field)}" for field in traffic.fields)


def _short(field: "Field") -> str:
    if field.what == "bytes":
        return f"({field.size_bytes:,} bytes)"
    return field.what if len(field.what) <= 40 else f"{field.what[:12]}…"


def _text(value: object) -> str:
    return "/".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _json_policy(entries: dict[str, Any]) -> dict[str, Any]:
    # JSON knows no infinity
    return {key: None if value == float("inf") else value for key, value in entries.items()}
