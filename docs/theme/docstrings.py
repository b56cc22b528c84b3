"""Docstrings as the reference shows them: examples as code, wherever in a docstring they stand."""

import re
from typing import Any

from griffe import Extension, Object

# an example and its result, up to the next empty line
_EXAMPLE = re.compile(r"^(?P<indent> *)>>> .*(?:\n(?P=indent)\S.*)*", re.MULTILINE)


class FencedExamples(Extension):
    """Fences doctests: outside of an Examples section their results would be read as links."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the docstring of a loaded object."""
        if obj.docstring is not None and "Examples:" not in obj.docstring.value:
            obj.docstring.value = _EXAMPLE.sub(_fenced, obj.docstring.value)


def _fenced(found: re.Match[str]) -> str:
    indent = found["indent"]
    return f"{indent}```pycon\n{found[0]}\n{indent}```"
