"""PDFs of ECG pages as machines write them, built by hand: everything in millimetres, y upwards from the bottom."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from ecg_flare.ecg.record import Recording
from ecg_flare.page.layout import load_layout

POINTS_PER_MM: Final = 72 / 25.4
WIDTH_MM, HEIGHT_MM = 297.0, 210.0
LEFT_MM, TOP_MM = 25.0, 180.0

Points = np.ndarray


@dataclass(frozen=True)
class DrawnLead:
    """A lead's line on the paper: its name, and its points (x, y)."""

    name: str
    points: Points


def leads_on_paper(
    recording: Recording, layout: str, *, speed: float = 25.0, gain: float = 10.0, gap_mm: float = 0.0
) -> list[list[DrawnLead]]:
    """The lines of each row of a layout, the columns so far apart."""
    rows = load_layout(layout).rows
    drawn = []
    for number, segments in enumerate(rows):
        row, x = [], LEFT_MM
        for segment in segments:
            first = round(segment.start_s * recording.fs_hz)
            signal = recording.lead(segment.lead)[first : first + round(segment.duration_s * recording.fs_hz)]
            along = x + np.arange(len(signal)) / recording.fs_hz * speed
            sign = -1.0 if segment.inverted else 1.0
            row.append(
                DrawnLead(segment.lead, np.stack([along, level_mm(number, len(rows)) + sign * signal * gain], 1))
            )
            x += segment.duration_s * speed + gap_mm
        drawn.append(row)
    return drawn


def level_mm(number: int, rows: int) -> float:
    """The base line of a row of so many, from the paper's lower edge."""
    return TOP_MM - number * min(36.0, 150.0 / rows)


def line(points: Points, digits: int = 4) -> str:
    """A path through points, without its stroke."""
    text = [f"{x:.{digits}f} {y:.{digits}f}" for x, y in points]
    return f"{text[0]} m " + " l ".join(text[1:]) + " l "


def stroked(points: Points, digits: int = 4) -> str:
    """One line."""
    return line(points, digits) + "S\n"


def in_pieces(points: Points, length: int) -> str:
    """A line in lines of so many steps, each drawn by itself."""
    return "".join(stroked(points[at : at + length + 1]) for at in range(0, len(points) - 1, length))


def as_area(points: Points, width_mm: float = 0.3) -> str:
    """A line as a filled area: along its upper edge, and back along its lower one, with mitred corners."""
    way = np.diff(points, axis=0)
    normal = np.stack([-way[:, 1], way[:, 0]], axis=1) / np.hypot(*way.T)[:, None]
    first, last = np.vstack([normal[:1], normal]), np.vstack([normal, normal[-1:]])
    mitre = (first + last) / (1.0 + (first * last).sum(axis=1, keepdims=True)).clip(0.15)
    upper, lower = points + mitre * width_mm / 2, points - mitre * width_mm / 2
    return line(np.vstack([upper, lower[::-1]])) + "h f\n"


def pulse(x: float, y: float, gain: float = 10.0, width: float = 5.0) -> Points:
    """A calibration pulse of 1 mV that begins at x, with base line before and behind it."""
    along = np.array([-1.0, 0.0, 0.0, width, width, width + 1.0]) + x
    return np.stack([along, y + np.array([0.0, 0.0, gain, gain, 0.0, 0.0])], axis=1)


def ruled_grid(step: float = 1.0) -> str:
    """A grid as machines draw it: two paths, of thin and of thick lines."""
    text = ""
    for every, width, colour in ((step, 0.1, "1 .75 .75"), (5.0, 0.25, ".95 .5 .5")):
        text += f"{colour} RG {width} w\n"
        text += "".join(line(np.array([[x, 0.0], [x, HEIGHT_MM]])) for x in np.arange(0.0, WIDTH_MM, every))
        text += "".join(line(np.array([[0.0, y], [WIDTH_MM, y]])) for y in np.arange(0.0, HEIGHT_MM, every)) + "S\n"
    return text


def boxed_grid() -> str:
    """A grid of boxes of 5 mm, and nothing finer."""
    boxes = [f"{x} {y} 5 5 re" for x in range(0, 295, 5) for y in range(0, 210, 5)]
    return "1 .6 .6 RG .15 w " + " ".join(boxes) + " S\n"


