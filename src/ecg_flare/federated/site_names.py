"""Names of the parties of a federation: what FLARE takes, refused where a name is first given and not where it fails.

FLARE 2.9 holds a client's name to `[A-Za-z0-9-_]+` when it provisions (`apis/utils/format_check.py`). OpenSSL holds the
common name of a certificate, which is the client's name, to 64 characters. A job is deployed to the party `server`, so
no site may be called that (`apis/job_def.py`), and a job's own name is a folder's (`fuel/utils/validation_utils.py`).
FLARE's simulator runs none of these checks: there a name with a slash is a path, and one with a space ends the run in
the middle.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from ecg_flare.errors import ConfigError

SERVER: Final = "server"
"""The name of the server in a job, whatever its host is called."""

MAX_LENGTH: Final = 64
"""Characters of a certificate's common name (RFC 5280, ub-common-name)."""

_SITE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")  # a first "-" would be an option to FLARE's own processes
_JOB: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SPELT: Final = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ø": "oe", "Ø": "Oe", "æ": "ae"}
)


def check_site_name(name: str) -> str:
    """The name, once it is sure that FLARE takes it for a site; raises ConfigError, which gives a form that is valid.

    >>> check_site_name("Uni-Koeln")
    'Uni-Koeln'
    """
    if not isinstance(name, str) or not _SITE.fullmatch(name):
        raise ConfigError(
            f"the site's name is {name!r}, expected letters from A to Z, digits, - and _ alone, and no - at its start, "
            f"as FLARE does; such as {_valid_form(name)!r}"
        )
    if len(name) > MAX_LENGTH:
        raise ConfigError(
            f"the site's name {name!r} has {len(name)} characters, expected at most {MAX_LENGTH}: it stands in the "
            "site's certificate"
        )
    if name.lower() == SERVER:
        raise ConfigError(
            f"the site's name is {name!r}, which is the server's in every FLARE job: give the site another one, such "
            "as 'site-1'"
        )
    return name


def check_site_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names of the sites of one federation, once it is sure that FLARE takes them together.

    Raises ConfigError for none, for a name that `check_site_name` refuses or that is there twice, and for two that
    differ by case alone: where a file system ignores case, both would have one folder, and with it one key.
    """
    if not names:
        raise ConfigError("no site is named, expected the names of the sites, separated by commas")
    for name in names:
        check_site_name(name)
    if twice := sorted(name for name in set(names) if list(names).count(name) > 1):
        raise ConfigError(f"the site {twice[0]!r} is named twice, expected distinct names")
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise ConfigError(
                f"the sites {other!r} and {name!r} differ by case alone: where a file system ignores case, as on macOS "
                "and Windows, both would have one folder; rename one of them"
            )
    return tuple(names)


def check_job_name(name: str) -> str:
    """The name, once it is sure that FLARE takes it for a job and its folder; raises ConfigError."""
    if not isinstance(name, str) or not _JOB.fullmatch(name):
        raise ConfigError(
            f"the job's name is {name!r}, expected letters from A to Z, digits, '.', - and _ alone, and a letter or "
            f"digit at its start; such as {_valid_form(name)!r}"
        )
    return name


def _valid_form(name: object) -> str:
    """The name as it could be spelt, or an example where nothing is left of it."""
    plain = unicodedata.normalize("NFKD", str(name).translate(_SPELT)).encode("ascii", "ignore").decode()
    kept = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-")[:MAX_LENGTH]
    return kept if kept and kept.lower() != SERVER else "site-1"
