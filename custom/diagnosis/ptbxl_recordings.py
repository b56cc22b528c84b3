"""Recordings of PTB-XL as a site's cases: twelve leads, 10 s at 100 Hz, with their diagnostic superclasses.

The superclasses follow from the table's `scp_codes` by `scp_statements.csv` (Wagner et al. 2020, table 5). A hospital
writes such a class for its own archive: a frozen dataclass with two methods.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from ecg_flare.ecg.ptbxl import PtbxlEntry, load_record, read_database
from ecg_flare.ecg.record import Recording
from ecg_flare.errors import RecordError, SiteDataError
from ecg_flare.nnunet import register_source
from ecg_flare.task.modules import Example

SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
FS_HZ = 100
SAMPLES = 1000


@register_source
@dataclass(frozen=True)
class PtbxlRecordings:
    """Recordings in a folder of PTB-XL, dealt to sites by its own columns.

    Attributes:
        root: folder with ptbxl_database.csv, scp_statements.csv and records500.
        sites: site -> values of the column `site` whose recordings it has; a site that is not named has none.
        folds: of the column `strat_fold`, whole patients each; no folds take all.
        limit: at most so many recordings of a site.
    """

    root: str
    sites: Mapping[str, Sequence[str]]
    folds: Sequence[int] = ()
    limit: int = 1_000_000

    def describe(self, site: str) -> Any:
        """What the prepared cases depend on."""
        return {"ptbxl": [[entry.ecg_id, entry.path] for entry in self.entries(site)]}

    def cases(self, site: str) -> Iterator[Example]:
        """The site's recordings; raises SiteDataError for one that cannot be read."""
        classes = diagnostic_classes(Path(self.root))
        for entry in self.entries(site):
            try:
                recording = load_record(Path(self.root), entry)
            except RecordError as error:
                raise SiteDataError(str(error), "leave the record out, or fetch it again") from error
            yield Example(f"{entry.ecg_id:05d}", entry.patient_id, to_inputs(recording), target_of(entry, classes))

    def entries(self, site: str) -> list[PtbxlEntry]:
        """The rows of the table that are this site's and show one superclass or more."""
        if site not in self.sites:
            raise SiteDataError(f"no recordings are given to site {site!r}: found them for {', '.join(self.sites)}")
        classes = diagnostic_classes(Path(self.root))
        own = [entry for entry in read_database(Path(self.root)) if entry.site in self.sites[site]]
        chosen = [entry for entry in own if not self.folds or entry.strat_fold in self.folds]
        return [entry for entry in chosen if target_of(entry, classes).any()][: self.limit]


def diagnostic_classes(root: Path) -> dict[str, str]:
    """SCP statement -> its diagnostic superclass, of the statements that have one."""
    try:
        with (root / "scp_statements.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise SiteDataError(f"{root} has no scp_statements.csv: {error.strerror}", "fetch it from PTB-XL") from error
    return {row[""]: row["diagnostic_class"] for row in rows if row.get("diagnostic_class")}


def target_of(entry: PtbxlEntry, classes: Mapping[str, str]) -> np.ndarray:
    """1 for each superclass that a statement of the recording belongs to; float32 (5,)."""
    shown = {classes[code] for code, _ in entry.scp_codes if code in classes}
    return np.array([name in shown for name in SUPERCLASSES], np.float32)


def to_inputs(recording: Recording) -> np.ndarray:
    """Twelve leads in mV at 100 Hz around their medians, float32 (12, 1000): 0 where nothing is recorded or printed."""
    leads = recording.signal_mv[:12]
    known = np.isfinite(leads)
    medians = [np.median(lead[seen]) if seen.any() else 0.0 for lead, seen in zip(leads, known, strict=True)]
    signal = np.where(known, leads - np.array(medians)[:, None], 0.0)
    lower = resample_poly(signal, FS_HZ, round(recording.fs_hz), axis=1)
    inputs = np.zeros((12, SAMPLES), np.float32)
    inputs[:, : lower.shape[1]] = lower[:, :SAMPLES]
    return inputs
