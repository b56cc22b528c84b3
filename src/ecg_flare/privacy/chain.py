"""An append-only file of hash-chained JSON lines that survives crashes and shows tampering.

Each line is canonical JSON: its number, its entry, `prev` (SHA-256 of the whole line before it, signature included),
`hash` (SHA-256 of number, entry and prev) and, where a signer is given, a signature of that hash. Beside the file
lies `<name>.head` with the number of lines and the SHA-256 of the last: the chain alone cannot show that lines are
missing at its end. Whoever rolls a file back rolls that head back, too; `<name>.witness` has heads that others have
signed (`privacy.countersignature`), and a file that is behind one of them is refused as well.

`append` returns once the line and then the head are on disk. Whoever acts only after it returned can rely on this:

- A crash while the line is written leaves an incomplete last line that the head does not count. Nothing was done on
  its strength, so opening the file to write cuts it off and reports its bytes.
- A crash between line and head leaves a whole line that the head does not count. It stands.
- Anything else (an incomplete line that the head counts, a head ahead of the file, a missing head) is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from ecg_flare.documents import Fields, parse_object
from ecg_flare.errors import ConfigError, LedgerError, LedgerInUseError, StorageError
from ecg_flare.storage import sync_folder, write_atomically

ChainEntry = Mapping[str, Any]
LineSigner = Callable[[bytes], bytes]
"""Message -> signature."""

LineVerifier = Callable[[bytes, bytes], bool]
"""Message, signature -> whether the signature is genuine."""

_GENESIS = "0" * 64
_DOMAIN = b"ecg_flare ledger line\0"
_HEAD = re.compile("[0-9]{1,12}:[0-9a-f]{64}")


@dataclass(frozen=True)
class Line:
    """One line as read: its number (from 1), what it says, the SHA-256 of its bytes, and whether it is signed."""

    number: int
    entry: ChainEntry
    digest: str
    signed: bool = False


@dataclass(frozen=True)
class Head:
    """How many lines there are, and the SHA-256 of the last; `str` gives `LINES:DIGEST`."""

    lines: int
    digest: str

    def __str__(self) -> str:
        return f"{self.lines}:{self.digest}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Read `LINES:DIGEST`; raises ConfigError for anything else."""
        if not _HEAD.fullmatch(text):
            raise ConfigError(f"a head is LINES:DIGEST, such as 7:9f86d0…, with 64 digits of hex. Found {text!r}.")
        lines, _, digest = text.partition(":")
        return cls(int(lines), digest)


EMPTY: Final = Head(0, _GENESIS)
"""The head of a chain without lines."""


@dataclass(frozen=True)
class Chain:
    """A file as read: its whole lines, and the bytes of an incomplete one at the end."""

    lines: tuple[Line, ...]
    torn: bytes

    @property
    def signed(self) -> int:
        """How many lines bear a signature."""
        return sum(line.signed for line in self.lines)

    @property
    def head(self) -> Head:
        return Head(len(self.lines), self.lines[-1].digest) if self.lines else EMPTY


