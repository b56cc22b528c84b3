"""A recording printed: picture and truth, and what scanners, cameras and people do to the page.

In the order in which a page comes about:

    layout.py, layouts/     which stretch of which lead stands where
    style.py                paper, scale, grid, ink, print
    heading.py, arrange.py  what is printed and where, in millimetres
    stroke.py, grid.py, lettering.py    ink, one kind a file
    render.py               recording + style -> Page
    page.py, truth.py       the page: image and truth; polylines to JSON
    reader.py, page_list.py     page files of every kind read, for reading and for training
    raster.py, resample.py  the label mask; pages at another resolution
    degrade/                one thing that happens to pages a file
    distribution.py, site_profile.py, profiles/    what one hospital's pages look like
"""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "degrade": (
        "Degradation",
        "DegradationSpec",
        "apply",
        "draw_degradation",
        "register_degradation",
    ),
    "files": (
        "load_page",
        "save_page",
    ),
    "layout": (
        "Layout",
        "Segment",
        "layout_names",
        "load_layout",
        "parse_layout",
    ),
    "page": ("Page",),
    "raster": (
        "Label",
        "NORMALIZED_PX_PER_MM",
        "rasterize",
    ),
    "reader": (
        "PageImage",
        "count_pages",
        "read_page",
    ),
    "render": ("render_page",),
    "resample": ("resample_page",),
    "site_profile": (
        "SiteProfile",
        "load_profile",
        "profile_names",
        "profile_page",
    ),
    "style": (
        "GridStyle",
        "InkStyle",
        "PageStyle",
        "PrintStyle",
    ),
    "truth": (
        "LeadTrace",
        "PageTruth",
    ),
}

if TYPE_CHECKING:
    from ecg_flare.page.degrade import Degradation, DegradationSpec, apply, draw_degradation, register_degradation
    from ecg_flare.page.files import load_page, save_page
    from ecg_flare.page.layout import Layout, Segment, layout_names, load_layout, parse_layout
    from ecg_flare.page.page import Page
    from ecg_flare.page.raster import NORMALIZED_PX_PER_MM, Label, rasterize
    from ecg_flare.page.reader import PageImage, count_pages, read_page
    from ecg_flare.page.render import render_page
    from ecg_flare.page.resample import resample_page
    from ecg_flare.page.site_profile import SiteProfile, load_profile, profile_names, profile_page
    from ecg_flare.page.style import GridStyle, InkStyle, PageStyle, PrintStyle
    from ecg_flare.page.truth import LeadTrace, PageTruth
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = [
    "NORMALIZED_PX_PER_MM",
    "Degradation",
    "DegradationSpec",
    "GridStyle",
    "InkStyle",
    "Label",
    "Layout",
    "LeadTrace",
    "Page",
    "PageImage",
    "PageStyle",
    "PageTruth",
    "PrintStyle",
    "Segment",
    "SiteProfile",
    "apply",
    "count_pages",
    "draw_degradation",
    "layout_names",
    "load_layout",
    "load_page",
    "load_profile",
    "parse_layout",
    "profile_names",
    "profile_page",
    "rasterize",
    "read_page",
    "register_degradation",
    "render_page",
    "resample_page",
    "save_page",
]
