"""Which sum a server asked its sites to recover last: after a crash only the very same sites can be summed again.

A site that helped to recover a sum from a model helps with none over other sites (`privacy.secure_sum.recovered_sums`).
A server that lost what was recovered therefore asks the same sites again, however many more have come back meanwhile.
"""

from pathlib import Path
from typing import Final

from ecg_flare.documents import Fields, parse_object
from ecg_flare.errors import StorageError
from ecg_flare.storage import write_json

_FILE: Final = "last_sum.json"


class LastSum:
    """The last sum that was asked for.

    Args:
        folder: where it is kept, beside the model that it starts from; None keeps it in memory alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / _FILE
        self._last: tuple[str, tuple[str, ...]] = ("", ())

    def record(self, model_sha256: bytes, sites: tuple[str, ...]) -> None:
        """Remember, durably, that these sites are about to be asked; raises StorageError where it cannot be written."""
        self._last = (model_sha256.hex(), sites)
        if self._path is not None:
            write_json(self._path, {"model_sha256": model_sha256.hex(), "sites": list(sites)})

    def sites(self, model_sha256: bytes) -> tuple[str, ...]:
        """The sites that were asked for a sum from this model, or (); raises StorageError for a file that is broken."""
        if self._path is not None and self._path.exists():
            where = f"{self._path} cannot be read, restore it or remove it"
            try:
                data = self._path.read_bytes()
            except OSError as error:
                raise StorageError(f"{where}: {error}") from error
            kept = Fields(parse_object(data, where, StorageError), where, StorageError)
            self._last = (kept.text("model_sha256"), kept.texts("sites"))
        model, sites = self._last
        return sites if model == model_sha256.hex() else ()

    def hint(self, model_sha256: bytes) -> str:
        """What to add to the reason of a failed round."""
        sites = self.sites(model_sha256)
        return f". The sum over {', '.join(sites)} was asked for before: only they can be summed again" if sites else ""
