"""A small folder laid out as PTB-XL is: synthetic recordings, and tables with the columns that are read."""

import csv
from pathlib import Path

import numpy as np

from ecg_flare.ecg.record import write_wfdb
from ecg_flare.ecg.synthetic import synthesize

STATEMENTS = {"NORM": "NORM", "IMI": "MI", "NDT": "STTC", "CRBBB": "CD", "LVH": "HYP", "SR": ""}


def make_ptbxl(root: Path, sites: tuple[str, ...] = ("0", "1", "2"), per_site: int = 4) -> Path:
    """So many recordings of each site, a patient each, of whom the first shows no superclass."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "scp_statements.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["", "diagnostic_class"], *STATEMENTS.items()])
    rows = []
    codes = [code for code in STATEMENTS if code != "SR"]
    for place, site in enumerate(sites):
        for index in range(per_site):
            number = 1 + place * per_site + index
            shown = {"SR": 0.0} if index == 0 else {codes[number % 5]: 100.0, codes[(number + index) % 5]: 0.0}
            name = f"{number:05d}_hr"
            write_wfdb(synthesize(np.random.default_rng(number)), root / "records500", name)
            rows.append([number, f"{900 + number}.0", f"{site}.0", "cart", 1 + index, shown, f"records500/{name}"])
    with (root / "ptbxl_database.csv").open("w", newline="") as file:
        columns = ["ecg_id", "patient_id", "site", "device", "strat_fold", "scp_codes", "filename_hr"]
        csv.writer(file).writerows([columns, *rows])
    return root
