"""The benchmark of bars sets each width's dB beside those of the same page without bars."""

import sys
from pathlib import Path

# before the installed distribution that ships a package of the same name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.bars import WIDTHS_MM, Result, table, tasks


def test_each_width_is_compared_with_the_same_page_without_bars() -> None:
    wanted = tasks(2, (150, 300), ("bars",), "bundled")
    assert len(wanted) == 2 * 2 * (1 + len(WIDTHS_MM))
    lost = {"none": 0.0, "bars": 1.0}
    results = [Result(each, 20 + each.page - lost[each.kind] * each.width_mm, 0.9) for each in wanted]

    lines = table(results).splitlines()

    assert lines[2].startswith("| 150 | bars | 2 | 20.5 | -0.30, worst -0.30 | -0.50, worst -0.50 |")
    assert lines[3].startswith("| 300 | bars | 2 | 20.5 |")
    assert lines[3].endswith("-1.00, worst -1.00 | -1.50, worst -1.50 |")
