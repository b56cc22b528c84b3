"""How a page is printed: paper, scale, grid, ink, print. All lengths in millimetres, colours RGB from 0 to 255."""

import math
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from ecg_flare.ecg.leads import ALL_LEADS, LIMB_LEADS
from ecg_flare.errors import LayoutError
from ecg_flare.page.layout import load_layout

Colour = tuple[float, float, float]

PaperName = Literal["a4", "letter", "a4-portrait", "letter-portrait", "chart"]
GridKind = Literal["fine+coarse", "coarse", "dotted", "none"]
GridColour = Literal["red", "pink", "orange", "blue", "green", "grey", "brown", "black"]
PulsePlace = Literal["left", "right", "columns", "none"]
PulseShape = Literal["stepped", "plain"]
Columns = Literal["consecutive", "simultaneous"]
FontName = Literal["sans", "serif", "serif-bold", "mono"]
LabelPlace = Literal["above", "below", "beside", "none"]
LabelColour = Literal["ink", "black", "blue", "red", "green", "grey", "purple"]
Separator = Literal["none", "ticks", "dashes", "line", "bars"]

PAPER_MM: Final[dict[PaperName, tuple[float, float]]] = {
    "a4": (297.0, 210.0),
    "letter": (279.4, 215.9),
    "a4-portrait": (210.0, 297.0),
    "letter-portrait": (215.9, 279.4),
    "chart": (290.0, 140.0),
}
"""Width and height; `chart` is the strip that a cart's own printer takes, cut below the last row."""

GRID_RGB: Final[dict[GridColour, tuple[Colour, Colour]]] = {
    "red": ((232, 96, 96), (246, 176, 172)),
    "pink": ((240, 150, 178), (250, 208, 222)),
    "orange": ((238, 150, 104), (250, 206, 176)),
    "blue": ((112, 150, 214), (186, 206, 238)),
    "green": ((100, 178, 130), (180, 220, 194)),
    "grey": ((120, 120, 120), (188, 188, 188)),
    "brown": ((172, 128, 112), (212, 186, 174)),
    "black": ((64, 60, 60), (150, 146, 144)),
}
"""Colours of the coarse (5 mm) and the fine (1 mm) lines."""

LABEL_RGB: Final[dict[LabelColour, Colour]] = {
    "black": (0, 0, 0),
    "blue": (24, 72, 196),
    "red": (196, 28, 36),
    "green": (16, 122, 60),
    "grey": (128, 128, 128),
    "purple": (120, 40, 140),
}
"""Colours of labels; those of "ink" have the traces' colour."""


@dataclass(frozen=True)
class GridStyle:
    """Millimetre grid: lines every 5 mm and, if `kind` says so, every 1 mm or as dots at their crossings.

    `strength` fades all lines (0 to 1). `inset_mm` leaves a blank border; `phase_mm` shifts the lines (x, y).
    `squares` is how many small squares a big one has along each side. With `boxes` each row has a framed grid of its
    own on bare paper; inset and phase then mean nothing. `askew_deg` turns the grid clockwise under the print, as
    preprinted paper that is fed askew.
    """

    kind: GridKind = "fine+coarse"
    colour: GridColour = "red"
    strength: float = 1.0
    fine_mm: float = 0.13
    coarse_mm: float = 0.24
    inset_mm: float = 0.0
    phase_x_mm: float = 0.0
    phase_y_mm: float = 0.0
    squares: int = 5
    boxes: bool = False
    askew_deg: float = 0.0

    def __post_init__(self) -> None:
        _check_choice("grid kind", self.kind, get_args(GridKind))
        _check_choice("grid colour", self.colour, get_args(GridColour))
        check_range("grid strength", self.strength, 0, 1)
        check_range("grid fine_mm", self.fine_mm, 0.02, 1)
        check_range("grid coarse_mm", self.coarse_mm, 0.02, 2)
        check_range("grid inset_mm", self.inset_mm, 0, 50)
        check_range("grid phase_x_mm", self.phase_x_mm, 0, 5)
        check_range("grid phase_y_mm", self.phase_y_mm, 0, 5)
        check_range("grid squares", self.squares, 2, 10)
        if self.squares != int(self.squares):
            raise LayoutError(f"grid squares must be a whole number, found {self.squares}.")
        _check_choice("grid boxes", self.boxes, (True, False))
        check_range("grid askew_deg", self.askew_deg, -5, 5)


@dataclass(frozen=True)
class InkStyle:
    """Pen of the traces and pulses: width, grey (0 black to 255), a tint of blue, and density (0 to 1)."""

    width_mm: float = 0.3
    grey: float = 20.0
    blue: float = 0.0
    density: float = 1.0

    def __post_init__(self) -> None:
        check_range("ink width_mm", self.width_mm, 0.05, 2)
        check_range("ink grey", self.grey, 0, 200)
        check_range("ink blue", self.blue, 0, 1)
        check_range("ink density", self.density, 0.05, 1)

    @property
    def rgb(self) -> Colour:
        """Colour of the dry ink."""
        grey = round(self.grey)
        return grey, grey, round(grey + (255 - grey) * 0.45 * self.blue)


