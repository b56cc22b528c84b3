"""Pictures that people hand in though they are no whole ECG page, drawn from a seed."""

import cv2
import numpy as np
from jaxtyping import UInt8

from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import GridStyle, PageStyle, PulsePlace

Picture = UInt8[np.ndarray, "h w 3"]


def printed(style: PageStyle, seed: int = 8) -> Page:
    """A page of a synthetic recording."""
    rng = np.random.default_rng(seed)
    return render_page(synthesize(rng), style, rng)


def blank() -> Picture:
    """Paper with nothing on it but its own grain."""
    grain = np.random.default_rng(0).normal(248, 2, (900, 1300, 1))
    return np.repeat(np.clip(grain, 0, 255), 3, axis=2).astype(np.uint8)


def cat() -> Picture:
    """A cat on a carpet, as a phone sees it: soft shapes, stripes, whiskers, fur."""
    rng = np.random.default_rng(1)
    height, width = 900, 1200
    y, x = np.mgrid[:height, :width].astype(np.float32)
    fur = cv2.GaussianBlur(rng.normal(0, 60, (height, width)).astype(np.float32), (0, 0), 2.0)
    carpet = 90 + 30 * np.sin(x / 37) * np.sin(y / 29) + fur
    body = np.exp(-((((x - 600) / 330) ** 2 + ((y - 600) / 230) ** 2) ** 2))
    head = np.exp(-((((x - 600) / 170) ** 2 + ((y - 300) / 150) ** 2) ** 3))
    stripes = 40 * np.sin(x / 14 + 2 * np.sin(y / 60))
    shade = carpet * (1 - np.maximum(body, head)) + np.maximum(body, head) * (170 + stripes + 2 * fur)
    picture = np.stack([shade, shade * 0.82, shade * 0.6], axis=2)
    picture = np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8))
    for side in (-1, 1):
        cv2.ellipse(picture, (600 + 60 * side, 280), (26, 16), 0, 0, 360, (90, 160, 60), -1, cv2.LINE_AA)
        cv2.ellipse(picture, (600 + 60 * side, 280), (6, 15), 0, 0, 360, (10, 10, 10), -1, cv2.LINE_AA)
        for k in (-1, 0, 1):
            cv2.line(picture, (600 + 40 * side, 350), (600 + 240 * side, 340 + 30 * k), (235, 235, 230), 2, cv2.LINE_AA)
    return picture


def text() -> Picture:
    """A letter: thirty lines of print, some of which name leads."""
    page = np.full((1500, 1100, 3), 252, np.uint8)
    words = ["the", "patient", "lead", "V1", "aVR", "II", "showed", "sinus", "rhythm", "III", "of", "72", "beats", "I"]
    rng = np.random.default_rng(2)
    for line in range(30):
        sentence = " ".join(rng.choice(words, 11))
        cv2.putText(page, sentence, (80, 110 + 44 * line), cv2.FONT_HERSHEY_COMPLEX, 0.7, (25, 25, 25), 1, cv2.LINE_AA)
    return page


def strip() -> Picture:
    """The rhythm strip alone, cut from its page."""
    page = printed(PageStyle(dpi=200, pulse="none"))
    rhythm = page.truth.traces[-1].polyline
    middle, reach = float(np.median(rhythm[:, 1])), 15 * page.truth.px_per_mm_y
    return np.ascontiguousarray(page.image[round(middle - reach) : round(middle + reach)])


def without_grid(pulse: PulsePlace) -> Page:
    """A page on plain paper, with calibration pulses or without."""
    return printed(PageStyle(dpi=120, pulse=pulse, grid=GridStyle(kind="none")))


def locked_pdf() -> bytes:
    """A PDF of one page under a password that nobody gave."""
    key = "<" + 32 * "5A" + ">"
    return (
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        "2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 400]>>endobj\n"
        f"4 0 obj<</Filter/Standard/V 1/R 2/O{key}/U{key}/P -4>>endobj\n"
        "trailer<</Root 1 0 R/Encrypt 4 0 R/ID[<00><00>]>>\n%%EOF"
    ).encode()
