"""The leads of a page: by a layout where one fits, else by the labels beside the rows alone."""

from __future__ import annotations

from ecg_flare.digitize.leads.assign import Assignment, assign
from ecg_flare.digitize.leads.by_labels import assign_by_labels
from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.errors import PageError
from ecg_flare.page.layout import load_layout


def find_leads(page: LabelledRows, layout: str) -> Assignment:
    """Return which lead stands where; `layout` is "auto" or the layout that was given, by its name or as a YAML file.

    Rows that do not beat at the same times fit no layout, whatever their number. Raises PageError where the given
    layout has another number of rows, or no row can be named, LayoutError where its file is wrong.
    """
    assignment = assign(page, layout)
    if layout == "auto" and (assignment is None or assignment.evidence.apart):
        return assign_by_labels(page)
    if assignment is None:
        rows = len(load_layout(layout).rows)
        raise PageError(
            f"Layout {layout} has {rows} {'row' if rows == 1 else 'rows'}, but {len(page.rows.level_px)} were found on "
            "this page; give another layout, or leave it to be measured."
        )
    return assignment
