"""A recording printed: picture and truth, and what scanners, cameras and people do to the page.

In the order in which a page comes about:

    layout.py, layouts/     which stretch of which lead stands where
    style.py                paper, scale, grid, ink, print
    heading.py, arrange.py  what is printed and where, in millimetres
    stroke.py, grid.py, lettering.py    ink, one kind a file
    render.py               recording + style -> Page
    page.py, truth.py       the page: image and truth; polylines to JSON
    raster.py, resample.py  the label mask; pages at another resolution
    degrade/                one thing that happens to pages a file
    distribution.py, site_profile.py, profiles/    what one hospital's pages look like
"""
