"""How long a 200 dpi page takes, and how much memory.

    python -m benchmarks.reading_time [--pages 10] [--threads 2] [--segmenter auto|bundled|classical]

One process, A4 and letter pages of the row clean-200, all drawn and the model loaded beforehand; the first page read is
not counted. Wall seconds mean little where other work shares the cores: the load is said beside them, and seconds of
CPU. Peak memory is that of the whole process, with its pages and libraries.
"""

from __future__ import annotations

import os
import resource
import time
from typing import Final

import click
import numpy as np

from benchmarks.digitization.pages import make_page
from benchmarks.real_data import data_root
from ecg_flare.digitize import digitize
from ecg_flare.digitize.ink.candidates import load_segmenters
from ecg_flare.digitize.ink.segmenters import AUTO
from ecg_flare.digitize.options import ReadingOptions

SEED: Final = 31_415


@click.command()
@click.option("--pages", default=10, show_default=True, type=click.IntRange(1))
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1))
@click.option("--segmenter", default=AUTO, show_default=True)
def main(pages: int, threads: int, segmenter: str) -> None:
    """Measure time and memory of reading."""
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    images = [make_page("clean-200", SEED, index, data_root()).image for index in range(pages + 1)]
    begun = time.perf_counter()
    segmenters = load_segmenters(segmenter)
    segmenters[-1](np.full((64, 64, 3), 255, np.uint8))  # "auto" loads its model when it is first asked
    click.echo(f"model load: {time.perf_counter() - begun:.2f} s")
    wall, cpu = [], []
    for image in images:
        begun, begun_cpu = time.perf_counter(), time.process_time()
        digitize(image, ReadingOptions(words="off"), segmenter=segmenters)
        wall.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - begun_cpu)
    for name, seconds in (("wall", wall[1:]), ("CPU", cpu[1:])):
        click.echo(f"{name} seconds a page: median {np.median(seconds):.2f}, {min(seconds):.2f} to {max(seconds):.2f}")
    load = os.getloadavg()[0]
    click.echo(f"{pages} pages, {threads} threads, load {load:.1f} on {os.cpu_count()} cores")
    click.echo(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