def filled_grid() -> str:
    """A grid of filled areas as thin as lines."""
    upright = [f"{x - 0.05} 0 .1 {HEIGHT_MM} re" for x in range(298)]
    level = [f"0 {y - 0.05} {WIDTH_MM} .1 re" for y in range(211)]
    return "1 .75 .75 rg " + " ".join([*upright, *level]) + " f\n"


def text(words: Iterable[tuple[str, float, float]], size: float = 3.0) -> str:
    """Words at places."""
    return "0 g BT\n" + "".join(f"/H {size} Tf 1 0 0 1 {x} {y} Tm ({word}) Tj\n" for word, x, y in words) + "ET\n"


def labels(rows: list[list[DrawnLead]]) -> str:
    """The names of leads beside their lines, and the paper's speed and gain."""
    above = min(7.0, 50.0 / len(rows))
    names = [(lead.name, lead.points[0, 0] + 1, np.median(lead.points[:, 1]) + above) for row in rows for lead in row]
    return text([*names, ("25 mm/s  10 mm/mV  0.05-150 Hz", 25.0, 8.0)])


def outlined(words: Iterable[tuple[str, float, float]], size_mm: float = 3.5) -> str:
    """Words as areas bounded by Bezier curves, as where fonts were turned into curves."""
    from matplotlib.textpath import TextPath

    found = "0 g\n"
    for word, x, y in words:
        shape = TextPath((x, y), word, size=size_mm * 1.35)
        at = shape.vertices[0]
        for vertices, code in shape.iter_segments(curves=True):
            ends = vertices.reshape(-1, 2)
            if code == 1:
                found += f"{ends[0, 0]:.3f} {ends[0, 1]:.3f} m "
            elif code == 2:
                found += f"{ends[0, 0]:.3f} {ends[0, 1]:.3f} l "
            elif code == 3:  # a quadratic curve, as a cubic one
                controls = (at + 2 * ends[0]) / 3, (ends[1] + 2 * ends[0]) / 3, ends[1]
                found += " ".join(f"{x:.3f} {y:.3f}" for x, y in controls) + " c "
            elif code == 79:
                found += "h "
            at = ends[-1]
        found += "f\n"
    return found


def traces(rows: list[list[DrawnLead]], draw: Callable[[Points], str] = stroked) -> str:
    """All leads, each drawn by itself."""
    return "0 G 0 g .3 w\n" + "".join(draw(lead.points) for row in rows for lead in row)


def whole_rows(rows: list[list[DrawnLead]], *, with_pulse: bool = False) -> str:
    """Each row in one line, with its pulse where that is wanted."""
    text = "0 G .3 w\n"
    for number, row in enumerate(rows):
        points = np.vstack([lead.points for lead in row])
        level = level_mm(number, len(rows))
        text += stroked(np.vstack([pulse(LEFT_MM - 8.0, level), points]) if with_pulse else points)
    return text


def pdf(
    content: str, forms: dict[str, tuple[str, str]] | None = None, rotate: int = 0, *, upright: bool = False
) -> bytes:
    """A page of A4, of a content in millimetres; `forms` are form XObjects: name -> matrix and content."""
    width, height = (HEIGHT_MM, WIDTH_MM) if upright else (WIDTH_MM, HEIGHT_MM)
    forms = forms or {}
    names = " ".join(f"/{name} {6 + number} 0 R" for number, name in enumerate(forms))
    body = f"{POINTS_PER_MM} 0 0 {POINTS_PER_MM} 0 0 cm\n{content}"
    box = f"[0 0 {width * POINTS_PER_MM:.4f} {height * POINTS_PER_MM:.4f}]"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox {box} /Rotate {rotate} /Contents 4 0 R "
        f"/Resources << /Font << /H 5 0 R >> /XObject << {names} >> >> >>",
        f"<< /Length {len(body)} >>\nstream\n{body}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *(
            f"<< /Type /XObject /Subtype /Form /BBox [-2000 -2000 2000 2000] /Matrix [{matrix}] /Length {len(inside)} "
            f"/Resources << /Font << /H 5 0 R >> >> >>\nstream\n{inside}\nendstream"
            for matrix, inside in forms.values()
        ),
    ]
    file, places = "%PDF-1.4\n", []
    for number, item in enumerate(objects, 1):
        places.append(len(file))
        file += f"{number} 0 obj\n{item}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    file += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n"
    return f"{file}{trailer}{file.index('xref')}\n%%EOF".encode()
