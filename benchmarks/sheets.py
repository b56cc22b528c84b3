"""Sheets of pictures: tiles of one size in rows, each under its title."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

TITLE_PX: Final = 24
GAP_PX: Final = 10
JPEG_QUALITY: Final = 80

Picture = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture and the line above it; without a picture its place stays white."""

    title: str
    picture: Picture | None


def write_sheet(tiles: Sequence[Tile], path: Path, *, columns: int, tile_px: tuple[int, int]) -> None:
    """Write the tiles as one JPEG; `tile_px` is the greatest width and height of a picture on it."""
    width, height = tile_px
    n_rows = -(-len(tiles) // columns)
    across, down = width + GAP_PX, height + TITLE_PX + GAP_PX
    sheet = Image.new("RGB", (columns * across + GAP_PX, n_rows * down + GAP_PX), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(17)
    for index, tile in enumerate(tiles):
        left, top = GAP_PX + index % columns * across, GAP_PX + index // columns * down
        draw.text((left, top), tile.title, fill="black", font=font)
        if tile.picture is not None:
            sheet.paste(Image.fromarray(_fitted(tile.picture, tile_px)), (left, top + TITLE_PX))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=JPEG_QUALITY, optimize=True)


def _fitted(image: Picture, size: tuple[int, int]) -> Picture:
    scale = min(size[0] / image.shape[1], size[1] / image.shape[0])
    smaller: Picture = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return smaller
