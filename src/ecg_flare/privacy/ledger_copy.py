"""A copy of a ledger, with its head and its countersignatures, for those who look at a job's results.

Nothing is ever read back from it: the ledger itself lies where the server's own configuration says.
"""

from pathlib import Path

from ecg_flare.errors import LedgerError, StorageError
from ecg_flare.privacy.chain import head_path, witness_path
from ecg_flare.storage import write_atomically


def copy_ledger(ledger: Path, copy: Path) -> None:
    """Bring the copy up to date; nothing is done where `copy` is the ledger itself.

    Raises LedgerError where another ledger stands there, StorageError where it cannot be written.
    """
    try:
        if copy.exists() and copy.samefile(ledger):
            return
        whole, found = ledger.read_bytes(), copy.read_bytes() if copy.exists() else b""
    except OSError as error:
        raise StorageError(f"the ledger {ledger} or its copy {copy} cannot be read: {error}") from error
    if not whole.startswith(found):
        raise LedgerError(
            f"{copy} is no copy of this server's ledger {ledger}, but another one. Keep it: name it as `ledger` in the "
            "server's local/ecg_flare.json where it is the cohort's, or let the job keep its results elsewhere"
        )
    # The ledger goes first: a copy of it that is ahead of its head holds, one that is behind does not.
    _write(copy, whole)
    for beside in (head_path, witness_path):
        if beside(ledger).exists():
            _write(beside(copy), beside(ledger).read_bytes())


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda file: file.write(content))
