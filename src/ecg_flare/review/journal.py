"""The decisions about one page on disk: NAME.review.jsonl beside its reading, a chain as a ledger is.

A line is on disk before its effect is shown, so that nothing is lost with the browser, the app or the machine. The
file stands beside NAME.json, which a new reading of the page rewrites: decisions outlive that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ecg_flare import __version__
from ecg_flare.documents import Fields
from ecg_flare.errors import EcgFlareError, LedgerError, LedgerInUseError, ReviewError, StorageError
from ecg_flare.privacy.chain import EMPTY, ChainWriter, Head, check_head, read_chain, read_head
from ecg_flare.review.decisions import Decision

ENDING: Final = ".review.jsonl"


class DecidedMeanwhileError(ReviewError):
    """Somebody else decided about the page since it was looked at."""


@dataclass(frozen=True)
class Journal:
    """The decisions about a page as they stand on disk, the chain's head, and the picture that they are about."""

    path: Path
    decisions: tuple[Decision, ...] = ()
    head: Head = EMPTY
    picture: str | None = None

    def append(self, decision: Decision, picture: str, before: Any) -> Journal:
        """Put a decision on disk, and return the journal with it.

        `picture` is the SHA-256 of the page's file, `before` what stood in the decision's place.

        Raises DecidedMeanwhileError where the file has grown since it was read, StorageError where it cannot be
        written.
        """
        entry = {**asdict(decision), "before": before, "picture": picture, "ecg_flare": __version__}
        try:
            with ChainWriter(self.path) as writer:
                if writer.head != self.head:
                    raise DecidedMeanwhileError(
                        f"somebody else decided about this page since it was opened here ({self.path.name} has "
                        f"{writer.head.lines} decisions, not {self.head.lines}): look at the page again"
                    )
                writer.append(entry)
                head = writer.head
        except LedgerInUseError as error:
            raise DecidedMeanwhileError("somebody else is deciding about this page just now: try again") from error
        except StorageError as error:
            raise StorageError(f"the decision was not saved: {error}") from error
        except LedgerError as error:
            raise _damaged(error) from error
        return Journal(self.path, (*self.decisions, decision), head, picture)


def journal_path(folder: Path, name: str) -> Path:
    """Where the decisions about a page stand."""
    return folder / f"{name}{ENDING}"


def read_journal(path: Path) -> Journal:
    """Read the decisions about a page; none where there is no file.

    Raises ReviewError where the file was changed by something else than a review.
    """
    if not path.exists():
        return Journal(path)
    try:
        chain = read_chain(path)
        head = read_head(path)
        if head is not None:
            check_head(path, chain, head)
    except EcgFlareError as error:
        raise _damaged(error) from error
    decisions, picture = [], None
    for line in chain.lines:
        fields = Fields(line.entry, f"{path}, line {line.number}", ReviewError)
        names = {name: fields.text(name) for name in ("what", "who", "when", "picture")}
        picture = names.pop("picture")
        decisions.append(Decision(value=line.entry.get("value"), why=fields.text("why", ""), **names))
    return Journal(path, tuple(decisions), chain.head, picture)


def _damaged(error: EcgFlareError) -> ReviewError:
    return ReviewError(f"the decisions about this page cannot be trusted: {error}")
