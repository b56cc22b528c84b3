"""One clean page and its reading, for all tests of what is done with a reading."""

import numpy as np
import pytest

from ecg_flare.digitize import Digitization, digitize
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import PageStyle


@pytest.fixture(scope="session")
def clean_page() -> Page:
    rng = np.random.default_rng(8)
    return render_page(synthesize(rng), PageStyle(dpi=100), rng)


@pytest.fixture(scope="session")
def clean_reading(clean_page: Page) -> Digitization:
    return digitize(clean_page.image, segmenter="classical")
