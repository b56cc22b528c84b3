"""`python -m benchmarks.picture_memory`: what reading the largest allowed picture takes, by format and mode."""

import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from PIL import Image

from benchmarks.fuzz.runs import peak_bytes
from benchmarks.markdown import row
from ecg_flare.errors import PageError
from ecg_flare.page.image_files import MAX_DECODED_BYTES, MAX_PIXELS, MAX_SIDE_PX, decoding_bytes
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.reader import LONGEST_PX, read_page

ONE_STRIP = {"compression": "tiff_adobe_deflate", "strip_size": 2_000_000_000}
PROGRESSIVE = {"progressive": True, "subsampling": 0}
CASES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    *(("PNG", mode, {}) for mode in ("1", "P", "L", "LA", "I;16", "RGB", "RGBA")),
    *(("JPEG", mode, PROGRESSIVE) for mode in ("L", "RGB", "CMYK")),
    *(("TIFF", mode, ONE_STRIP) for mode in ("1", "P", "L", "I;16", "F", "RGB", "RGBA", "CMYK")),
    *(("BMP", mode, {}) for mode in ("1", "L", "RGB")),
    ("GIF", "L", {}),
    ("WEBP", "RGB", {"quality": 1}),
    ("WEBP", "RGBA", {"lossless": True, "quality": 0, "method": 0}),
    *(("JPEG2000", mode, {}) for mode in ("L", "I;16", "RGB", "RGBA")),
)
_LONGEST_SIDE = {"WEBP": 16_383}  # of the format
_TURNED = 6  # of EXIF: on its side


@click.command()
@click.option("--only", help="Format or mode; by default all.")
def main(only: str | None) -> None:
    """Read the largest square page of each format and mode, turned by its EXIF, and say what it took.

    Pictures are of one colour, so that they are small as files, as a bomb is. What is a hundredth larger must be
    refused.
    """
    click.echo(row("format", "mode", "million pixels", "file, MB", "read in, GB", "s"))
    click.echo("|---" * 6 + "|")
    for index, (kind, mode, _) in enumerate(CASES):
        if only in (None, kind, mode):
            side = largest_side(kind, mode)
            told = _child(index, side)
            over = _child(index, math.ceil(side * 1.01))
            said = told["error"] or f"{told['peak_gb']:.2f}"
            if not over["error"]:
                said += f", but a larger one is read in {over['peak_gb']:.2f}"
            click.echo(row(kind, mode, f"{side**2 / 1e6:.0f}", f"{told['mb']:.1f}", said, f"{told['seconds']:.1f}"))


def largest_side(kind: str, mode: str) -> int:
    """Side of the largest square picture that is read."""
    side = min(math.isqrt(MAX_PIXELS), _LONGEST_SIDE.get(kind, MAX_SIDE_PX))
    while True:
        shrink = -(-side // LONGEST_PX)
        # JPEG is decoded at 1/1, 1/2, 1/4 or 1/8
        scale = max(each for each in (1, 2, 4, 8) if each <= side // max(1, side // shrink)) if kind == "JPEG" else 1
        decoded = -(-side // scale)
        taken = decoding_bytes(kind, _opened(kind, mode), (side, side), (decoded, decoded), shrinks=shrink > 1)
        if taken <= MAX_DECODED_BYTES:
            return side
        side -= 1


def _opened(kind: str, mode: str) -> str:
    """The mode by which the header of a file is judged: that of a WebP is not known before it is opened."""
    return "RGBA" if kind == "WEBP" else mode


def _child(index: int, side: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as text:
        path = str(Path(text) / "page.img")
        subprocess.run([sys.executable, "-m", __spec__.name, "write", str(index), str(side), path], check=True)
        command = [sys.executable, "-m", __spec__.name, "read", path]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _write(index: int, side: int, path: str) -> None:
    kind, mode, options = CASES[index]
    exif = Image.Exif()
    exif[0x0112] = _TURNED
    turned = {} if kind in ("BMP", "GIF", "JPEG2000") else {"exif": exif}
    Image.new(mode, (side, side)).save(path, kind, **options, **turned)


def _read(path: str) -> None:
    error, started = "", time.perf_counter()
    try:
        read_page(PageFile(Path(path), 1, "page"))
    except PageError as refusal:
        error = str(refusal)
    decoder_peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # JPEG 2000 has a process of its own
    told = {
        "error": error,
        "mb": Path(path).stat().st_size / 1e6,
        "seconds": time.perf_counter() - started,
        "peak_gb": max(peak_bytes(), decoder_peak) / 1e9,
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", index, side, path]:
            _write(int(index), int(side), path)
        case ["read", path]:
            _read(path)
        case _:
            main()
