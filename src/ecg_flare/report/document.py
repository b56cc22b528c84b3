"""The report as one HTML file: no script, no outside resource, light and dark, printable."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib import resources
from pathlib import Path
from typing import Final

from ecg_flare.federated.run_files import METRICS, RUN
from ecg_flare.privacy.planning import noise_words
from ecg_flare.report.agreed import (
    aggregator_text,
    clipping_text,
    delta_text,
    site_names,
    trained_parameters,
    trained_text,
    words_text,
)
from ecg_flare.report.cards import cards
from ecg_flare.report.figures import bytes_text, dice_text, measure_text, significant
from ecg_flare.report.names import measure_title
from ecg_flare.report.pages import PageView
from ecg_flare.report.run import Run
from ecg_flare.report.words import headlines, noise_to_signal, privacy_words
from ecg_flare.storage import write_atomically

_ROUNDS_IN_SIGHT = 30
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a browser may run or load of a report: its own style and the pictures in it, whatever else stood there."""


def render(
    run: Run,
    views: Sequence[PageView] = (),
    *,
    parameters: int | None = None,
    facts: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> str:
    """The whole page.

    Args:
        run: what was read from the run's folder.
        views: public pages with the traces that the models found.
        parameters: size of the network, if it is known.
        facts: sentences beside the promise, such as that the ledger is valid.
        notes: remarks on the report itself, such as why no pages are drawn.
    """
    return page(
        run.job,
        [
            _header(run),
            *(f"<p class='note'>{escape(note)}</p>" for note in notes),
            _privacy(run, parameters, facts),
            "<section><h2>By round</h2><div class='cards'>",
            *cards(run),
            "</div></section>",
            _pages(views),
            _table(run),
            _terms(run, parameters),
            _files(run),
        ],
    )


def page(title: str, body: Iterable[str]) -> str:
    """An HTML page of these parts, with its style."""
    style = style_sheet("style.css") + style_sheet("chart.css")
    return "".join(
        [
            "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>",
            f"<meta http-equiv='Content-Security-Policy' content=\"{_POLICY}\">",
            "<meta name='viewport' content='width=device-width, initial-scale=1'>",
            "<meta name='color-scheme' content='light dark'>",
            f"<title>{escape(title)} – ecg_flare</title><style>{style}</style></head><body><main>",
            *body,
            "</main></body></html>\n",
        ]
    )


def write_text(text: str, path: Path) -> None:
    """Write a page, or a file beside it, whole or not at all; raises StorageError where `path` cannot be written."""
    write_atomically(path, lambda file: file.write(text.encode()) and None)


def style_sheet(name: str) -> str:
    """A style sheet of the reports: `style.css` of a page, `chart.css` of the charts on it."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _header(run: Run) -> str:
    tiles = "".join(
        f"<div class='tile'><span class='label'>{escape(tile.label)}</span>"
        f"<span class='value'>{escape(tile.value)}</span><span class='under'>{escape(tile.note)}</span></div>"
        for tile in headlines(run)
    )
    facts = run.facts
    line = " · ".join(
        str(part)
        for part in (
            facts.get("aggregator"),
            f"plan {run.terms.model.plan}",
            _when(str(facts.get("started", ""))),
            _version(run),
        )
        if part
    )
    return (
        f"<header><h1>{escape(run.job)}</h1><p class='sub'>{escape(line)}</p><div class='tiles'>{tiles}</div></header>"
    )


def _privacy(run: Run, parameters: int | None, facts: Sequence[str]) -> str:
    words = privacy_words(run)
    details = [*words.details, *facts]
    trained = trained_parameters(run.terms) or parameters
    ratio = noise_to_signal(run, trained) if trained is not None else None
    if ratio is not None:
        details.append(noise_words(ratio))
    kind = "private" if run.terms.private else "open"
    return (
        f"<section class='privacy {kind}'><h2>Privacy</h2><p class='promise'>{escape(words.promise)}</p>"
        f"<div class='columns'><div><h3>What that means</h3>{items(details)}</div>"
        f"<div><h3>What is not promised</h3>{items(words.limits)}</div></div></section>"
    )


def _pages(views: Sequence[PageView]) -> str:
    if not views:
        return ""
    figures = "".join(
        f"<figure class='page'><img src='{view.uri}' alt='Page {escape(view.name)} with the traces that the model of "
        f"{escape(view.model)} found'><figcaption>{escape(view.name)}, {escape(view.model)}: Dice {view.dice:.3f}"
        "</figcaption></figure>"
        for view in views
    )
    key = (
        "<p class='legend'><span><i class='swatch hit'></i>trace found</span><span><i class='swatch missed'></i>trace "
        "missed</span><span><i class='swatch extra'></i>found where there is none</span></p>"
    )
    return f"<section><h2>Public pages</h2>{key}<div class='pages'>{figures}</div></section>"


def _table(run: Run) -> str:
    private, measures = run.terms.private, run.measures
    head = [
        "round",
        "Dice",
        *(escape(measure_title(name)) for name in measures),
        "step",
        *(["epsilon RDP", "epsilon PRV"] if private else []),
        "sites",
        "seconds",
        "traffic",
    ]
    rows = []
    for each in run.rounds:
        epsilons = [_optional(each.epsilon_rdp), _optional(each.epsilon_prv)] if private else []
        trained = each.trained
        cells = [
            str(each.index),
            dice_text(each.dice),
            *(measure_text(each.measures, name) for name in measures),
            significant(each.update_norm) if trained else "–",
            *epsilons,
            "failed" if each.failure else str(len(each.answered)) if trained else "–",
            f"{each.seconds:.1f}",
            bytes_text(each.bytes_down + each.bytes_up) if trained else "–",
        ]
        mark = " class='best'" if each is run.best else ""
        rows.append(f"<tr{mark}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    table = (
        f"<div class='scroll'><table><thead><tr>{''.join(f'<th>{each}</th>' for each in head)}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div><p class='under'>Bold: the highest Dice.</p>"
    )
    if len(rows) > _ROUNDS_IN_SIGHT:
        table = f"<details><summary>All {len(rows)} rows</summary>{table}</details>"
    return f"<section><h2>Rounds</h2>{table}</section>"


def _terms(run: Run, parameters: int | None) -> str:
    terms, facts = run.terms, run.facts
    pairs = {
        "aggregator": aggregator_text(run),
        "plan": f"{terms.model.plan}{f', {parameters:,} parameters' if parameters else ''}",
        "trained tensors": trained_text(terms)
        + ("" if terms.trains_everything else f": {trained_parameters(terms):,} parameters"),
        "gradient steps of a site in a round": run.steps or "–",
        "plan hash": facts.get("plan_hash", "–"),
        "terms digest": facts.get("terms_digest", "–"),
        "start": facts.get("start", "–"),
        "sites and weights": ", ".join(f"{site} {terms.weights[site]:g}" for site in site_names(terms)),
        "minimum number of sites": terms.min_sites,
        "bits of a word": words_text(terms),
        "clipping norm C": clipping_text(terms),
        "noise multiplier sigma": "none" if terms.noise_multiplier is None else f"{terms.noise_multiplier:g}",
        "delta": delta_text(terms),
        "unit": terms.unit if terms.private else "–",
    }
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>" for key, value in pairs.items())
    return f"<section><h2>Terms</h2><dl>{rows}</dl></section>"


def _files(run: Run) -> str:
    about = {
        "model": "the final model as a stock nnU-Net folder (nnUNetv2_predict_from_modelfolder -m model -f 0)",
        "state.npz": "the final model and the server optimizer's state",
        "best.npz": "the model of the highest Dice",
        "ledger.jsonl": "a copy of the privacy ledger (ecg-flare privacy verify ledger.jsonl)",
        METRICS: "the figures of this report",
        RUN: "the terms",
    }
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in about.items() if run.file(name) is not None
    )
    return f"<section><h2>Files of the run</h2><dl>{rows}</dl></section>"


def items(texts: Iterable[str]) -> str:
    """The texts as a list."""
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def _when(started: str) -> str:
    try:
        return f"{datetime.fromisoformat(started).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):  # no date, or one that no clock of this machine shows
        return started


def _version(run: Run) -> str:
    return f"ecg_flare {run.facts['version']}" if "version" in run.facts else ""


def _optional(value: float | None) -> str:
    return "–" if value is None else significant(value)
