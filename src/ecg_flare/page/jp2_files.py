"""JPEG 2000 decoded in a process of its own, whose memory and time are bounded.

What its header promises is checked before, as for all pictures. But tiles, precincts and code blocks are described
anew all over a codestream, and a library makes room for each as it comes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from ecg_flare.errors import PageError
from ecg_flare.page.apart import answer_apart, ask_apart
from ecg_flare.page.image_files import check_decoding, open_image
from ecg_flare.page.pixels import Pixels, read_pixels


def read_jp2(path: Path, *, longest_px: int) -> Pixels:
    """The picture, shrunk where a side is longer than `longest_px`; raises PageError as `read_pixels` does."""
    with open_image(path, path) as picture:
        check_decoding(picture, path, longest_px=longest_px)
    said, pixels = ask_apart(__name__, path, (str(path), str(longest_px)))
    image = np.frombuffer(pixels, np.uint8).reshape(said["height"], said["width"], 3)
    return Pixels(image, (said["full_height"], said["full_width"]), said["orientation"])


def answer_jp2(_: IO[bytes], arguments: Sequence[str]) -> tuple[dict[str, Any], bytes]:
    """What the child answers of the file and the longest side that it is given: sizes and pixels; or `error`."""
    path, longest_px = Path(arguments[0]), int(arguments[1])
    try:
        read = read_pixels(path, 1, longest_px=longest_px)
    except PageError as error:
        return {"error": str(error).removeprefix(f"{path} ")}, b""
    (height, width), (full_height, full_width) = read.image.shape[:2], read.shape
    said = {"height": height, "width": width, "full_height": full_height, "full_width": full_width}
    return said | {"orientation": read.orientation}, read.image.tobytes()


if __name__ == "__main__":
    answer_apart(answer_jp2)