@dataclass(frozen=True)
class PrintStyle:
    """Everything printed but grid and traces: lead labels, header, footer, separators between columns.

    `label_spacing_mm` is put between the letters of a label. `separator_mm` is the width of the separators, of which
    "line" and "bars" cross the traces: 10 and 6.3 mm long, about 0 mV.
    """

    font: FontName = "sans"
    labels: LabelPlace = "above"
    label_mm: float = 3.2
    label_colour: LabelColour = "ink"
    label_spacing_mm: float = 0.0
    text_mm: float = 2.8
    header: bool = True
    footer: bool = True
    separator: Separator = "none"
    separator_mm: float = 0.3

    def __post_init__(self) -> None:
        _check_choice("print font", self.font, get_args(FontName))
        _check_choice("print labels", self.labels, get_args(LabelPlace))
        check_range("print label_mm", self.label_mm, 1, 12)
        _check_choice("print label_colour", self.label_colour, get_args(LabelColour))
        check_range("print label_spacing_mm", self.label_spacing_mm, 0, 5)
        check_range("print text_mm", self.text_mm, 1, 12)
        _check_choice("print separator", self.separator, get_args(Separator))
        check_range("print separator_mm", self.separator_mm, 0.1, 2)


@dataclass(frozen=True)
class PageStyle:
    """How to print a recording: the whole of what `render_page` follows, but for the text of header and footer.

    `columns`: a later column shows a later stretch ("consecutive") or all begin at time 0 ("simultaneous").
    `rhythm_leads` replaces the leads of the layout's rhythm rows, from the top; empty keeps them.
    `chest_gain_mm_per_mv` is the chest leads' gain where it is another; a "stepped" pulse shows both, a "plain" one
    that of the row's first lead. `pulse` stands at one side of the rows, or before each lead ("columns");
    `pulse_gap_mm` is from pulse to trace, where 0 lets them touch.
    `anisotropy` multiplies the horizontal scale: scanners and resizing give x and y different px_per_mm.
    At 50 mm/s, or on narrow paper, the layout's times are shortened until it fits: see arrange.py.
    Raises LayoutError naming the value that is out of range.
    """

    layout: str = "3x4+1R"
    paper: PaperName = "a4"
    paper_rgb: Colour = (255, 255, 255)
    dpi: float = 200.0
    anisotropy: float = 1.0
    speed_mm_per_s: float = 25.0
    gain_mm_per_mv: float = 10.0
    chest_gain_mm_per_mv: float | None = None
    columns: Columns = "consecutive"
    rhythm_leads: tuple[str, ...] = ()
    pulse: PulsePlace = "left"
    pulse_shape: PulseShape = "stepped"
    pulse_gap_mm: float = 2.0
    shift_x_mm: float = 0.0
    shift_y_mm: float = 0.0
    grid: GridStyle = field(default_factory=GridStyle)
    ink: InkStyle = field(default_factory=InkStyle)
    text: PrintStyle = field(default_factory=PrintStyle)

    def __post_init__(self) -> None:
        _check_choice("paper", self.paper, get_args(PaperName))
        check_range("dpi", self.dpi, 50, 1200)
        check_range("anisotropy", self.anisotropy, 0.5, 2)
        check_range("speed_mm_per_s", self.speed_mm_per_s, 5, 100)
        check_range("gain_mm_per_mv", self.gain_mm_per_mv, 1, 40)
        if self.chest_gain_mm_per_mv is not None:
            check_range("chest_gain_mm_per_mv", self.chest_gain_mm_per_mv, 1, 40)
        _check_choice("columns", self.columns, get_args(Columns))
        _check_choice("pulse", self.pulse, get_args(PulsePlace))
        _check_choice("pulse_shape", self.pulse_shape, get_args(PulseShape))
        check_range("pulse_gap_mm", self.pulse_gap_mm, 0, 10)
        check_range("shift_x_mm", self.shift_x_mm, -20, 20)
        check_range("shift_y_mm", self.shift_y_mm, -20, 20)
        for channel in self.paper_rgb:
            check_range("paper_rgb", channel, 0, 255)
        for lead in self.rhythm_leads:
            _check_choice("each of rhythm_leads", lead, ALL_LEADS)
        rhythm_rows = len(load_layout(self.layout).rhythm_rows)
        if len(self.rhythm_leads) > rhythm_rows:
            raise LayoutError(
                f"rhythm_leads {self.rhythm_leads} are more than the {rhythm_rows} rhythm rows of layout {self.layout}."
            )

    @property
    def chest_gain(self) -> float:
        """Gain of all but the limb leads, in mm/mV."""
        return self.gain_mm_per_mv if self.chest_gain_mm_per_mv is None else self.chest_gain_mm_per_mv

    def gain_of(self, lead: str) -> float:
        """Gain of a lead, in mm/mV."""
        return self.gain_mm_per_mv if lead in LIMB_LEADS else self.chest_gain

    @property
    def px_per_mm(self) -> tuple[float, float]:
        """Scale in x and y."""
        px_per_mm_y = self.dpi / 25.4
        return px_per_mm_y * self.anisotropy, px_per_mm_y

    @property
    def paper_mm(self) -> tuple[float, float]:
        """Width and height of the paper."""
        return PAPER_MM[self.paper]


def _check_choice(name: str, value: object, allowed: tuple[str | bool, ...]) -> None:
    # 1 equals True, and is none.
    if not any(value is each or (isinstance(value, str) and value == each) for each in allowed):
        raise LayoutError(f"{name} must be one of {', '.join(map(str, allowed))}; found {value!r}.")


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise LayoutError, naming the parameter, for what is no number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LayoutError(f"{name} must be a number, found {value!r}.")
    if not (math.isfinite(value) and low <= value <= high):
        raise LayoutError(f"{name} must be from {low} to {high}, found {value}.")
