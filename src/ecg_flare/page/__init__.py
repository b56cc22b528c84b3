"""A recording printed: picture and truth, and what scanners, cameras and people do to the page.

In the order in which a page comes about:

    layout.py, layouts/     which stretch of which lead stands where
    style.py                paper, scale, grid, ink, print
    heading.py, arrange.py  what is printed and where, in millimetres
    stroke.py, grid.py, lettering.py    ink, one kind a file
    render.py               recording + style -> Page (image and truth)
    truth.py, raster.py     polylines to JSON and to the label mask; resampling
    degrade/                one thing that happens to pages a file
    distribution.py, site_profile.py, profiles/    what one hospital's pages look like
"""
