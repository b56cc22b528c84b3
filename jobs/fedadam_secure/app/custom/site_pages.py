"""Where this hospital's pages come from: the one file of a job that a hospital owns.

Each job carries this file in `app/custom`. As it stands it renders pages from synthetic recordings, so that a job runs
with no data at hand. A hospital replaces the class body, or the whole class, by what reads its own pages; whatever it
writes must be a frozen dataclass whose fields are JSON, with the two methods of `ecg_flare.nnunet.sources.PageSource`.
A folder of scans needs no code at all: `ecg-flare jobs export --data pages:DIR` names `PageFolder` in the job instead.
"""

from dataclasses import dataclass

from ecg_flare.nnunet.sources import SyntheticPages


@dataclass(frozen=True)
class SitePages(SyntheticPages):
    """This site's pages: rendered, in the habits of the profile that the job names for the site."""
