"""A comparison as one HTML file: what it found in a sentence, what to beware of, curves, table, promises, settings."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from ecg_flare.report.compare.cautions import cautions
from ecg_flare.report.compare.comparison import Comparison
from ecg_flare.report.compare.convergence import convergence_cards
from ecg_flare.report.compare.results import MethodResult, method_results, results
from ecg_flare.report.compare.settings import differences
from ecg_flare.report.compare.table import method_rows, table_rows
from ecg_flare.report.document import items, page, write_text
from ecg_flare.report.names import listed
from ecg_flare.report.words import privacy_words

_HOW_TO_READ = (
    "Dice: how well the traces that the model finds on the public pages cover the true ones, after the last round. 1 "
    "is perfect, 0 finds nothing. Best: the highest of all rounds, and its round.",
    "Ratio: that Dice over the reference's, or over the mean of the reference's runs. Between two single runs it says "
    "nothing about a difference of a percent: another seed can make as much.",
    "Steps in a row: gradient steps that follow one another at a site. Steps of all: those of all sites, or of all "
    "drawn patients (on average), together.",
    "Epsilon: what was spent of a privacy promise, by Rényi accounting; lower is stronger. Two of them compare only at "
    "one delta and for one unit (a patient, or a whole site). None: no promise.",
    "Traffic: models and updates of all sites and rounds, both ways, without FLARE's framing. Time: at the server, on "
    "whatever machines a run had; compare it only where these were the same.",
    "A run does not record which pages its sites trained on. That two runs had the same, the reader must know.",
)


def write_comparison(comparison: Comparison, path: Path) -> Path:
    """Write the page; raises StorageError where `path` cannot be written."""
    write_text(render_comparison(comparison), path)
    return path


def render_comparison(comparison: Comparison) -> str:
    """The whole page."""
    rows, methods = results(comparison), method_results(comparison)
    return page(
        f"Comparison of {len(rows)} runs",
        [
            f"<header><h1>Comparison of {len(rows)} runs</h1>{_lead(methods)}</header>",
            *(f"<p class='note'>{escape(each)}</p>" for each in cautions(comparison)),
            "<section><h2>Convergence</h2><div class='cards'>",
            *convergence_cards(comparison),
            "</div></section>",
            f"<section><h2>After the last round</h2>{_by_method(comparison, methods)}",
            _table(table_rows(rows), "results", [each.is_reference for each in rows]),
            f"<h3>How to read it</h3>{items(_HOW_TO_READ)}</section>",
            f"<section><h2>Privacy</h2>{items(_promises(comparison))}</section>",
            _settings(comparison, differences(comparison.entries)),
        ],
    )


def _lead(methods: Sequence[MethodResult]) -> str:
    reference = next(each for each in methods if each.is_reference)
    others = [each for each in methods if each.ratio is not None and not each.is_reference]
    text = f"The reference is {reference.name}: trace Dice {reference.dice:.3f} after the last round{_of(reference)}."
    if others:
        best = others[0]
        text += (
            f" Of the others, {best.name} has the highest, {best.dice:.3f}{_of(best)}: {best.ratio:.3f} of the "
            "reference's."
        )
    return f"<p class='promise'>{escape(text)}</p>"


def _of(method: MethodResult) -> str:
    return f", the mean of {method.runs} runs" if method.runs > 1 else ""


def _by_method(comparison: Comparison, methods: Sequence[MethodResult]) -> str:
    if not comparison.repeated:
        return ""
    return f"<h3>By method</h3>{_table(method_rows(methods), 'methods', [each.is_reference for each in methods])}"


def _promises(comparison: Comparison) -> Iterator[str]:
    names: dict[str, list[str]] = {}
    for each in comparison.entries:
        names.setdefault(privacy_words(each.run).promise, []).append(each.name)
    yield from (f"{listed(of)}: {promise}" for promise, of in names.items())


def _settings(comparison: Comparison, differ: Mapping[str, Sequence[str]]) -> str:
    if not differ:
        return "<section><h2>Settings</h2><p>All recorded settings are the same.</p></section>"
    rows = [["", *(each.name for each in comparison.entries)], *([name, *values] for name, values in differ.items())]
    return f"<section><h2>Settings that differ</h2>{_table(rows, 'settings')}</section>"


def _table(rows: Sequence[Sequence[str]], kind: str, strong: Sequence[bool] = ()) -> str:
    """The table of a kind; the rows below the head that are `strong` stand out."""
    head, *body = rows
    heads = "".join(f"<th>{escape(each)}</th>" for each in head)
    marks = [" class='strong'" if each else "" for each in strong or [False] * len(body)]
    lines = "".join(
        f"<tr{mark}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for mark, row in zip(marks, body, strict=True)
    )
    return (
        f"<div class='scroll'><table class='{kind}'><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )
