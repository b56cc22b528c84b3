"""What the server and a site say to each other about the server's ledger, under noise.

It stands in headers: of a request, the ledger's lines that the site has not seen; of the answer, the site's
signature of the ledger's head. So it is the same in all ways of summing, whatever the filters make of the message
itself. At the end of a job a task of its own, `WITNESS`, brings the lines of the last release.
"""

import re
from typing import Final

from nvflare.apis.dxo import DXO
from nvflare.apis.shareable import Shareable, make_copy

from ecg_flare.errors import ConfigError, LedgerError
from ecg_flare.privacy.chain import Head
from ecg_flare.privacy.chain_tail import ChainTail
from ecg_flare.privacy.countersignature import Countersignature

WITNESS: Final = "witness"
"""The task; also the id of the component that holds a request's ledger at a site."""
WITNESSED: Final = "ECG_FLARE_WITNESSED"
"""DXO data kind of the messages of `WITNESS`, which are empty but for their headers."""

TAIL_HEADER: Final = "ecg_flare_ledger"
COUNTERSIGNATURE_HEADER: Final = "ecg_flare_countersignature"
_SHA256: Final = re.compile("[0-9a-f]{64}")


def with_tail(message: Shareable, tail: ChainTail) -> Shareable:
    """A copy of the message, which shares its data, with the tail of the ledger."""
    copied = make_copy(message)
    text = b"".join(line + b"\n" for line in tail.texts)
    copied.set_header(TAIL_HEADER, {"ledger": tail.ledger, "base": str(tail.base), "text": text})
    return copied


def tail_of(message: Shareable) -> ChainTail | None:
    """The tail of the ledger that comes with a message, None where none does; raises LedgerError for anything else."""
    fields = message.get_header(TAIL_HEADER)
    if fields is None:
        return None
    try:
        ledger, base, text = fields["ledger"], Head.parse(fields["base"]), fields["text"]
    except (KeyError, TypeError, ConfigError) as error:
        raise LedgerError(f"the message's {TAIL_HEADER} is no tail of a ledger: {error!r}") from error
    if not isinstance(ledger, str) or not _SHA256.fullmatch(ledger) or not isinstance(text, bytes):
        raise LedgerError(f"the message's {TAIL_HEADER} is no tail of a ledger: a field is of another kind")
    if text and not text.endswith(b"\n"):
        raise LedgerError(f"the message's {TAIL_HEADER} ends within a line")
    return ChainTail(ledger, base, tuple(text.split(b"\n")[:-1]))


def ledger_alone(message: Shareable) -> Shareable:
    """A message with the tail of the ledger, and nothing else of the original."""
    alone = Shareable()
    alone.set_header(TAIL_HEADER, message.get_header(TAIL_HEADER))
    return alone


def with_countersignature(answer: Shareable, signed: Countersignature | None) -> Shareable:
    """The answer, with the site's signature of the ledger's head; as it is in a job without noise."""
    if signed is None:
        return answer
    answer.set_header(
        COUNTERSIGNATURE_HEADER,
        {
            "ledger": signed.ledger,
            "head": str(signed.head),
            "certificate": signed.certificate,
            "signature": signed.signature,
        },
    )
    return answer


def countersignature_of(site: str, answer: Shareable) -> Countersignature:
    """The signature that comes with a site's answer; raises LedgerError where there is none."""
    fields = answer.get_header(COUNTERSIGNATURE_HEADER)
    try:
        head = Head.parse(fields["head"])
        ledger, certificate, signature = (fields[name] for name in ("ledger", "certificate", "signature"))
    except (KeyError, TypeError, ConfigError) as error:
        raise LedgerError(f"{site} did not countersign the ledger's head") from error
    if not isinstance(ledger, str) or not isinstance(certificate, bytes) or not isinstance(signature, bytes):
        raise LedgerError(f"{site} did not countersign the ledger's head: a field is of another kind")
    return Countersignature(site, ledger, head, certificate, signature)


def empty_message() -> Shareable:
    """A message of `WITNESS` without its headers."""
    return DXO(WITNESSED, data={}).to_shareable()
