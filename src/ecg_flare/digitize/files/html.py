"""One HTML page for a batch: every page's overlay beside its waveforms, the worst first.

Everything is in the file: no script, no font and no picture comes from elsewhere, so that it can be mailed, archived
and opened where there is no network.
"""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8

from ecg_flare.digitize.confidence import CONFIDENT, HALF, OVERLAPPING
from ecg_flare.digitize.files.earlier import OVERLAY_ENDING
from ecg_flare.digitize.files.interval_facts import interval_facts
from ecg_flare.digitize.files.waveform import waveform_svg
from ecg_flare.digitize.leads.lead_reading import LeadReading
from ecg_flare.digitize.measure.calibration import Calibration
from ecg_flare.digitize.result import Digitization

HEAD: Final = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width,initial-scale=1"><title>ECG pages read</title>'
)
"""How each report begins."""

_PICTURE_PX: Final = 1500
_JPEG_QUALITY: Final = 82
_WITHHELD_BADGE: Final = '<span class="badge bad">withheld</span>'

_STYLE: Final = """
:root{--ink:#1c2430;--soft:#525c6a;--line:#dfe4ea;--good:#0a7a4b;--fair:#8a5a00;--bad:#b3261e;--paper:#fff}
*{box-sizing:border-box}
body{margin:0;background:#f3f5f8;color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,main{max-width:1900px;margin:0 auto;padding:24px 28px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:0;overflow-wrap:anywhere}
header p{margin:0 0 10px;color:var(--soft);max-width:80ch}
header p.sum{color:var(--ink);font-size:17px}
.scroll{overflow-x:auto;background:var(--paper);border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%}
th,td{padding:6px 12px;text-align:left;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}
th{font-size:13px;color:var(--soft);font-weight:600;white-space:nowrap}tr:last-child td{border-bottom:0}
td a{color:inherit;overflow-wrap:anywhere}td i{font-style:normal;color:var(--soft);white-space:nowrap}
.scroll td:first-child{min-width:170px}.layout{white-space:nowrap}
article{background:var(--paper);border:1px solid var(--line);border-radius:10px;margin:0 0 24px;padding:18px 20px;
break-inside:avoid}
.top{display:flex;gap:14px;align-items:center;flex-wrap:wrap;margin-bottom:10px}
.badge{color:#fff;border-radius:999px;padding:2px 12px;font-weight:600;font-size:14px;white-space:nowrap}
.good{background:var(--good)}.fair{background:var(--fair)}.bad{background:var(--bad)}
.check{border-left:5px solid var(--fair);background:#fdf6e7;border-radius:4px;padding:8px 14px;margin:0 0 12px}
.check.worst{border-color:var(--bad);background:#fdeeec}
.check b{display:block}.check ul{margin:2px 0 0;padding-left:20px}.check li{margin:1px 0}
dl{display:flex;flex-wrap:wrap;gap:4px 28px;margin:0 0 12px}dl div{display:flex;gap:8px;align-items:baseline}
dt{color:var(--soft);font-size:13px}dd{margin:0;font-variant-numeric:tabular-nums}
dd i{font-style:normal;color:var(--soft);font-size:13px}dd i.assumed{color:var(--bad);font-weight:600}
p.doubt{color:var(--bad);margin:-6px 0 12px;font-size:13px}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:18px;align-items:start}
figure{margin:0;min-width:0}figcaption{color:var(--soft);font-size:13px;margin-bottom:6px}
img,svg.wave{display:block;width:100%;height:auto;border:1px solid var(--line);border-radius:4px}
svg.wave{background:#fffdfc}
.mm{fill:none;stroke:#f6dcdc;stroke-width:.12}.cm{fill:none;stroke:#e9b3b3;stroke-width:.2}
.ecg{fill:none;stroke:#10151d;stroke-width:.32;stroke-linejoin:round;stroke-linecap:round}
.edge{stroke:#10151d;stroke-width:.25}.pulse{fill:none;stroke:#525c6a;stroke-width:.3}
svg.wave text{font:600 3.6px system-ui,sans-serif;fill:#0057b8;paint-order:stroke;stroke:#fffdfc;stroke-width:.8}
svg.wave text.scale{font-weight:400;font-size:2.8px;fill:#525c6a}svg.wave text.broken{fill:#b3261e}
details{margin-top:12px}summary{cursor:pointer;color:var(--soft)}details table{width:auto;margin-top:6px}
details td,details th{padding:2px 14px 2px 0}
@media(max-width:1100px){.pair{grid-template-columns:1fr}}
@media(max-width:640px){header,main{padding:16px 12px}article{padding:14px 12px}th,td{padding:6px 8px}}
@media print{body{background:#fff}article{border:0;padding:0}}
"""


