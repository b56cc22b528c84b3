"""A FLARE context without FLARE's processes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nvflare.apis.fl_constant import FLContextKey, ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.workspace import Workspace

from ecg_flare.flare.site.filters import StripResult


class Engine:
    """The little of FLARE's engine that the adapters ask for."""

    def __init__(self, root: Path, components: dict[str, Any]) -> None:
        for folder in ("startup", "local"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        self._workspace = Workspace(str(root), "site-1")
        self._components = components

    def get_component(self, component_id: str) -> Any:
        return self._components.get(component_id)

    def get_workspace(self) -> Workspace:
        return self._workspace

    def fire_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Nobody listens."""


def make_context(root: Path, *, name: str = "site-1", task: str = "train", **components: Any) -> FLContext:
    """A context of the party `name` whose job has these components."""
    fl_ctx = FLContext()
    props = {
        ReservedKey.ENGINE: Engine(root, components),
        ReservedKey.IDENTITY_NAME: name,
        ReservedKey.RUN_NUM: "job-1",
        FLContextKey.TASK_NAME: task,
        FLContextKey.RUNNER: SimpleNamespace(task_result_filters={"train/out": [StripResult()]}),
    }
    for key, value in props.items():
        fl_ctx.set_prop(key, value, private=True, sticky=False)
    return fl_ctx
