"""Documents that somebody else wrote, JSON and YAML, read strictly: text, lists, mappings and numbers.

Both languages say more than the rest of the code expects: NaN and numbers beyond float64, a key twice, text that no
UTF-8 file can hold, nesting without end, references that repeat a list a billion times. All of that is refused here,
once. `Fields` then takes an object apart, field by field, each of one kind and within bounds.
"""

import json
import math
import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NoReturn

from ecg_flare.errors import EcgFlareError

MAX_DIGITS: Final = 100
"""Digits of a whole number."""

_MAX_NAMES: Final = 10_000
_REPR: Final = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 60


def short(value: object) -> str:
    """The value as a message tells it, however large it is."""
    return _REPR.repr(value)


def parse_json(data: bytes | str, where: str, error: type[EcgFlareError]) -> Any:
    """The JSON document in `data`; raises `error`, saying `where`, for anything else or more (see the module)."""
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        value = json.loads(
            text,
            parse_float=_finite,
            parse_int=_whole,
            parse_constant=_finite,
            object_pairs_hook=_distinct,
        )
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half a pair of surrogates is no text
    except RecursionError as problem:
        raise error(f"{where}: is nested too deeply to be read.") from problem
    except ValueError as problem:  # UnicodeDecodeError and JSONDecodeError are such
        raise error(f"{where}: not JSON in UTF-8: {problem}.") from problem
    return value


def parse_object(data: bytes | str, where: str, error: type[EcgFlareError]) -> dict[str, Any]:
    """The JSON object in `data`; raises `error` for any other document."""
    value = parse_json(data, where, error)
    if not isinstance(value, dict):
        raise error(f"{where}: expected an object, found {short(value)}.")
    return value


def parse_yaml(text: str, where: str, error: type[EcgFlareError]) -> Any:
    """The YAML document in `text`, without references; raises `error`, saying `where`, for anything else."""
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML's own kinds alone: text, numbers, lists and mappings."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("references (*name) are not read, write the value out")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            mapping = super().construct_mapping(node, deep)
            if len(mapping) != len(node.value):
                raise ValueError(f"a key stands twice near line {node.start_mark.line + 1}")
            return mapping

    try:
        return yaml.load(text, Loader)  # a SafeLoader
    except RecursionError as problem:
        raise error(f"{where}: is nested too deeply to be read.") from problem
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as problem:
        raise error(f"{where}: not YAML: {problem}.") from problem


class Fields:
    """An object's fields, taken one by one; whatever is wrong is said with `where`, the field's name and its value.

    A field that is missing, or null, gives its default; without a default it is refused. Raises `error`.
    """

    def __init__(self, values: object, where: str, error: type[EcgFlareError]) -> None:
        if not isinstance(values, Mapping):
            raise error(f"{where}: expected an object, found {short(values)}.")
        self._values, self._where, self._error = values, where, error

    def only(self, names: Collection[str]) -> "Fields":
        """These fields, once it is sure that there are no others."""
        if unknown := sorted(str(name) for name in set(self._values) - set(names)):
            raise self._error(f"{self._where}: unknown {short(unknown)}; expected some of {', '.join(names)}.")
        return self

    def number(self, name: str, low: float, high: float, default: Any = ...) -> Any:
        """A number from `low` to `high`, as float."""
        return self._take(name, default, lambda value: _number(value, low, high), f"a number from {low:g} to {high:g}")

    def whole(self, name: str, low: int, high: int, default: Any = ...) -> Any:
        """A whole number from `low` to `high`."""
        kind = f"a whole number from {low} to {high}"
        return self._take(name, default, lambda value: type(value) is int and low <= value <= high and value, kind)

    def text(self, name: str, default: Any = ...) -> Any:
        """A text."""
        return self._take(name, default, lambda value: isinstance(value, str) and value, "a text")

    def texts(self, name: str, default: Any = ...) -> Any:
        """A list of texts, as a tuple."""
        return self._take(name, default, _texts, "a list of texts")

    def series(self, name: str, low: float, high: float, default: Any = ...) -> Any:
        """A list of numbers from `low` to `high`, as a tuple."""
        kind = f"a list of numbers from {low:g} to {high:g}"
        return self._take(name, default, lambda value: _series(value, low, high), kind)

    def numbers(self, name: str, low: float, high: float, default: Any = ...) -> Any:
        """Numbers from `low` to `high` by name, as a dict."""
        kind = f"numbers from {low:g} to {high:g} by name"
        return self._take(name, default, lambda value: _numbers(value, low, high), kind)

    def flag(self, name: str, default: bool | None = None) -> bool:
        """True or false; without a default the field must be there."""
        value = self._values.get(name, default)
        return value if isinstance(value, bool) else self.refuse(name, value, "true or false")

    def mapping(self, name: str) -> Mapping[str, Any]:
        """An object of any content; an empty one where the field is missing."""
        found: Mapping[str, Any] = self._take(name, {}, lambda value: isinstance(value, Mapping) and value, "an object")
        return found

    def inner(self, name: str) -> "Fields | None":
        """The object under that name; None where the field is missing."""
        found = self._values.get(name)
        return None if found is None else Fields(found, f"{self._where}, {name}", self._error)

    def each(self, name: str, most: int, default: list[Any] | None = None) -> list[Any]:
        """A list of at most `most` values of any kind."""
        found = self._values.get(name, default)
        if not isinstance(found, list) or len(found) > most:
            self.refuse(name, found, f"a list of at most {most}")
        return found

    def within(self, name: str) -> dict[str, "Fields"]:
        """Objects by name; none where the field is missing."""
        found = self._take(name, {}, lambda value: isinstance(value, Mapping) and value, "objects by name")
        return {key: Fields(value, f"{self._where}, {name}, {short(key)}", self._error) for key, value in found.items()}

    def all_numbers(self, low: float, high: float) -> dict[str, float]:
        """All fields, where each is a number from `low` to `high`."""
        return {name: self.number(name, low, high) for name in self._values}

    def _take(self, name: str, default: Any, read: Callable[[Any], Any], kind: str) -> Any:
        value = self._values.get(name)
        if value is None and default is not ...:
            return default
        found = read(value)
        if found is False or found is None:
            self.refuse(name, value, kind)
        return found

    def contradict(self, reason: object) -> NoReturn:
        """Say why the fields do not go together."""
        raise self._error(f"{self._where}: {reason}")

    def refuse(self, name: str, value: object, kind: str) -> NoReturn:
        """Say that the field is not what it must be."""
        raise self._error(f"{self._where}: {name} must be {kind}. Found {short(value)}.")


def _number(value: object, low: float, high: float) -> float | None:
    if type(value) not in (int, float) or not low <= value <= high:  # type: ignore[operator]
        return None
    return float(value)  # type: ignore[arg-type]


def _numbers(value: object, low: float, high: float) -> dict[str, float] | None:
    if not isinstance(value, Mapping) or len(value) > _MAX_NAMES:
        return None
    found = {name: _number(each, low, high) for name, each in value.items()}
    return None if None in found.values() else found  # type: ignore[return-value]


def _series(value: object, low: float, high: float) -> tuple[float, ...] | None:
    found = tuple(_number(each, low, high) for each in value) if isinstance(value, list) else (None,)
    return None if None in found else found  # type: ignore[return-value]


def _texts(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > _MAX_NAMES:
        return None
    return tuple(value) if all(isinstance(each, str) for each in value) else None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is no finite number")
    return value


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits, expected at most {MAX_DIGITS}")
    return int(text)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {short(twice)} stands twice")
    return values
