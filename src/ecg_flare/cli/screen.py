"""What the commands share: errors in one line, JSON for machines, progress bars, choices that are loaded on demand."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import click

from ecg_flare.errors import ConfigError, EcgFlareError

NOT_ALL: Final = 3
"""Exit code of a command that went through without all: pages left out, a site not ready, a run not finished."""

_Item = TypeVar("_Item")


class Commands(click.Group):
    """A group that keeps its commands in order and reports an error in one line, with exit code 1.

    Wrong use of a command gives exit code 2, as click does.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EcgFlareError as error:
            raise click.ClickException(str(error)) from error


class OneOf(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on only
    """A name out of a list that is loaded only when an argument is converted or completed.

    With `or_yaml` the path of a YAML file (ends in .yaml or .yml) is taken as well, whether or not there is one.
    """

    def __init__(self, metavar: str, names: Callable[[], Sequence[str]], *, or_yaml: bool = False) -> None:
        self.name = metavar
        self._names = names
        self._or_yaml = or_yaml

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if self._or_yaml and str(value).endswith((".yaml", ".yml")):
            return str(value)
        if value not in self._names():
            other = ", or the path of a .yaml file" if self._or_yaml else ""
            self.fail(f"{value!r} is not one of {', '.join(self._names())}{other}.", param, ctx)
        return str(value)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return self.name


class SiteName(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on only
    """A site's name that FLARE takes."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from ecg_flare.federated.site_names import check_site_name

        try:
            return check_site_name(str(value))
        except ConfigError as error:
            self.fail(str(error), param, ctx)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`, passed as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")(function)


def no_code_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--no-code`, for commands that write a job."""
    text = "Carry no code: for sites with kits, which allow only ecg_flare's own classes."
    return click.option("--no-code", is_flag=True, help=text)(function)


def split_names(text: str) -> tuple[str, ...]:
    """The names in a list with commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def say_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def tell(text: str) -> None:
    """Print a line for people on stderr, so that stdout stays the command's result."""
    click.echo(text, err=True)


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> Iterator[str]:
    """The rows as lines with aligned columns; those in `right` are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def progress(items: Iterable[_Item], what: str, total: int | None = None) -> Iterator[_Item]:
    """The items, with a progress bar on stderr if that is a terminal."""
    from tqdm import tqdm

    yield from tqdm(items, total=total, desc=what, unit="page", disable=not sys.stderr.isatty())
