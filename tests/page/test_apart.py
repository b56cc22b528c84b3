"""Decoders in a process of their own: what they run, and with what environment."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ecg_flare.page.apart import ask_apart
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.reader import read_page


@pytest.mark.parametrize(("kind", "ending"), [("PDF", "pdf"), ("JPEG2000", "jp2")])
def test_no_module_of_the_working_folder_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, ending: str
) -> None:
    Image.new("RGB", (40, 30), (200, 210, 220)).save(tmp_path / f"page.{ending}", kind)
    for module in ("json", "numpy", "jaxtyping", "cv2", "PIL", "pypdfium2"):
        (tmp_path / f"{module}.py").write_text("open('was_run', 'a').close()\nraise SystemExit(1)\n")
    monkeypatch.chdir(tmp_path)

    image = read_page(PageFile(Path(f"page.{ending}"), 1, "page")).image

    assert not (tmp_path / "was_run").exists()
    np.testing.assert_allclose(image.mean(axis=(0, 1)), (200, 210, 220), atol=3)


def test_the_process_has_one_thread_on_any_number_of_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "KEPT"]
    (tmp_path / "told_apart.py").write_text(
        f"import json, os\nprint(json.dumps({{name: os.environ.get(name) for name in {names}}}))\n"
    )
    (tmp_path / "page").write_text(json.dumps("anything"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.setenv("KEPT", "yes")

    said, _ = ask_apart("told_apart", tmp_path / "page", ())

    assert said == {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "KEPT": "yes"}
