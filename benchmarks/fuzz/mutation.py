"""Changes of valid inputs that keep most of their structure: bytes, text, and trees of values.

Everything is drawn from the generator that is passed in: the same state gives the same change.
"""

import copy
import json
import math
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import DTypeLike

ODD_NUMBERS: Final = (
    math.nan,
    math.inf,
    -math.inf,
    1e308,
    -1e308,
    5e-324,
    -0.0,
    0,
    -1,
    1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**53 + 1,
    2**63,
    -(2**63),
    2**64 - 1,
    10**90,
    10**4200,
    0.1,
    1e-30,
    1e30,
)
_WHOLE: Final = tuple(number for number in ODD_NUMBERS if isinstance(number, int) and abs(number) < 10**100)
_REAL: Final = tuple(number for number in ODD_NUMBERS if isinstance(number, float))
ODD_TEXTS: Final = (
    "",
    " ",
    "\x00",
    "nan",
    "1e999",
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    "~",
    "http://127.0.0.1/x",
    "<script>alert(1)</script>",
    "{site}",
    "%s%n",
    "𝕏é\u202e\ufeff",
    "\ud800",
    "a" * 100_000,
    "ecg_flare.errors.EcgFlareError",
    "*",
    "(((((((((((a*)*)*)*)*",
)
ODD_BYTES: Final = (b"", b"\x00", b"\xff" * 8, b"\xc3\x28", b"\r\n", b"\xef\xbb\xbf", b"a" * 5000)

Generator = np.random.Generator
Change = Callable[[Generator, bytes], bytes]
_T = TypeVar("_T")


def change_bytes(rng: Generator, data: bytes) -> bytes:
    """One to four changes: bits and bytes set, odd whole numbers written over, parts cut, repeated, moved, put in."""
    for _ in range(int(rng.integers(1, 5))):
        data = _pick(rng, _BYTE_CHANGES)(rng, data)
    return data


def change_lines(rng: Generator, data: bytes) -> bytes:
    """One to three changes of text: numbers and words replaced, lines dropped, repeated, moved; or of bytes."""
    for _ in range(int(rng.integers(1, 4))):
        data = _pick(rng, (_change_word, _change_word, _change_word, _shuffle_lines, change_bytes))(rng, data)
    return data


def change_tree(rng: Generator, value: Any) -> Any:
    """One to three changes of a tree of dicts, lists and plain values: other numbers, other kinds, keys, depth."""
    value = copy.deepcopy(value)
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(value))
        if not places:
            return _odd_value(rng)
        holder, key = places[int(rng.integers(len(places)))]
        _change_place(rng, holder, key)
    return value


def change_json(rng: Generator, data: bytes) -> bytes:
    """A change of the document's tree, or of its text: keys twice, words that JSON has not, cuts."""
    if rng.random() < 0.75:
        text = json.dumps(change_tree(rng, json.loads(data)), default=repr)
        if rng.random() < 0.1:
            text = text.replace("{", '{"round": 1, "round": 2, ', 1)
        if rng.random() < 0.02:
            text = "[" * 100_000 + text
        return text.encode()
    return change_lines(rng, data)


def change_json_lines(rng: Generator, data: bytes) -> bytes:
    """A change of one line's document, or of the lines."""
    lines = data.split(b"\n")
    full = [index for index, line in enumerate(lines) if line]
    if full and rng.random() < 0.8:
        index = full[int(rng.integers(len(full)))]
        lines[index] = change_json(rng, lines[index])
        return b"\n".join(lines)
    return change_lines(rng, data)


def change_yaml(rng: Generator, data: bytes) -> bytes:
    """A change of the document's tree, of its text, or what YAML alone has: tags, references, dates, merges."""
    import yaml

    if rng.random() < 0.5:
        tree = change_tree(rng, yaml.safe_load(data))
        try:
            return yaml.safe_dump(tree).encode("utf-8", "surrogatepass")
        except (yaml.YAMLError, ValueError, RecursionError):
            return change_lines(rng, data)
    if rng.random() < 0.4:
        return _replace_word(rng, data, _pick(rng, _YAML_WORDS).encode())
    return change_lines(rng, data)


_BOMB = "[&a [x,x,x,x,x,x,x,x],&b [*a,*a,*a,*a,*a,*a],&c [*b,*b,*b,*b,*b,*b],&d [*c,*c,*c,*c,*c,*c],&e [*d,*d,*d,*d]]"
_YAML_WORDS: Final = (
    "!!python/object/apply:os.getcwd []",
    "!!binary zzz",
    "!!timestamp 2024-99-99",
    "2024-13-45",
    "!!int 0x",
    "0o99",
    "1:99:99",
    ".inf",
    ".nan",
    "*unknown",
    "&a [*a]",
    _BOMB,
    "{<<: 3}",
    "? [1, 2]\n: 3",
    "!!set {a, b}",
    "~",
    "[" * 1100,
    "!!float abc",
    "{[1]: 2}",
    "9" * 5000,
    "-1",
    "1e9",
    "1.0e+300",
    "0.0",
)


def _pick(rng: Generator, choices: Sequence[_T]) -> _T:
    return choices[int(rng.integers(len(choices)))]


def _at(rng: Generator, data: bytes) -> int:
    return int(rng.integers(len(data) + 1))


# --- bytes --------------------------------------------------------------------------------------------------------