Picture = Callable[[str, UInt8[np.ndarray, "h w 3"]], str]
"""From the name of a page and its overlay to the URL of its picture in the report."""


@dataclass(frozen=True, eq=False)
class PageEntry:
    """A page of the batch, ready for the report: `order` is its confidence, or less than 0 where it failed."""

    title: str
    order: float
    row: str
    article: str
    withheld: bool = False


def embedded(name: str, overlay: UInt8[np.ndarray, "h w 3"]) -> str:
    """The picture of a page that stands in the report itself: a URL that holds it."""
    return _data_url(overlay)


def linked(name: str, overlay: UInt8[np.ndarray, "h w 3"]) -> str:
    """The picture of a page that stands beside the report: a URL of its file."""
    return f"{name}{OVERLAY_ENDING}"


def read_entry(title: str, name: str, result: Digitization, picture: str, withheld: str | None = None) -> PageEntry:
    """The report's part on a page that was read; made at once, so that a batch need not hold its pages.

    `picture` is the URL of the page with what was read drawn over it. `withheld` says why no recording was written of
    it, where none was.
    """
    anchor = escape(name, quote=True)
    shown = escape(title, quote=True)
    badge = _badge(result.confidence) + (_WITHHELD_BADGE if withheld else "")
    article = (
        f'<article id="{anchor}"><div class="top"><h2>{shown}</h2>{badge}</div>'
        f'{_withheld(withheld)}{_warnings(result)}{_facts(result)}{_intervals(result, withheld)}<div class="pair">'
        "<figure><figcaption>The page, with the lines that were read, their leads, and the grid as measured (red)"
        f'</figcaption><img alt="{shown}: the page with the traces read" src="{picture}"></figure>'
        "<figure><figcaption>The recording, drawn at 25 mm/s and 10 mm/mV</figcaption>"
        f"{waveform_svg(result, anchor)}</figure></div>{_leads(result)}</article>"
    )
    cells = (escape(result.layout), _first_of(result.warnings))
    return PageEntry(title, result.confidence, _row(anchor, title, badge, cells), article, withheld is not None)


def failed_entry(title: str, name: str, reason: str) -> PageEntry:
    """The report's part on a page that could not be read."""
    anchor = escape(name, quote=True)
    badge = '<span class="badge bad">not read</span>'
    article = (
        f'<article id="{anchor}"><div class="top"><h2>{escape(title)}</h2>{badge}</div>'
        f'<div class="check worst"><b>Nothing was written for this page.</b>{escape(reason)}</div></article>'
    )
    return PageEntry(title, -1.0, _row(anchor, title, badge, ("", escape(reason))), article)


def build_html(entries: Iterable[PageEntry]) -> str:
    """The whole report, worst page first."""
    ordered = sorted(entries, key=lambda entry: (entry.order, entry.title))
    failed = sum(entry.order < 0 for entry in ordered)
    withheld = sum(entry.withheld for entry in ordered)
    unsure = sum(0 <= entry.order < CONFIDENT and not entry.withheld for entry in ordered)
    return document(ordered, counts_line(len(ordered), failed, withheld, unsure))


def counts_line(pages: int, failed: int, withheld: int, unsure: int) -> str:
    """What became of the pages, in one line of HTML."""
    line = f"{pages - failed - withheld} of {pages} pages read, {unsure} of them to be checked"
    return line + (f"; {withheld} withheld; worst first." if withheld else "; worst first.")


def document(entries: Sequence[PageEntry], counts: str, links: str = "") -> str:
    """A page of HTML on these pages in this order: `counts` at its head, `links` to other such pages below."""
    rows = "".join(entry.row for entry in entries)
    articles = "".join(entry.article for entry in entries)
    return (
        f"{HEAD}<style>{_STYLE}</style></head><body><header><h1>ECG pages read</h1>"
        f'<p class="sum">{counts}</p>'
        f"<p>Below {CONFIDENT:.0%} a reading is not to be used unchecked: compare the coloured line with the ink under "
        "it, the leads' names with those printed, and the red grid with the paper's. Not for diagnosis.</p>"
        f'{links}<div class="scroll"><table><thead><tr><th scope="col">Page</th><th scope="col">Confidence</th>'
        '<th scope="col">Layout</th><th scope="col">Warnings</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></header><main>{articles}</main></body></html>\n"
    )


