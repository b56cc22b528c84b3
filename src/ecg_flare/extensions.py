"""What a machine's owner adds to the package: modules of their own, named by the owner and by nobody else.

A name in a job, a run or a model never becomes code. An extension is a module that the owner of the machine installed
and listed, in one of three places:

    "extensions": ["hospital.ecg"]                  in local/ecg_flare.json of a site's or a server's workspace
    ecg-flare --extension hospital.ecg COMMAND      for one command
    ECG_FLARE_EXTENSIONS=hospital.ecg:other.module  for whatever runs in that environment

Each is imported once, and registers there what it brings: segmenters, degradations, case sources, server optimizers.
From then on a job, a profile or a command may name those things, like the package's own. No extension replaces a name
that is taken. docs/extending.md has a recipe for each kind.
"""

import importlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeVar

from ecg_flare.documents import short
from ecg_flare.errors import ConfigError

VARIABLE: Final = "ECG_FLARE_EXTENSIONS"
MAX_EXTENSIONS: Final = 100

_MODULE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*", re.ASCII)
_T = TypeVar("_T")

_loaded: dict[str, None] = {}


class Registry(Mapping[str, _T]):
    """Things of one kind by name: the package's own, and those that extensions add.

    Args:
        kind: what they are, for messages, such as "degradation".
        own: those of the package.
    """

    def __init__(self, kind: str, own: Mapping[str, _T]) -> None:
        self._kind = kind
        self._things = dict(own)

    def add(self, name: str, thing: _T) -> None:
        """Add a thing. Raises ConfigError for a name that another thing has; the same thing again changes nothing."""
        if not isinstance(name, str) or not name:
            raise ConfigError(f"a {self._kind} is registered as {short(name)}, expected a name")
        if self._things.setdefault(name, thing) is not thing:
            raise ConfigError(f"a {self._kind} is called {name!r} already: register yours under another name")

    def __getitem__(self, name: str) -> _T:
        return self._things[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)


def checked_names(listed: object, where: str) -> tuple[str, ...]:
    """The dotted names of modules in a list; raises ConfigError, saying `where` it stands, for anything else."""
    if not isinstance(listed, list | tuple) or len(listed) > MAX_EXTENSIONS:
        raise ConfigError(f"{where} is {short(listed)}, expected a list of at most {MAX_EXTENSIONS} modules")
    for name in listed:
        if not isinstance(name, str) or not _MODULE.fullmatch(name):
            raise ConfigError(
                f"{where} has {short(name)}, expected the dotted name of a module, such as 'hospital.ecg'"
            )
    if len(set(listed)) != len(listed):
        raise ConfigError(f"{where} has a module twice: {', '.join(listed)}")
    return tuple(listed)


def load_extensions(modules: Sequence[str], where: str) -> None:
    """Import the owner's modules, each once in this process; `where` says in messages who listed them.

    Raises ConfigError for what is no name of a module, and where a module cannot be imported or registers what it may
    not.
    """
    for name in checked_names(modules, where):
        if name in _loaded:
            continue
        try:
            importlib.import_module(name)
        except Exception as error:  # a module of others can fail in any way; none of them is to be passed over
            raise ConfigError(
                f"{where} names the extension {name!r}, which cannot be loaded: {type(error).__name__}: {error}. "
                "Install it for the Python that runs this, mend it, or take it off the list"
            ) from error
        _loaded[name] = None


def load_environment() -> None:
    """Load what ECG_FLARE_EXTENSIONS lists, colons between; raises ConfigError as `load_extensions`."""
    if listed := os.environ.get(VARIABLE, ""):
        load_extensions(listed.split(":"), VARIABLE)


def loaded_extensions() -> tuple[str, ...]:
    """Names of the modules that this process loaded as extensions, in their order."""
    return tuple(_loaded)


def extension_class(path: str) -> type | None:
    """The class of that dotted path where a loaded extension defines it; None for anything else.

    What an extension merely imports (a function, a class of another package) is not its own, and is not given.
    """
    module, _, name = path.rpartition(".")
    if module not in _loaded:
        return None
    kind = getattr(sys.modules[module], name, None)
    return kind if isinstance(kind, type) and (kind.__module__, kind.__qualname__) == (module, name) else None
