"""A site in memory: a job's own components, filters and executors at work without FLARE's processes.

It does with a task what FLARE's client runner does: fire the event, execute, filter the result. What FLARE adds around
a message (headers, encryption in transit) is not here.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.filter import Filter
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey, ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.apis.workspace import Workspace

from ecg_flare.errors import ConfigError, PolicyError, RoundError
from ecg_flare.extensions import extension_class
from ecg_flare.flare.deploy.allowed import site_classes
from ecg_flare.flare.site.policy import POLICY_FILE


class MemoryEngine:
    """The little of FLARE's engine that components ask for.

    Args:
        root: the party's workspace.
        name: of the party.
        components: by id.
    """

    def __init__(self, root: Path, name: str, components: Mapping[str, Any]) -> None:
        self._workspace = Workspace(str(root), name)
        self._components = dict(components)

    def get_component(self, component_id: str) -> Any:
        """The component of that id, or None."""
        return self._components.get(component_id)

    def get_workspace(self) -> Workspace:
        """The party's workspace."""
        return self._workspace

    def fire_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Tell the components."""
        for component in self._components.values():
            if isinstance(component, FLComponent):
                component.handle_event(event_type, fl_ctx)


class MemorySite:
    """One site of a job.

    Args:
        config: the job's client config.
        name: of the site.
        root: its workspace, with the folders startup and local.
        job: id of the job.
        replaced: class path -> executor to take in the place of the one that the job names.
        settings: class path -> arguments that go before the job's, and so do those of a group in its place.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        name: str,
        root: Path,
        job: str,
        *,
        replaced: Mapping[str, Executor] | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        more = settings or {}
        components = {part["id"]: build(part, more) for part in config.get("components", [])}
        self._executors: dict[str, Executor] = {}
        for entry in config["executors"]:
            executor = (replaced or {}).get(entry["executor"]["path"]) or build(entry["executor"], more)
            self._executors |= dict.fromkeys(entry["tasks"], executor)
        self._filters: dict[str, list[Filter]] = {}
        for entry in config["task_result_filters"]:
            chain = [build(one, more) for one in entry["filters"]]
            for task in entry["tasks"]:
                self._filters.setdefault(f"{task}/out", []).extend(chain)
        self._engine = MemoryEngine(root, name, components)
        self._fl_ctx = memory_context(self._engine, name, job)
        self._fl_ctx.set_prop(
            FLContextKey.RUNNER, SimpleNamespace(task_result_filters=self._filters), private=True, sticky=False
        )

    def answer(self, task: str, message: Shareable) -> Shareable:
        """What leaves the site for a task; raises RoundError for a task that the job gives nobody."""
        if task not in self._executors:
            raise RoundError(f"the job's sites know no task {task!r}, the job's server asks for it")
        for key, value in ((FLContextKey.TASK_NAME, task), (FLContextKey.TASK_DATA, message)):
            self._fl_ctx.set_prop(key, value, private=True, sticky=False)
        self._engine.fire_event(EventType.BEFORE_TASK_EXECUTION, self._fl_ctx)
        result = self._executors[task].execute(task, message, self._fl_ctx, Signal())
        self._fl_ctx.set_prop(FLContextKey.TASK_DATA, None, private=True, sticky=False)  # no filter sees the request
        for one in self._filters.get(f"{task}/out", []):
            result = one.process(result, self._fl_ctx)
        return result

    def close(self) -> None:
        """End the job at the site: processes and secrets go."""
        self._engine.fire_event(EventType.ABOUT_TO_END_RUN, self._fl_ctx)
        for executor in self._executors.values():
            executor.handle_event(EventType.ABOUT_TO_END_RUN, self._fl_ctx)


def memory_context(engine: MemoryEngine, name: str, job: str) -> FLContext:
    """A context of the party `name` in the job."""
    fl_ctx = FLContext()
    props = {ReservedKey.ENGINE: engine, ReservedKey.IDENTITY_NAME: name, ReservedKey.RUN_NUM: job}
    for key, value in props.items():
        fl_ctx.set_prop(key, value, private=True, sticky=False)
    return fl_ctx


def build(part: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]] | None = None) -> Any:
    """The object that an entry of a job's client config names, of the classes that `check_listed` lets through.

    Raises PolicyError for another class, before anything is imported, and ConfigError where it cannot be built.
    """
    path = class_path(part)
    check_listed(path)
    args = dict(part.get("args", {}))
    for name, value in (settings or {}).get(path, {}).items():
        inner = args.get(name)
        args[name] = {**inner, **value} if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)(**args)
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"the job's {path} cannot be built with {sorted(args)}: {error}") from error


def class_path(part: object) -> str:
    """The class that an entry of a job's config names.

    Raises ConfigError where it does not name it by `path`, as all jobs of ecg_flare do, or where an argument is a
    component of its own, which FLARE would build and no class of a job takes.
    """
    if not isinstance(part, Mapping) or not isinstance(part.get("path"), str) or {"class_path", "name"} & set(part):
        raise ConfigError(f"an entry of the job's config is {part!r}, expected a class path as 'path'")
    args = part.get("args", {})
    if not isinstance(args, Mapping):
        raise ConfigError(f"the job's {part['path']} has the arguments {args!r}, expected an object")
    for name, value in args.items():
        if _holds_component(value):
            raise ConfigError(f"the job's {part['path']} has a component of its own as {name}: {value!r}")
    return str(part["path"])


def check_listed(path: str) -> None:
    """Raise PolicyError unless the class is of `site_classes`, or one that an extension of the site's owner defines."""
    if path not in site_classes() and extension_class(path) is None:
        raise PolicyError(
            f"the job's class {path!r} is none of those of ecg_flare's jobs, and no extension that local/{POLICY_FILE} "
            "lists defines it: no other is built here"
        )


def _holds_component(value: object) -> bool:
    if isinstance(value, Mapping):
        named = [value[key] for key in ("path", "class_path", "name") if key in value]
        dotted = any(isinstance(name, str) and "." in name for name in named)  # a site may be called 'name'
        return dotted or any(map(_holds_component, value.values()))
    return isinstance(value, list) and any(map(_holds_component, value))
