"""PDFs of real recordings that matplotlib and ReportLab write are read to 40 dB."""

from collections.abc import Callable
from pathlib import Path

import drawn_pdfs as drawn
import numpy as np
import pytest
from benchmarks.real_data import data_root

from ecg_flare.digitize.files.batch import run_batch
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.ecg.record import Recording, read_wfdb

Rows = list[list[drawn.DrawnLead]]


def by_matplotlib(rows: Rows, path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"path.simplify": False}):  # which leaves samples out of the file
        from matplotlib.backends.backend_pdf import FigureCanvasPdf
        from matplotlib.figure import Figure

        figure = Figure(figsize=(drawn.WIDTH_MM / 25.4, drawn.HEIGHT_MM / 25.4))
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, drawn.WIDTH_MM), ylim=(0, drawn.HEIGHT_MM))
        axes.vlines(range(297), 0, 210, color="#f0b0b0", lw=[0.6 if x % 5 == 0 else 0.2 for x in range(297)])
        axes.hlines(range(210), 0, 297, color="#f0b0b0", lw=[0.6 if y % 5 == 0 else 0.2 for y in range(210)])
        for number, row in enumerate(rows):
            axes.plot(*drawn.pulse(drawn.LEFT_MM - 8.0, drawn.level_mm(number, len(rows))).T, color="k", lw=0.7)
            for lead in row:
                axes.plot(*lead.points.T, color="k", lw=0.7)
                axes.text(lead.points[0, 0] + 1, drawn.level_mm(number, len(rows)) + 4, lead.name, fontsize=8)
        FigureCanvasPdf(figure).print_pdf(path)


def by_reportlab(rows: Rows, path: Path) -> None:
    canvas = pytest.importorskip("reportlab.pdfgen.canvas", reason="reportlab is not installed")
    page = canvas.Canvas(str(path), pagesize=(drawn.WIDTH_MM * drawn.POINTS_PER_MM, 210 * drawn.POINTS_PER_MM))
    page.scale(drawn.POINTS_PER_MM, drawn.POINTS_PER_MM)
    page.setLineWidth(0.1)
    page.setStrokeColorRGB(0.95, 0.7, 0.7)
    page.grid(range(298), range(211))
    page.setStrokeColorRGB(0, 0, 0)
    page.setLineWidth(0.25)
    page.setFont("Helvetica", 3)
    for number, row in enumerate(rows):
        level = drawn.level_mm(number, len(rows))
        for lead in row:
            page.drawString(lead.points[0, 0] + 1, level + 4, lead.name)
        for points in (drawn.pulse(drawn.LEFT_MM - 8.0, level), *(lead.points for lead in row)):
            line = page.beginPath()
            line.moveTo(*points[0])
            for point in points[1:]:
                line.lineTo(*point)
            page.drawPath(line, stroke=1, fill=0)
    page.drawString(25, 8, "25 mm/s   10 mm/mV   0.05-150 Hz")
    page.showPage()
    page.save()


def least_db(truth: Recording, found: Recording, rows: Rows) -> float:
    """The least SNR of the leads, over what is printed of each, their medians aside."""
    decibels = []
    for row in rows:
        for lead in row:
            first = round((lead.points[0, 0] - drawn.LEFT_MM) / 25.0 * truth.fs_hz)
            wanted, got = (
                each.lead(lead.name)[first : first + len(lead.points)].astype(float) for each in (truth, found)
            )
            error = (got - np.median(got)) - (wanted - np.median(wanted))
            decibels.append(10 * np.log10(np.var(wanted) / np.mean(error**2)))
    return float(min(decibels))


@pytest.mark.realdata
@pytest.mark.parametrize("write", [by_matplotlib, by_reportlab], ids=["matplotlib", "reportlab"])
@pytest.mark.parametrize("layout", ["3x4+1R", "12x1"])
def test_what_they_write_of_ptb_xl_is_read_to_40_db(
    write: Callable[[Rows, Path], None], layout: str, tmp_path: Path
) -> None:
    if not (root := data_root() / "ptbxl").exists():
        pytest.skip("no PTB-XL in the folder that ECG_FLARE_DATA names")
    truth = read_wfdb(sorted(root.rglob("*_hr.hea"))[17].with_suffix(""))
    rows = drawn.leads_on_paper(truth, layout)
    write(rows, tmp_path / "page.pdf")

    summary = run_batch([tmp_path / "page.pdf"], tmp_path / "read", ReadingOptions(words="off"), progress=False)

    report = summary.pages[0].report
    assert report is not None, summary.pages[0].error
    assert (report["calibration"]["method"], report["layout"]["name"]) == ("lines", layout)
    assert report["confidence"] >= 0.75, report["warnings"]
    assert least_db(truth, read_wfdb(tmp_path / "read" / "page"), rows) > 40