def _row(anchor: str, title: str, badge: str, cells: tuple[str, str]) -> str:
    layout, warnings = cells
    return (
        f'<tr><td><a href="#{anchor}">{escape(title)}</a></td><td>{badge}</td><td class="layout">{layout}</td>'
        f"<td>{warnings}</td></tr>"
    )


def _withheld(reason: str | None) -> str:
    if reason is None:
        return ""
    return f'<div class="check worst"><b>No recording was written for this page.</b>{_sentence(reason)}.</div>'


def _first_of(warnings: tuple[str, ...]) -> str:
    more = f" <i>and {len(warnings) - 1} more</i>" if len(warnings) > 1 else ""
    return _sentence(warnings[0]) + more if warnings else "none"


def _sentence(warning: str) -> str:
    return escape(warning[:1].upper() + warning[1:])


def _warnings(result: Digitization) -> str:
    if not result.warnings:
        return ""
    head = "Check before use" if result.confidence < CONFIDENT else "To know"
    items = "".join(f"<li>{_sentence(warning)}</li>" for warning in result.warnings)
    return f'<div class="check{" worst" if result.confidence < HALF else ""}"><b>{head}</b><ul>{items}</ul></div>'


def _facts(result: Digitization) -> str:
    calibration, checks = result.calibration, result.checks
    facts = {
        "Layout": f"{escape(result.layout)} <i>{result.layout_confidence:.0%} sure</i>",
        "Paper speed": f"{calibration.speed_mm_per_s:g} mm/s {_source(calibration.speed_source)}",
        "Gain": _gain(calibration),
        "Scale": f"{calibration.px_per_mm.x:.2f} × {calibration.px_per_mm.y:.2f} px/mm <i>by {calibration.method}</i>",
    }
    named = {"I + III − II": checks.einthoven, "aVR + aVL + aVF": checks.goldberger}
    facts |= {
        name: f"{value:.0%} <i>of the leads; 0 is right</i>" for name, value in named.items() if value is not None
    }
    if checks.rhythm_correlation is not None:
        facts["Rhythm strip"] = f"{checks.rhythm_correlation:.2f} <i>correlation with its short lead; 1 is right</i>"
    return "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items()) + "</dl>"


def _intervals(result: Digitization, withheld: str | None) -> str:
    return "" if withheld else interval_facts(result)


def _gain(calibration: Calibration) -> str:
    gain = f"{calibration.gain_mm_per_mv:g} mm/mV {_source(calibration.gain_source)}"
    if not calibration.has_two_gains:
        return gain
    return f"{gain}, V1-V6 {calibration.chest_gain_mm_per_mv:g} mm/mV {_source(calibration.chest_gain_source)}"


def _source(source: str) -> str:
    return f"<i{' class=assumed' if source == 'assumed' else ''}>{source}</i>"


def _leads(result: Digitization) -> str:
    rows = "".join(_lead_row(lead) for lead in result.leads)
    return (
        "<details><summary>Lead by lead</summary><table><thead><tr><th>Lead</th><th>Time</th><th>Read</th>"
        f"<th>Breaks</th><th>Run into another row</th></tr></thead><tbody>{rows}</tbody></table></details>"
    )


def _lead_row(lead: LeadReading) -> str:
    span = lead.span
    return (
        f"<tr><td>{escape(span.title)}</td><td>{span.start_s:.2f} to {span.end_s:.2f} s</td>"
        f"<td>{lead.coverage:.0%}</td><td>{lead.gaps or ''}</td>"
        f"<td>{f'{lead.shared:.1%}' if lead.shared > OVERLAPPING else ''}</td></tr>"
    )


def _badge(confidence: float) -> str:
    grade = "good" if confidence >= CONFIDENT else "fair" if confidence >= HALF else "bad"
    return f'<span class="badge {grade}">{confidence:.0%} sure</span>'


def _data_url(image: UInt8[np.ndarray, "h w 3"]) -> str:
    scale = min(1.0, _PICTURE_PX / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1.0 else image
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), quality)
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
