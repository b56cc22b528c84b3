"""One HTML page for a batch: every page's overlay beside its waveforms, the worst first.

Everything is in the file: no script, no font and no picture comes from elsewhere, so that it can be mailed, archived
and opened where there is no network.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8

from ecg_flare.digitize.pipeline import CONFIDENT, Digitization
from ecg_flare.digitize.waveform import waveform_svg

_PICTURE_PX: Final = 1500
_JPEG_QUALITY: Final = 82

_STYLE: Final = """
:root{--ink:#1c2430;--soft:#5b6675;--line:#dfe4ea;--good:#0a7a4b;--fair:#9a6700;--bad:#b3261e;--paper:#fff}
*{box-sizing:border-box}
body{margin:0;background:#f3f5f8;color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,main{max-width:1680px;margin:0 auto;padding:24px 28px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:0;overflow-wrap:anywhere}
header p{margin:0 0 14px;color:var(--soft)}
table{border-collapse:collapse;width:100%;background:var(--paper);border:1px solid var(--line);border-radius:8px}
th,td{padding:6px 12px;text-align:left;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}
th{font-size:13px;color:var(--soft);font-weight:600}tr:last-child td{border-bottom:0}
td a{color:inherit}
article{background:var(--paper);border:1px solid var(--line);border-radius:10px;margin:0 0 24px;padding:18px 20px;
break-inside:avoid}
.top{display:flex;gap:14px;align-items:center;flex-wrap:wrap;margin-bottom:12px}
.badge{color:#fff;border-radius:999px;padding:2px 12px;font-weight:600;font-size:14px;white-space:nowrap}
.good{background:var(--good)}.fair{background:var(--fair)}.bad{background:var(--bad)}
.facts{color:var(--soft);font-size:14px}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:18px;align-items:start}
figure{margin:0}figcaption{color:var(--soft);font-size:13px;margin-bottom:6px}
img,svg.wave{display:block;width:100%;height:auto;border:1px solid var(--line);border-radius:4px}
svg.wave{background:#fffdfc}
.mm{fill:none;stroke:#f6dcdc;stroke-width:.12}.cm{fill:none;stroke:#e9b3b3;stroke-width:.2}
.ecg{fill:none;stroke:#10151d;stroke-width:.32;stroke-linejoin:round;stroke-linecap:round}
.edge{stroke:#10151d;stroke-width:.25}
svg.wave text{font:600 3.6px system-ui,sans-serif;fill:#0057b8;paint-order:stroke;stroke:#fffdfc;stroke-width:.8}
ul{margin:12px 0 0;padding-left:20px}li{margin:2px 0}
.why{color:var(--bad);margin:0}
@media(max-width:1100px){.pair{grid-template-columns:1fr}}
@media print{body{background:#fff}article{border:0;padding:0}}
"""


@dataclass(frozen=True, eq=False)
class Entry:
    """A page of the batch, ready for the report: `order` is its confidence, or less than 0 where it failed."""

    title: str
    order: float
    row: str
    article: str


def read_entry(title: str, name: str, result: Digitization, overlay: UInt8[np.ndarray, "h w 3"]) -> Entry:
    """The report's part on a page that was read; made at once, so that a batch need not hold its pages."""
    anchor = escape(name, quote=True)
    calibration = result.calibration
    facts = [
        f"layout {result.layout} ({result.layout_confidence:.0%})",
        f"{calibration.speed_mm_per_s:g} mm/s, {calibration.speed_source}",
        f"{calibration.gain_mm_per_mv:g} mm/mV, {calibration.gain_source}",
        f"{calibration.px_per_mm_x:.2f} x {calibration.px_per_mm_y:.2f} px/mm by {calibration.method}",
        *_checks(result),
    ]
    warnings = "".join(f"<li>{escape(warning)}</li>" for warning in result.warnings)
    article = (
        f'<article id="{anchor}"><div class="top"><h2>{escape(title)}</h2>{_badge(result.confidence)}'
        f'<span class="facts">{escape(" · ".join(facts))}</span></div><div class="pair">'
        f"<figure><figcaption>The page, and what was read from it</figcaption>"
        f'<img alt="page with the traces read" src="{_data_url(overlay)}"></figure>'
        f"<figure><figcaption>The recording, 25 mm/s and 10 mm/mV</figcaption>{waveform_svg(result, anchor)}</figure>"
        f"</div>{f'<ul>{warnings}</ul>' if warnings else ''}</article>"
    )
    cells = (
        result.layout,
        f"{len(result.warnings)}" if result.warnings else "none",
        f"{sum(result.seconds.values()):.1f} s",
    )
    return Entry(title, result.confidence, _row(anchor, title, _badge(result.confidence), cells), article)


def failed_entry(title: str, name: str, reason: str) -> Entry:
    """The report's part on a page that could not be read."""
    anchor = escape(name, quote=True)
    badge = '<span class="badge bad">not read</span>'
    article = (
        f'<article id="{anchor}"><div class="top"><h2>{escape(title)}</h2>{badge}</div>'
        f'<p class="why">{escape(reason)}</p></article>'
    )
    return Entry(title, -1.0, _row(anchor, title, badge, ("", escape(reason), "")), article)


def build_html(entries: Iterable[Entry]) -> str:
    """The whole report, worst page first."""
    ordered = sorted(entries, key=lambda entry: (entry.order, entry.title))
    failed = sum(entry.order < 0 for entry in ordered)
    unsure = sum(0 <= entry.order < CONFIDENT for entry in ordered)
    summary = f"{len(ordered) - failed} of {len(ordered)} pages read, {unsure} of them to be checked; worst first."
    rows = "".join(entry.row for entry in ordered)
    articles = "".join(entry.article for entry in ordered)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>ECG pages read</title><style>{_STYLE}</style></head><body><header><h1>ECG pages read</h1>"
        f"<p>{summary}</p><table><thead><tr><th>Page</th><th>Confidence</th><th>Layout</th><th>Warnings</th>"
        f"<th>Time</th></tr></thead><tbody>{rows}</tbody></table></header><main>{articles}</main></body></html>\n"
    )


def _row(anchor: str, title: str, badge: str, cells: tuple[str, str, str]) -> str:
    rest = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr><td><a href="#{anchor}">{escape(title)}</a></td><td>{badge}</td>{rest}</tr>'


def _badge(confidence: float) -> str:
    grade = "good" if confidence >= CONFIDENT else "fair" if confidence >= 0.5 else "bad"
    return f'<span class="badge {grade}">{confidence:.0%} sure</span>'


def _checks(result: Digitization) -> list[str]:
    checks = result.checks
    named = {"I + III = II": checks.einthoven, "aVR + aVL + aVF = 0": checks.goldberger}
    facts = [f"{name} to {value:.0%}" for name, value in named.items() if value is not None]
    if checks.rhythm_correlation is not None:
        facts.append(f"rhythm strip agrees to {checks.rhythm_correlation:.2f}")
    return facts


def _data_url(image: UInt8[np.ndarray, "h w 3"]) -> str:
    scale = min(1.0, _PICTURE_PX / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1.0 else image
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), quality)
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
