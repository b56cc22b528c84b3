"""The report of a batch: the worst first, doubts before pictures, nothing from outside."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg_flare.digitize.confidence import OVERLAPPING
from ecg_flare.digitize.files.html import build_html, embedded, failed_entry, read_entry
from ecg_flare.digitize.files.output import make_report
from ecg_flare.digitize.result import Digitization
from ecg_flare.page.page_list import PageFile

PICTURE = embedded("scan", np.full((60, 90, 3), 200, np.uint8))


def with_first_lead(result: Digitization, **changes: float) -> Digitization:
    """The reading with another first lead."""
    first, *others = result.leads
    return replace(result, leads=(replace(first, **changes), *others))  # type: ignore[arg-type]


def test_a_lead_that_runs_into_another_row_is_doubted_by_itself(clean_reading: Digitization) -> None:
    overlapping = with_first_lead(clean_reading, shared=2 * OVERLAPPING)

    sure, doubted = (
        make_report(each, PageFile(Path("scan.tif"), 0, "scan"))["leads"] for each in (clean_reading, overlapping)
    )

    assert doubted[0]["shared"] == pytest.approx(2 * OVERLAPPING, abs=1e-4)
    assert doubted[0]["confidence"] == pytest.approx(sure[0]["confidence"] / 2, abs=1e-3)
    assert [entry["confidence"] for entry in doubted[1:]] == [entry["confidence"] for entry in sure[1:]]
    article = read_entry("scan.png", "scan", overlapping, PICTURE).article
    assert article.count(f"<td>{2 * OVERLAPPING:.1%}</td>") == 1


def test_what_to_check_stands_before_the_pictures_and_broken_leads_are_marked(clean_reading: Digitization) -> None:
    warnings = ("the <layout> is odd", "light", "dust")
    doubted = replace(clean_reading, confidence=0.4, warnings=warnings)
    doubted = with_first_lead(doubted, gaps=2)

    entry = read_entry("scan.png", "scan", doubted, PICTURE)
    article = entry.article

    assert "The &lt;layout&gt; is odd <i>and 2 more</i>" in entry.row
    assert article.index("The &lt;layout&gt; is odd") < article.index("<figure>")
    assert "Check before use" in article
    assert '<text class="broken" x=' in article
    assert article.count('class="broken"') == 1
    assert "1 mV, 0.2 s" in article
    assert ">9 s</text>" in article


def test_the_html_needs_nothing_from_outside_and_begins_with_the_worst(clean_reading: Digitization) -> None:
    entries = [
        read_entry("<sure>.png", "sure", clean_reading, PICTURE),
        failed_entry("lost.png", "lost", "lost.png is <damaged>"),
    ]

    html = build_html(entries)

    assert html.index('id="lost"') < html.index('id="sure"')
    assert "&lt;sure&gt;.png" in html
    assert "&lt;damaged&gt;" in html
    assert "<sure>" not in html
    assert not re.search(r"https?://|<script|@import|<link", html)
    assert all(url.startswith(("data:image/jpeg;base64,", "#")) for url in re.findall(r'(?:src|href)="([^"]*)"', html))


def test_intervals_stand_with_their_doubts_and_not_beside_a_withheld_recording(clean_reading: Digitization) -> None:
    overlay = np.full((60, 90, 3), 200, np.uint8)
    shown = read_entry("scan.png", "scan", replace(clean_reading, confidence=0.5), overlay).article
    assert f"<dt>Heart rate</dt><dd>{clean_reading.intervals.heart_rate_bpm:.0f} /min</dd>" in shown
    assert "Doubtful: the reading&#x27;s confidence is 0.50" in shown
    assert "Heart rate" not in read_entry("scan.png", "scan", clean_reading, overlay, "too faint").article
