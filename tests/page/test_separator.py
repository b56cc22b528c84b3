from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.ecg.record import Recording
from ecg_flare.page.render import render_page
from ecg_flare.page.style import PageStyle, PrintStyle


def boxes_mm(recording: Recording, style: PageStyle) -> list[np.ndarray]:
    """The separators' corners (left, top, right, bottom) from the middle of the border and 0 mV of their row."""
    truth = render_page(recording, style, np.random.default_rng(0)).truth
    scale = truth.px_per_mm_x
    found = []
    separators = truth.print_boxes[-9:] if style.text.separator != "ticks" else truth.print_boxes[-18:]
    borders = [trace for trace in truth.traces if trace.start_s > 0]
    for box in separators:
        middle = box.mean(axis=0)
        nearest = min(borders, key=lambda trace: np.hypot(*(trace.polyline[0] - middle)))
        signal = recording.lead(nearest.lead)[round(nearest.start_s * recording.fs_hz)]
        zero = nearest.polyline[0, 1] + signal * truth.gain_mm_per_mv * truth.px_per_mm_y
        found.append((np.array([*box[0], *box[2]]) - [nearest.polyline[0, 0], zero] * 2) / scale)
    return found


@pytest.mark.parametrize("width_mm", [0.1, 0.3, 0.76, 1.5])
@pytest.mark.parametrize(
    ("kind", "spans"),
    [("bars", [(-3.15, 3.15)]), ("line", [(-5.0, 5.0)]), ("ticks", [(-6.5, -3.0), (2.0, 5.5)])],
)
def test_separators_are_as_wide_as_asked_and_centred_on_the_border(
    waves: Recording, bare: PageStyle, kind: str, spans: list[tuple[float, float]], width_mm: float
) -> None:
    text = replace(bare.text, separator=kind, separator_mm=width_mm)  # type: ignore[arg-type]
    found = boxes_mm(waves, replace(bare, dpi=127.0, text=text))
    assert len(found) == 9 * len(spans)
    for left, top, right, bottom in found:
        assert (left, right) == pytest.approx((-width_mm / 2, width_mm / 2), abs=1e-6)
        assert any((top, bottom) == pytest.approx(span, abs=1e-3) for span in spans)


def test_ink_of_a_bar_is_as_wide_as_asked_and_crosses_the_trace(bare: PageStyle) -> None:
    from ecg_flare.ecg.record import Recording

    flat = Recording(np.zeros((12, 4000), np.float32), 400.0)
    text = PrintStyle(header=False, footer=False, labels="none", separator="bars", separator_mm=0.76)
    page = render_page(flat, replace(bare, dpi=200.0, layout="6x2", text=text), np.random.default_rng(0))
    border = next(trace.polyline[0] for trace in page.truth.traces if trace.lead == "V1")
    x, y = np.rint(border).astype(int)
    ink = (255.0 - page.image[..., 0]) / (255 - 20)
    across = ink[y - 12, x - 15 : x + 16]
    assert across.sum() == pytest.approx(0.76 * 200 / 25.4, abs=0.05)  # px of full ink
    down = ink[y - 60 : y + 61, x]
    assert down.sum() == pytest.approx(6.3 * 200 / 25.4, abs=0.1)


def test_with_pulses_in_columns_the_bar_stands_in_the_middle_of_the_gap(waves: Recording, bare: PageStyle) -> None:
    text = replace(bare.text, separator="bars")
    style = replace(bare, dpi=127.0, layout="6x2", pulse="columns", pulse_gap_mm=2.0, text=text)
    truth = render_page(waves, style, np.random.default_rng(0)).truth
    pulses = [pulse for pulse, trace in zip(truth.pulses, truth.traces, strict=True) if trace.lead.startswith("V")]
    for box, pulse in zip(truth.print_boxes[-6:], pulses, strict=True):
        assert pulse[0, 0] - box[:, 0].mean() == pytest.approx(1.0 * 5)
