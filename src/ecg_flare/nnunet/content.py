"""What prepared cases are, whichever code or machine prepared them: a digest of their images and labels."""

import hashlib
import json

from ecg_flare.nnunet.case_cache import MANIFEST
from ecg_flare.nnunet.learnt import PreparedCases


def content_digest(cases: PreparedCases) -> str:
    """SHA-256 (hex) of the images and labels themselves, as the dataset's manifest lists them.

    It outlives a change of the code that makes the same cases, and of the folder that they came from.
    """
    files = json.loads((cases.folder / MANIFEST).read_text("utf-8"))["files"]
    raw = {name: digest for name, digest in files.items() if name.startswith("raw/")}
    return hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()
