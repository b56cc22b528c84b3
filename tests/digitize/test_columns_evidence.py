"""Columns and their witnesses: rows of drawn beats, cut where a lead ends and where none does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rasters import raster, word

from ecg_flare.digitize.leads.assign import assign
from ecg_flare.digitize.leads.columns_evidence import columns_evidence
from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.labels import Word
from ecg_flare.digitize.leads.placement import place_layout
from ecg_flare.digitize.leads.row_beats import beat_together, find_beats, rows_alike_db
from ecg_flare.ecg.leads import LIMB_LEADS, limb_leads
from ecg_flare.page.layout import load_layout

SAMPLES = 2500  # 10 s at 25 mm/s


def beats(size: float, width: float, phase: int = 0) -> np.ndarray:
    """A beat of its own form every 0.8 s: QRS, and a T wave that its width tells from others'."""
    x = np.arange(SAMPLES)
    line = np.zeros(SAMPLES)
    for place in range(100 + phase, SAMPLES, 200):
        line += size * np.exp(-(((x - place) / 3.0) ** 2)) + 0.3 * width * np.exp(-(((x - place - 50) / 12.0) ** 2))
    return line


def limb_rows() -> dict[str, np.ndarray]:
    return dict(zip(LIMB_LEADS, limb_leads(beats(3.0, 8.0), beats(9.0, -5.0)), strict=True))


def chest_rows() -> np.ndarray:
    forms = ((-9.0, 5.0), (-12.0, 9.0), (-4.0, 11.0), (7.0, 8.0), (12.0, 4.0), (9.0, 2.0))
    return np.stack([beats(size, width) for size, width in forms])


def limb_page() -> np.ndarray:
    return np.stack(list(limb_rows().values()))


def two_columns() -> np.ndarray:
    return np.hstack([limb_page()[:, : SAMPLES // 2], chest_rows()[:, SAMPLES // 2 :]])


def evidence(y_mm: np.ndarray, layout: str, words: tuple[Word, ...] = ()):  # type: ignore[no-untyped-def]
    page = LabelledRows(raster(y_mm), words, 25.0)
    spans = place_layout(page, load_layout(layout))
    return columns_evidence(page, spans, lambda rows: find_beats(page.rows, 25.0, rows))


def test_limb_leads_alone_are_no_two_columns() -> None:
    one, two = evidence(limb_page(), "6x1-limb"), evidence(limb_page(), "6x2")
    assert (one.agree, one.disagree, one.imitated, one.unwitnessed) == (True, False, False, 0)
    # the second half of the limb rows, taken as V1 to V6, obeys Einthoven under the names of the first
    assert (two.agree, two.disagree, two.imitated, two.unwitnessed) == (False, True, True, 1)
    assert one.score > two.score + 6.0


def test_two_columns_are_no_limb_leads_alone() -> None:
    one, two = evidence(two_columns(), "6x1-limb"), evidence(two_columns(), "6x2")
    assert (two.agree, two.imitated, two.unwitnessed) == (True, False, 0)
    assert (one.agree, one.disagree) == (False, True)
    assert two.score > one.score + 6.0


def test_chest_leads_alone_obey_no_identities_and_limb_leads_taken_for_them_do() -> None:
    assert not evidence(chest_rows(), "6x1-chest").imitated
    assert evidence(limb_page(), "6x1-chest").imitated


@pytest.mark.parametrize(("labels", "unwitnessed"), [((), 3), (("V1", "V2"), 2), (("V1", "V2", "V4", "V5"), 1)])
def test_a_column_without_a_beat_needs_labels(labels: tuple[str, ...], unwitnessed: int) -> None:
    """Three limb leads at 25 mm/s whose beats stand in the first half alone, taken as four columns."""
    y_mm = np.stack([np.where(np.arange(SAMPLES) < SAMPLES // 2, row, 0.0) for row in limb_page()[:3]])
    y_mm += np.random.default_rng(0).normal(scale=0.02, size=y_mm.shape)
    places = {"V1": (0, 2), "V2": (1, 2), "V4": (0, 3), "V5": (1, 3)}
    words = tuple(word(name, 625.0 * places[name][1] + 20.0, places[name][0]) for name in labels)
    found = evidence(y_mm, "3x4", words)
    assert found.unwitnessed == unwitnessed


def test_rows_of_one_time_beat_together_and_rows_of_one_lead_look_alike() -> None:
    side_by_side = raster(limb_page())
    in_turn = raster(np.stack([beats(9.0, 5.0, phase) for phase in (0, 70, 140)]))
    assert beat_together(side_by_side, 25.0) == pytest.approx(1.0, abs=0.1)
    assert beat_together(in_turn, 25.0) == pytest.approx(-0.1, abs=0.2)
    assert (rows_alike_db(in_turn, 25.0) or 0.0) > 20.0
    assert (rows_alike_db(side_by_side, 25.0) or 9.0) < 5.0
    assert beat_together(raster(np.zeros((1, SAMPLES))), 25.0) is None


def test_a_row_that_was_found_twice_is_no_rhythm_strip() -> None:
    """Four rows 200 pixels apart are in order; a fourth one 12 pixels below the third is that row again."""
    y_mm = np.stack([*limb_page()[:3], limb_page()[1]])
    rows = raster(y_mm)
    for last, crowded in ((700.0, False), (512.0, True)):
        at = replace(rows, level_px=np.array([100.0, 300.0, 500.0, last]))
        found = assign(LabelledRows(at, (), 25.0))
        assert found is not None
        assert found.evidence.crowded == crowded


def test_a_chest_lead_may_go_on_over_more_rows_than_there_are_limb_leads(tmp_path: Path) -> None:
    file = tmp_path / "watch.yaml"
    file.write_text("rows:\n" + "\n".join(f"  - - {{lead: V5, start_s: {10 * k}, duration_s: 10}}" for k in range(8)))
    y_mm = np.stack([beats(6.0, 5.0, phase=7 * k) for k in range(8)])
    page = LabelledRows(raster(y_mm), (), 25.0)
    spans = place_layout(page, load_layout(str(file)))
    assert [span.lead for span in spans] == ["V5"] * 8
    columns_evidence(page, spans, lambda rows: find_beats(page.rows, 25.0, rows))
