"""Draw the pictures of the README and docs/pages.md: `python docs/images/draw.py`.

Everything on them is synthetic: recordings by `ecg.synthetic`, pages by `page`, traces from the pages' own truth.
"""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ecg_flare.ecg.synthetic import Rhythm, synthesize
from ecg_flare.page.render import Page
from ecg_flare.page.resample import resample_page
from ecg_flare.page.site_profile import load_profile, profile_page

HERE = Path(__file__).parent
WIDTH_PX = 860
GAP_PX = 20
SITES = ("district", "university", "archive", "clinic_photo")
# Okabe and Ito's colour-blind safe set, in turn from lead to lead
INKS = ((0, 114, 178), (213, 94, 0), (0, 130, 105), (150, 70, 140))

Picture = UInt8[np.ndarray, "h w 3"]


def page_of(profile: str, rhythm: Rhythm, seed: int) -> Page:
    """A page as that profile's hospital would have it, scaled to the pictures' width."""
    rng = np.random.default_rng(seed)
    page = profile_page(synthesize(rng, rhythm=rhythm), load_profile(profile), rng)
    return resample_page(page, page.truth.px_per_mm_x * WIDTH_PX / page.truth.width_px)


def with_traces(page: Page) -> Picture:
    """The page faded, each lead's true polyline in a colour of its own and its name where it begins."""
    picture = (255 - (255 - page.image.astype(np.float32)) * 0.4).astype(np.uint8)
    shift = 4
    for number, trace in enumerate(page.truth.traces):
        ink = INKS[number % len(INKS)]
        points = np.rint(trace.polyline * 2**shift).astype(np.int32)
        cv2.polylines(picture, [points], False, ink, 2, cv2.LINE_AA, shift)
        left, top = trace.polyline[0, 0], trace.polyline[: len(trace.polyline) // 8, 1].min()
        place = (round(left), round(top - 14))
        cv2.putText(picture, trace.lead, place, cv2.FONT_HERSHEY_DUPLEX, 0.6, ink, 1, cv2.LINE_AA)
    return picture


def side_by_side(*pictures: Picture) -> Picture:
    """Pictures in a row, with white between them and below the lower ones."""
    height = max(picture.shape[0] for picture in pictures)
    parts = [
        np.pad(picture, ((0, height - picture.shape[0]), (GAP_PX, 0), (0, 0)), constant_values=255)
        for picture in pictures
    ]
    return np.concatenate(parts, axis=1)[:, GAP_PX:]


def save(picture: Picture, name: str) -> None:
    """Write a JPEG whose thin coloured lines stay clean."""
    Image.fromarray(picture).save(HERE / name, quality=85, subsampling=0, optimize=True)


def main() -> None:
    """Draw both pictures."""
    page = page_of("clinic_photo", Rhythm.SINUS, seed=12)
    save(side_by_side(page.image, with_traces(page)), "page.jpg")
    pages = [page_of(profile, Rhythm.SINUS, seed=7) for profile in SITES]
    small = [cv2.resize(each.image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for each in pages]
    save(side_by_side(*small), "profiles.jpg")


if __name__ == "__main__":
    main()
