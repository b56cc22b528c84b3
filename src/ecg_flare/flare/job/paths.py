"""Which paths of this machine a job may name: none, where its owner has not allowed them in `local/ecg_flare.json`.

The simulator has no startup kit; there a job is its user's own, and names what it likes.
"""

import os
import shlex
from pathlib import Path
from typing import Final, Literal

from nvflare.apis.workspace import Workspace

from ecg_flare.errors import ConfigError, PolicyError
from ecg_flare.flare.site.policy import POLICY_FILE, read_policy

_KIT_FILES: Final = ("rootCA.pem", "client.crt", "server.crt")


def has_kit(workspace: Workspace) -> bool:
    """Whether the party was provisioned: whoever submits jobs to it need not be who owns the machine."""
    startup = Path(workspace.get_startup_kit_dir())
    return any((startup / name).exists() for name in _KIT_FILES)


def check_path(path: str, workspace: Workspace, key: Literal["page_folders", "results_folders"]) -> None:
    """Raise PolicyError unless the path lies in one of the policy's folders of that key, once links are followed.

    The message names no folder of the machine but the job's own: it goes to the server.
    """
    if not has_kit(workspace):
        return
    real = _real(path)
    if not any(real.is_relative_to(_real(folder)) for folder in getattr(read_policy(workspace), key)):
        raise PolicyError(
            f"{key}: the job names {path!r}, which lies in no folder that local/{POLICY_FILE} allows there"
        )


def check_tracking_uri(uri: str, workspace: Workspace) -> None:
    """Raise PolicyError unless the policy lists the URI: an MLflow URI can be a file, a database or any address."""
    if has_kit(workspace) and uri not in read_policy(workspace).tracking_uris:
        raise PolicyError(f"tracking_uris: the job names {uri!r}, which local/{POLICY_FILE} does not allow there")


def _real(path: str) -> Path:
    return Path(os.path.realpath(Path(path).expanduser()))


def check_workspace(path: str | Path) -> None:
    """Refuse a workspace with a character that ends FLARE's processes: a space above all; raises ConfigError.

    FLARE 2.9 writes the command of each site's process as one text, unquoted, and splits it by the rules of a shell
    (`shlex.split(command, True)`, in its simulator and its process launcher). The site then never answers.
    """
    try:
        whole = shlex.split(str(path), comments=True) == [str(path)]
    except ValueError:  # a quote without its other one
        whole = False
    if not whole:
        raise ConfigError(
            f"the workspace is {str(path)!r}, expected a path without spaces, quotes, \\ and #: FLARE splits its "
            "processes' command lines there; move it, or give another one by -w"
        )
