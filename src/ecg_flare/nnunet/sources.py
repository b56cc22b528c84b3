"""Sources of cases by name: a class path and arguments, in a job or in a file of a site.

A name becomes a class by the tables of the kinds of task and of extensions alone (`source_class`). A source of a job's
own code is an object that FLARE has built already; the training process builds it again by the class path of that
object (`source_params`), never by one that stands in a file or in an argument. This module imports no torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from ecg_flare.errors import ConfigError
from ecg_flare.extensions import Registry, extension_class
from ecg_flare.nnunet import named_classes
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.kinds import source_paths
from ecg_flare.nnunet.named_classes import built, class_path, imported

_WHAT: Final = "case source"

ADDED_SOURCES: Final = Registry[type](_WHAT, {})
"""Class path -> class, of extensions."""


def register_source(kind: type) -> type:
    """Let files of this machine name a source of an extension by its class path; usable as a decorator.

    Raises ConfigError for a class that is no dataclass with `describe` and `cases`.
    """
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind) and issubclass(kind, CaseSource)):
        raise ConfigError(
            f"{kind!r} is no case source, expected a frozen dataclass with describe(site) and cases(site)"
        )
    path = class_path(kind)
    if path in source_paths():
        raise ConfigError(f"a case source is called {path!r} already: register yours under another name")
    ADDED_SOURCES.add(path, kind)
    return kind


def source_names() -> tuple[str, ...]:
    """All class paths that a file or a job without own code can name: the package's own, and those of extensions."""
    return (*source_paths(), *ADDED_SOURCES)


def source_class(path: str) -> type | None:
    """The class of a source, of `source_names` and no others."""
    return imported(path, _WHAT) if path in source_paths() else ADDED_SOURCES.get(path)


def to_spec(source: CaseSource) -> dict[str, Any]:
    """A source as {"path": class path, "args": constructor arguments}, which is JSON.

    Raises ConfigError where the source is no dataclass or an argument is not JSON.
    """
    return named_classes.to_spec(source, _WHAT)


def source_params(source: CaseSource) -> dict[str, Any]:
    """What the training process needs to build a source again that this process holds.

    Its spec and, where the class is none of the package's or of an extension's, the one class path that may be
    imported for it. A job's own module that registers its source has done so in this process alone.
    """
    spec = to_spec(source)
    path = spec["path"]
    known = path in source_paths() or extension_class(path) is not None
    listed = known and source_class(path) is type(source)
    return {"source": spec} if listed else {"source": spec, "own_class": path}


def build_source(spec: Mapping[str, Any], *, own_class: str = "") -> CaseSource:
    """The source that a spec names, of `source_names` and no others.

    Args:
        spec: as `to_spec` gives it.
        own_class: class path of one more, of a source that the caller's process has built; see `source_params`.

    Raises ConfigError where it cannot be built.
    """
    path, args = spec.get("path"), spec.get("args", {})
    if not isinstance(path, str) or not isinstance(args, Mapping):
        raise ConfigError(f"a case source is a class path and its arguments. Found {path!r} and {args!r}.")
    kind = source_class(path) or (imported(path, _WHAT) if path == own_class else None)
    if kind is None:
        raise ConfigError(f"case source {path!r} is none of {', '.join(source_names())}")
    source = built(kind, args, _WHAT)
    if not isinstance(source, CaseSource):
        raise ConfigError(f"case source {path!r} needs the methods describe(site) and cases(site)")
    return source
