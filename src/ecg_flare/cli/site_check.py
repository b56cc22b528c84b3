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


def check_json(tried: "DryRun") -> dict[str, Any]:
    """The whole dry run as JSON values."""
    return {
        "takes_part": not tried.refused,
        "refused": tried.refused,
        "site": tried.site,
        "job": tried.job,
        "terms": None if tried.terms is None else asdict(tried.terms),
        "policy": None if tried.policy is None else _json_policy(asdict(tried.policy)),
        "traffic": [asdict(each) for each in tried.traffic],
        "sent_bytes": tried.sent_bytes,
        "notes": tried.notes,
    }


def check_lines(tried: "DryRun") -> Iterator[str]:
    """The dry run for people."""
    yield f"job     {tried.job}, at {tried.site}"
    if tried.terms is not None:
        terms = tried.terms
        narrow = "" if terms.ring_bits is None else f" in words of {terms.ring_bits} bits"
        yield (
            f"terms   {terms.summation} sum{narrow} of {len(terms.roster)} sites, at least {terms.min_sites}; "
            f"clipping norm {terms.clipping_norm}, noise {terms.noise_multiplier}, unit {terms.unit}; "
            f"{terms.rounds} rounds"
        )
        if terms.model.local:
            yield f"keeps   {', '.join(terms.model.local)}: this site trains these tensors, and sends none of them"
    if tried.policy is not None:
        said = {key: value for key, value in asdict(tried.policy).items() if value not in ("", None, {}, (), [])}
        said["pinned"] = f"{len(tried.policy.pinned)} sites"
        yield "policy  " + ", ".join(f"{key} {_text(value)}" for key, value in said.items())
    if tried.traffic:
        yield ""
        steps = _STEPS | _own_steps(tried)
        rows = [("task", "comes in", "goes out", "what goes out")]
        rows += [
            (
                each.task,
                f"{each.received_bytes:,}",
                f"{each.sent_bytes:,}",
                f"{steps.get(each.task) or _HIDDEN.get(each.kind, each.kind)}: {_fields(each)}",
            )
            for each in tried.traffic
        ]
        received = sum(each.received_bytes for each in tried.traffic)
        rows.append(("a round", f"{received:,}", f"{tried.sent_bytes:,}", "bytes, without FLARE's framing and TLS"))
        yield from columns(rows, right=(1, 2))
        yield ""
    yield from (f"! {note}" for note in tried.notes)
    if tried.refused:
        yield f"WOULD NOT TAKE PART: {tried.refused}"
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
