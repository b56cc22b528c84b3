"""A run's folder in, the report's file out."""

from pathlib import Path

from ecg_flare.errors import EcgFlareError
from ecg_flare.report.document import render, write_text
from ecg_flare.report.ledger import check_ledger
from ecg_flare.report.pages import PageView, model_size, page_views
from ecg_flare.report.run import FINISHED, Run


def write_report(run: Run, path: Path, *, pages: int = 3, ptbxl: Path | None = None) -> Path:
    """Write the report of a run, with the first `pages` public pages as the models read them.

    `ptbxl` is the folder of PTB-XL, for a run whose public pages are of it.

    Where pages cannot be drawn the report says why and stands without them. Raises StorageError where `path` cannot
    be written.
    """
    notes = []
    if run.outcome not in ("", FINISHED):
        notes.append(f"The job ended after round {run.final.index} of {run.terms.rounds}: {run.outcome}")
    elif run.final.index < run.terms.rounds:
        notes.append(f"The run has come to round {run.final.index} of {run.terms.rounds}.")
    notes += [f"Round {each.index} failed, and the model stayed: {each.failure}" for each in run.rounds if each.failure]
    if run.cut_short:
        notes.append("The last line of metrics.jsonl was half written and is left out.")
    ledger = check_ledger(run)
    if ledger is not None and not ledger.holds:
        notes.append(ledger.sentence)
    views: tuple[PageView, ...] = ()
    if pages:
        try:
            views = page_views(run, pages, ptbxl)
        except EcgFlareError as error:
            notes.append(f"No pages are drawn: {error}")
    facts = [ledger.sentence] if ledger is not None and ledger.holds else []
    write_text(render(run, views, parameters=_parameters(run), facts=facts, notes=notes), path)
    return path


def _parameters(run: Run) -> int | None:
    try:
        return model_size(run)
    except EcgFlareError:
        return None
