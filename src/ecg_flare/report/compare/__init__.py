"""Runs side by side: convergence, a table against a reference, and what does not compare.

comparison (who, with which reference) -> results (values), cautions (sentences), settings (what differs) ->
convergence, table -> page (one file), csv_files. measured says which pages a Dice is of, steps how many gradient steps
a round has.
"""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "comparison": ("Comparison", "Named", "compare"),
    "page": ("write_comparison",),
}

if TYPE_CHECKING:
    from ecg_flare.report.compare.comparison import Comparison, Named, compare
    from ecg_flare.report.compare.page import write_comparison
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = ["Comparison", "Named", "compare", "write_comparison"]