def read_chain(path: Path, verifier: LineVerifier | None = None) -> Chain:
    """Read a file and check every line: form, number, chain, hash and, with a verifier, signature.

    Raises LedgerError naming the first line that is wrong.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise LedgerError(f"the ledger {path} cannot be read: {error}") from error
    *whole, torn = raw.split(b"\n")
    return Chain(follow_lines(EMPTY, whole, str(path), verifier), torn)


def follow_lines(
    head: Head, texts: Iterable[bytes], name: str, verifier: LineVerifier | None = None
) -> tuple[Line, ...]:
    """The lines that `texts` add to the chain that ends at `head`: no line before it need be at hand.

    `name` stands for the file in errors. Raises LedgerError naming the first line that is wrong.
    """
    lines: list[Line] = []
    previous = head.digest
    for number, text in enumerate(texts, start=head.lines + 1):
        line = _parse(name, number, text, previous, verifier)
        lines.append(line)
        previous = line.digest
    return tuple(lines)


def heads_beside(path: Path) -> tuple[Head, ...]:
    """What lies beside a ledger to hold it against: its own head, and the heads that others have countersigned.

    Raises LedgerError where one of the two files cannot be understood.
    """
    own = read_head(path)
    return (*(() if own is None else (own,)), *read_countersigned(path).values())


def read_countersigned(path: Path) -> dict[str, Head]:
    """Who countersigned which head, by the file beside the ledger, whose signatures are not looked at here."""
    try:
        entries = json.loads(witness_path(path).read_text(encoding="utf-8"))
        return {site: Head(int(entry["lines"]), str(entry["digest"])) for site, entry in entries.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LedgerError(
            f"{witness_path(path)} cannot be understood ({error!r}): restore it from a copy; without it a ledger "
            "that was rolled back is not noticed here"
        ) from error


def head_path(path: Path) -> Path:
    """Where the head of a ledger lies."""
    return path.with_name(path.name + ".head")


def witness_path(path: Path) -> Path:
    """Where the countersignatures of a ledger lie."""
    return path.with_name(path.name + ".witness")


def read_head(path: Path) -> Head | None:
    """The head that lies beside a ledger, None where there is none.

    Raises LedgerError where it cannot be understood.
    """
    beside = head_path(path)
    try:
        data = beside.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LedgerError(f"{beside} cannot be understood ({error}): restore it from a copy") from error
    where = f"{beside} cannot be understood, restore it from a copy"
    fields = Fields(parse_object(data, where, LedgerError), where, LedgerError)
    return Head(fields.whole("lines", 0, 2**63), fields.text("digest"))


def check_head(path: Path, chain: Chain, head: Head) -> None:
    """Refuse a chain that does not contain what the head anchors; raises LedgerError naming the line."""
    if head.lines > len(chain.lines):
        raise LedgerError(
            f"{path}, line {len(chain.lines) + 1}: missing or incomplete, though {head.lines} lines were on disk "
            "once: restore the ledger from a copy"
        )
    if head.lines and chain.lines[head.lines - 1].digest != head.digest:
        raise LedgerError(f"{path}, line {head.lines}: is not the line that the head anchors; it was changed")


class ChainWriter:
    """The one writer of a file; holds an exclusive lock on it until `close`.

    `torn` has the bytes of an incomplete last line that opening cut off.

    Raises LedgerError where another process writes to the file or the file is wrong, StorageError where it cannot be
    opened or written.
    """

    def __init__(self, path: Path, signer: LineSigner | None = None) -> None:
        self.path = path
        self._signer = signer
        self._fd = _open_locked(path)
        try:
            self._load()
        except BaseException:
            os.close(self._fd)
            raise

    def _load(self) -> None:
        chain, head = read_chain(self.path), read_head(self.path)
        for known in heads_beside(self.path):
            check_head(self.path, chain, known)
        if head is None and len(chain.lines) > 1:
            raise LedgerError(
                f"{head_path(self.path)} is missing, so lines may be missing at the end of {self.path}: "
                "restore both from a copy"
            )
        self.lines = list(chain.lines)
        self.torn = chain.torn
        self._size = os.fstat(self._fd).st_size - len(chain.torn)
        if chain.torn:
            with _storage_errors(self.path):
                self._cut_back()
        if chain.lines:
            self._write_head()

    @property
    def head(self) -> Head:
        """Number of lines and SHA-256 of the last."""
        return Chain(tuple(self.lines), b"").head

    def append(self, entry: ChainEntry) -> Line:
        """Put one entry on disk; it is there, whatever happens next, when this returns.

        Raises StorageError, with the file as it was, where the line cannot be written (a full disk). Where only the
        head cannot, the error says that the line stands.
        """
        number = len(self.lines) + 1
        if os.fstat(self._fd).st_size != self._size:
            raise StorageError(f"{self.path} has bytes after line {number - 1} that were not recorded: open it again")
        text = _compose(number, entry, self.head.digest, self._signer)
        try:
            _write_all(self._fd, text + b"\n")
            os.fsync(self._fd)
        except OSError as error:
            with contextlib.suppress(OSError):  # an incomplete line is cut off when the file is opened next
                self._cut_back()
            raise StorageError(
                f"line {number} of {self.path} was not recorded ({error}): make room on the disk and retry"
            ) from error
        line = Line(number, entry, _sha256(text), self._signer is not None)
        self.lines.append(line)
        self._size += len(text) + 1
        try:
            self._write_head()
        except StorageError as error:
            raise StorageError(f"line {number} of {self.path} is recorded, but its head is not. {error}") from error
        return line

    def close(self) -> None:
        """Give the lock back; closing twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> ChainWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _cut_back(self) -> None:
        os.ftruncate(self._fd, self._size)
        os.fsync(self._fd)

    def _write_head(self) -> None:
        head = self.head
        text = _canonical({"digest": head.digest, "lines": head.lines}) + b"\n"
        write_atomically(head_path(self.path), lambda file: file.write(text))


def _open_locked(path: Path) -> int:
    with _storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        sync_folder(path.parent)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise LedgerInUseError(f"another job writes to the ledger {path}: wait until it has ended") from error
    return fd


def _compose(number: int, entry: ChainEntry, previous: str, signer: LineSigner | None) -> bytes:
    body: dict[str, Any] = {"entry": entry, "line": number, "prev": previous}
    body["hash"] = _sha256(_canonical(body))
    if signer is not None:
        body["signature"] = signer(_DOMAIN + body["hash"].encode()).hex()
    return _canonical(body)


def _parse(name: str, number: int, text: bytes, previous: str, verifier: LineVerifier | None) -> Line:
    def wrong(what: str) -> LedgerError:
        return LedgerError(f"{name}, line {number}: {what}; the ledger was changed, restore it from a copy")

    try:
        body = json.loads(text)
        canonical = isinstance(body, dict) and _canonical(body) == text
    except (ValueError, RecursionError):  # the line may be from a peer
        canonical = False
    if not canonical or not body.keys() - {"signature"} == {"entry", "hash", "line", "prev"}:
        raise wrong(_rewritten(text) or "is not a line of a ledger")
    if body["line"] != number or body["prev"] != previous:
        raise wrong("does not follow the line before it")
    if body["hash"] != _sha256(_canonical({key: body[key] for key in ("entry", "line", "prev")})):
        raise wrong("its hash does not fit what it says")
    if verifier is not None and not _signed(body, verifier):
        raise wrong("its signature is missing or not genuine")
    return Line(number, body["entry"], _sha256(text), "signature" in body)


def _rewritten(text: bytes) -> str:
    """What a program did to the line, and how to take it back: its bytes are then checked as ever; '' for neither."""
    if text.endswith(b"\r"):
        return (
            "ends in CR LF, as an editor or git (core.autocrlf) writes; `sed -i 's/\\r$//' FILE` takes that back, and "
            "'*.jsonl -text' in .gitattributes keeps git from it"
        )
    if text.startswith(b"\xef\xbb\xbf"):
        return (
            "begins with a byte order mark, which an editor writes; `sed -i '1s/^\\xEF\\xBB\\xBF//' FILE` takes it back"
        )
    return ""


def _signed(body: Mapping[str, Any], verifier: LineVerifier) -> bool:
    try:
        signature = bytes.fromhex(body.get("signature", ""))
    except (TypeError, ValueError):
        return False
    return bool(signature) and verifier(_DOMAIN + body["hash"].encode(), signature)


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error}): check the disk and its permissions") from error