def _flip(rng: Generator, data: bytes) -> bytes:
    changed = bytearray(data)
    for at in rng.integers(0, max(1, len(data)), int(rng.integers(1, 9))) if data else ():
        changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _write_number(rng: Generator, data: bytes) -> bytes:
    number = _pick(rng, _WHOLE)
    form = _pick(rng, ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
    written = struct.pack(form, number % 2 ** (8 * struct.calcsize(form)))
    at = int(rng.integers(max(1, len(data) - len(written) + 1)))
    return data[:at] + written + data[at + len(written) :]


def _write_real(rng: Generator, data: bytes) -> bytes:
    written = struct.pack(_pick(rng, ("<d", ">d")), _pick(rng, _REAL))
    at = int(rng.integers(max(1, len(data) - 7)))
    return data[:at] + written + data[at + 8 :]


def _cut(rng: Generator, data: bytes) -> bytes:
    return data[: _at(rng, data)]


def _drop(rng: Generator, data: bytes) -> bytes:
    start = _at(rng, data)
    return data[:start] + data[start + int(rng.integers(1, 65)) :]


def _repeat(rng: Generator, data: bytes) -> bytes:
    start = _at(rng, data)
    part = data[start : start + int(rng.integers(1, 257))]
    return data[:start] + part * int(rng.integers(2, 20)) + data[start:]


def _put_in(rng: Generator, data: bytes) -> bytes:
    at = _at(rng, data)
    return data[:at] + _pick(rng, ODD_BYTES) + data[at:]


def _move(rng: Generator, data: bytes) -> bytes:
    one, other = sorted((_at(rng, data), _at(rng, data)))
    return data[one:other] + data[:one] + data[other:]


_BYTE_CHANGES: Final[tuple[Change, ...]] = (
    _flip,
    _flip,
    _flip,
    _write_number,
    _write_number,
    _write_real,
    _cut,
    _drop,
    _repeat,
    _put_in,
    _move,
)


# --- text ---------------------------------------------------------------------------------------------------------


def _change_word(rng: Generator, data: bytes) -> bytes:
    return _replace_word(rng, data, _odd_word(rng))


def _replace_word(rng: Generator, data: bytes, word: bytes) -> bytes:
    """Replace what stands between two characters that are no part of words or numbers."""
    edges = [0, *(index + 1 for index, byte in enumerate(data) if byte in b" \n,:{}[]()/\"'"), len(data)]
    start = edges[int(rng.integers(len(edges)))]
    end = next((edge - 1 for edge in edges if edge > start), len(data))
    return data[:start] + word + data[end:]


def _odd_word(rng: Generator) -> bytes:
    if rng.random() < 0.6:
        number = _pick(rng, ODD_NUMBERS)
        return (str(number) if not isinstance(number, int) or abs(number) < 10**100 else "9" * 5000).encode()
    return str(_pick(rng, ODD_TEXTS)).encode("utf-8", "surrogatepass")


def _shuffle_lines(rng: Generator, data: bytes) -> bytes:
    lines = data.split(b"\n")
    one, other = (int(rng.integers(len(lines))) for _ in range(2))
    match int(rng.integers(4)):
        case 0:
            del lines[one]
        case 1:
            lines.insert(other, lines[one])
        case 2:
            lines[one], lines[other] = lines[other], lines[one]
        case _:
            lines[one : one + 1] = [lines[one]] * int(rng.integers(2, 50))
    return b"\n".join(lines)


# --- trees --------------------------------------------------------------------------------------------------------


def _places(value: Any) -> Any:
    """Every (container, key) of a tree."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield value, key
        yield from _places(inner)


def _change_place(rng: Generator, holder: Any, key: Any) -> None:
    match int(rng.integers(8)):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[_pick(rng, ODD_TEXTS)] = holder.pop(key)
        case 2 if isinstance(holder, dict):
            holder[_pick(rng, ODD_TEXTS)] = _odd_value(rng)
        case 3:
            holder[key] = [holder[key]] * int(rng.integers(0, 4))
        case 4:
            holder[key] = _changed_leaf(rng, holder[key])
        case _:
            holder[key] = _odd_value(rng)


def _changed_leaf(rng: Generator, value: Any) -> Any:
    if isinstance(value, bytes):
        return change_bytes(rng, value)
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return _pick(rng, (value + 1, -value, value * 1000, value % 7 + 0.5, f"{value}"))
    if isinstance(value, str):
        return change_bytes(rng, value.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return _changed_array(rng, value)
    return _odd_value(rng)


def _changed_array(rng: Generator, array: np.ndarray) -> np.ndarray:
    shapes: tuple[tuple[int, ...], ...] = ((0,), (1,), (2, 3), (0, 5), ())
    kinds: tuple[DTypeLike, ...] = (
        np.float32,
        np.float64,
        np.int8,
        np.int32,
        np.int64,
        np.uint8,
        np.bool_,
        "U3",
        "S2",
        "M8[s]",
        np.complex64,
    )
    match int(rng.integers(4)):
        case 0:
            return np.zeros(_pick(rng, shapes), dtype=_pick(rng, kinds))
        case 1:
            return array[: int(rng.integers(array.size + 1))]
        case 2 if array.size and array.dtype.kind == "f":
            changed = array.copy()
            changed.flat[int(rng.integers(array.size))] = _pick(rng, (np.nan, np.inf, -np.inf, 3e38, 1e-45))
            return changed
    return array.view(np.uint8) if array.ndim == 1 else array.T


def _odd_value(rng: Generator) -> Any:
    plain: tuple[Any, ...] = (None, True, False, [], {}, [[]], {"a": None}, b"", b"\x00" * 40, "x", 1.5, ["a", 1, None])
    match int(rng.integers(4)):
        case 0 | 1:
            return _pick(rng, ODD_NUMBERS)
        case 2:
            return _pick(rng, ODD_TEXTS)
    value = copy.deepcopy(_pick(rng, plain))
    if rng.random() < 0.1:
        for _ in range(int(rng.integers(1, 150))):
            value = [value]
    return value
