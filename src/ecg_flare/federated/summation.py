"""Ways of summing: how a round's updates become their sum, and what that hides from the server.

A way of summing is one object, a `Summation`. It says what the way hides, how many sites it needs, which classes do it
in FLARE, and the words of plan and report. Everything else asks it, and no other module knows a way by its name.

The package's own ways lie in `flare/summation/<name>/`, each described in its `__init__.py`. Another one is a module
that this machine's owner installed and that calls `register`: a name in a job never becomes code.
"""

import importlib
import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from ecg_flare.errors import ConfigError
from ecg_flare.privacy.secure_sum.context import MIN_SITES, min_threshold, require_threshold

SUMMATIONS: Final = (
    "ecg_flare.flare.summation.plain",
    "ecg_flare.flare.summation.masked",
    "ecg_flare.flare.summation.encrypted",
)
"""The package's own: modules that hold a descriptor `SUMMATION` and import nothing of FLARE."""

_EVERY_JOBS_TASKS: Final = ("train", "validate", "witness")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CLASS_PATH: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)


@dataclass(frozen=True)
class SumStep:
    """A FLARE task of a round beside training.

    Attributes:
        task: its name in FLARE.
        label: the same in a figure, such as 'keys'.
        sends: what it takes from a site, in words.
        before_training: whether it comes before the task 'train' of its round.
    """

    task: str
    label: str
    sends: str
    before_training: bool = False


@dataclass(frozen=True)
class SiteParts:
    """What a job names at a site to hide an update, by class path: nothing is imported before it is needed.

    Attributes:
        component_id, component: what keeps the site's part of a round; '' where there is nothing to keep.
        executor: answers the steps; '' where there are none.
        steps: in the order of a round.
        result_filter: the last filter of the task 'train'. It hides the update, charges the site's own ledger and
            countersigns the server's, as `StripResult` does where this is ''.
    """

    component_id: str = ""
    component: str = ""
    executor: str = ""
    steps: tuple[SumStep, ...] = ()
    result_filter: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """The class paths."""
        return tuple(path for path in (self.component, self.executor, self.result_filter) if path)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The steps' names in FLARE."""
        return tuple(step.task for step in self.steps)


@dataclass(frozen=True)
class Summation:
    """One way of summing.

    Attributes:
        name: in the terms of a job.
        title: what its steps are together, in a figure.
        collection: class path of the `Collection` that runs it at the server.
        server_sees: what the server learns, in one sentence.
        update_bytes: of a parameter in the message that brings an update, about.
        site: its parts at a site.
        hides_updates: whether no server sees a single update; updates are then integers of a fixed point.
        hides_weights: whether the sites' weights can be hidden in the sum.
        noise_before_recovery: whether a private round's noise goes on the sum before any party can read it; otherwise
            the server puts it on the sum that it recovered.
        narrow_words: whether a job may ask for words of 8 or 16 bits, as the noise is not in the ring.
        signs_messages: whether sites sign messages to each other, so that each pins its peers' certificates.
        shares_key: whether all sites hold one secret key, which comes with their startup kits.
        collusion: who must work together to see a single update all the same, in one sentence; '' where nobody must.

    Raises:
        ConfigError: the parts contradict each other.
    """

    name: str
    title: str
    collection: str
    server_sees: str
    update_bytes: int
    site: SiteParts = SiteParts()
    hides_updates: bool = False
    hides_weights: bool = False
    noise_before_recovery: bool = False
    narrow_words: bool = False
    signs_messages: bool = False
    shares_key: bool = False
    collusion: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"a way of summing is called {self.name!r}, expected lower-case letters, digits and _")
        for path in (self.collection, *self.site.classes):
            if not _CLASS_PATH.fullmatch(path):
                raise ConfigError(f"summation {self.name!r} names the class {path!r}, expected a dotted path")
        if self.hides_updates and not self.site.result_filter:
            raise ConfigError(f"summation {self.name!r} hides updates, expected a result_filter that does it at a site")
        if self.hides_weights and not self.hides_updates:
            raise ConfigError(f"summation {self.name!r} hides weights, expected that it hides updates too")
        if self.narrow_words and self.noise_before_recovery:
            raise ConfigError(f"summation {self.name!r} has narrow words, which have no room for noise in the ring")
        if bool(self.site.steps) != bool(self.site.executor):
            raise ConfigError(f"summation {self.name!r}: expected an executor for its steps, or neither")
        if bool(self.site.component) != bool(self.site.component_id):
            raise ConfigError(f"summation {self.name!r}: expected a component and its id, or neither")

    @property
    def min_roster(self) -> int:
        """Fewest sites of a cohort."""
        return MIN_SITES if self.hides_updates else 1

    def min_threshold(self, sites: int) -> int:
        """Fewest sites of a cohort of so many whose updates may be summed."""
        return min_threshold(sites) if self.hides_updates else 1

    def default_threshold(self, sites: int) -> int:
        """How many sites make a round where nothing else is said: two thirds, and what the way demands.

        >>> [summation("plain").default_threshold(n) for n in (1, 3, 4, 10)]
        [1, 2, 3, 7]
        """
        return max(-(-2 * sites // 3), self.min_threshold(sites))

    def check_threshold(self, sites: int, threshold: int) -> None:
        """Raise ConfigError where a cohort of `sites`, of which `threshold` make a round, could show one's update."""
        if self.hides_updates:
            require_threshold(sites, threshold)

    def cost(self, ring_bits: int | None = None) -> str:
        """What an update costs to send, in one sentence; `ring_bits` of narrow words."""
        size = self.update_bytes if ring_bits is None else ring_bits // 8
        return f"An update takes about {size} {'byte' if size == 1 else 'bytes'} a parameter on its way to the server."


def summation(name: str) -> Summation:
    """The way of summing of that name; raises ConfigError for an unknown one."""
    found = find(name)
    if found is None:
        raise ConfigError(f"summation is {name!r}, expected one of {', '.join(map(repr, names()))}")
    return found


def find(name: str) -> Summation | None:
    """The way of summing of that name, or None: for a record that another machine wrote."""
    return _own().get(name) or _registered.get(name)


def ways() -> tuple[Summation, ...]:
    """All ways of summing: the package's own, then those that were registered."""
    return (*_own().values(), *_registered.values())


def names() -> tuple[str, ...]:
    """The names of all ways of summing."""
    return tuple(one.name for one in ways())


def register(one: Summation) -> Summation:
    """Add a way of summing to this process and give it back.

    For a module that this machine's owner installed and imports. From then on its classes at a site are among those
    that may be built there. Raises ConfigError for a name or a task that is taken; the same object again changes
    nothing.
    """
    if find(one.name) not in (None, one):
        raise ConfigError(f"a way of summing is called {one.name!r} already: register yours under another name")
    taken = {task for other in ways() if other != one for task in other.site.tasks} | set(_EVERY_JOBS_TASKS)
    if both := sorted(taken & set(one.site.tasks)):
        raise ConfigError(f"summation {one.name!r} has the tasks {both}, which are taken: give yours other names")
    if one.name not in _own():
        _registered[one.name] = one
    return one


def registered() -> tuple[Summation, ...]:
    """The ways of summing that are not the package's own."""
    return tuple(_registered.values())


@cache
def _own() -> dict[str, Summation]:
    own = (importlib.import_module(module).SUMMATION for module in SUMMATIONS)
    return {one.name: one for one in own}


_registered: dict[str, Summation] = {}
