"""Frozen dataclasses by class path and arguments, which are JSON: case sources, and tasks of torch modules.

Which paths may become a class at all is for the callers to say (`sources`, `task.modules.task`).
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Mapping
from typing import Any

from ecg_flare.errors import ConfigError


def class_path(kind: type) -> str:
    """Module and name of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def to_spec(value: object, what: str) -> dict[str, Any]:
    """An object as {"path": class path, "args": constructor arguments}, which is JSON; `what` it is, for messages.

    Raises ConfigError where it is no dataclass or an argument is not JSON.
    """
    kind = type(value)
    if not dataclasses.is_dataclass(value):
        raise ConfigError(f"{what} {kind.__name__} must be a dataclass, so that its arguments can be read")
    args = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
    try:
        args = json.loads(json.dumps(args, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what} {kind.__name__} has an argument that is not JSON: {error}") from error
    return {"path": class_path(kind), "args": args}


def imported(path: str, what: str) -> type:
    """The dataclass of that path; raises ConfigError where there is none."""
    module_name, _, class_name = path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{what} {path!r} cannot be imported: {error}") from error
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise ConfigError(f"{what} {path!r} is no dataclass: only a class made to be one is ever called")
    return kind


def built(kind: type, args: Mapping[str, Any], what: str) -> Any:
    """An object of the class; raises ConfigError for arguments that it does not take."""
    try:
        return kind(**args)
    except TypeError as error:
        path = class_path(kind)
        raise ConfigError(f"{what} {path!r} does not take the arguments {sorted(args)}: {error}") from error
