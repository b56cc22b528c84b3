"""A training process that runs in the test's own: the same commands, without a start of seconds."""

import io
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ecg_flare.nnunet.service import Service


class HereWorker:
    """Answers by the training process's own commands."""

    def __init__(self, **options: Any) -> None:
        self.alive = True
        self._service = Service(io.BytesIO(), threads=1, device="cpu")

    def call(self, command: str, params: Mapping[str, Any], arrays: Any = None, **options: Any) -> Any:
        answer = getattr(self._service, f"_{command}")(params, arrays or {})
        return SimpleNamespace(params=answer[0], arrays=answer[1])

    def close(self) -> None:
        """Nothing runs."""
