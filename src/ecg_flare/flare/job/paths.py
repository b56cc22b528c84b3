"""Which paths of this machine a job may name: none, where its owner has not allowed them in `local/ecg_flare.json`.

The simulator has no startup kit; there a job is its user's own, and names what it likes.
"""

import os
from pathlib import Path
from typing import Final, Literal

from nvflare.apis.workspace import Workspace

from ecg_flare.errors import PolicyError
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
