"""Archives of pages: read by several processes, taken up again where they ended, listed in one table.

identity.py   what a reading depends on beside its page
manifest.py   what was read, on disk
listing.py    the pages that are to be read, and those that stand already
worker.py     a process that reads pages
processes.py  several of them, and what happens where one is lost
cluster.py    those of a Dask cluster
table.py      pages.csv and pages.parquet
parts.py      report.html, in parts where it is long
summary.py    what became of the pages
run.py        all of it in order
"""
