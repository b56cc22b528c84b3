"""Where a party's CKKS context comes from: its startup kit, or the simulator's test mode.

`HEBuilder` puts `client_context.tenseal`, with the secret key that all sites share, into the sites' kits and
`server_context.tenseal`, without it, into the server's; FLARE signs both. The simulator has no kits: the first of its
sites to need one makes a context beside the sites' workspaces, readable by the user alone, and the server takes a
context without keys of its own.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nvflare.apis.workspace import Workspace
from nvflare.fuel.sec.security_content_service import LoadResult, SecurityContentService
from nvflare.lighter.constants import ProvFileName

from ecg_flare.errors import ConfigError, StorageError
from ecg_flare.flare.deploy.identity import kit_verifier
from ecg_flare.privacy.homomorphic import keyless_context, new_context

TEST_CONTEXT_FILE: Final = "ecg_flare_test_context.tenseal"


def site_context(workspace: Workspace, warn: Callable[[str], None]) -> bytes:
    """The cohort's secret context; `warn` takes the test mode's notice."""
    if not kit_verifier(workspace).test_mode:
        return _from_kit(ProvFileName.CLIENT_CONTEXT_TENSEAL)
    warn("homomorphic sum in TEST MODE: there is no startup kit, so the sites share a key made for this simulation")
    return _shared_test_context(Path(workspace.get_root_dir()).parent / TEST_CONTEXT_FILE)


def server_context(workspace: Workspace, warn: Callable[[str], None]) -> bytes:
    """The context without a secret key; `warn` takes the test mode's notice."""
    if not kit_verifier(workspace).test_mode:
        return _from_kit(ProvFileName.SERVER_CONTEXT_TENSEAL)
    warn("homomorphic sum in TEST MODE: there is no startup kit, so the sites share a key made for this simulation")
    return keyless_context()


def _from_kit(name: str) -> bytes:
    data, result = SecurityContentService.load_content(name)
    if result != LoadResult.OK or not isinstance(data, bytes):
        raise ConfigError(
            f"the startup kit's {name} could not be loaded ({result.value}): provision the project with "
            "nvflare.lighter.impl.he.HEBuilder"
        )
    return data


def _shared_test_context(path: Path) -> bytes:
    """The file's context, made where there is none; of several sites that make one, the first to finish wins."""
    if not path.exists():
        try:
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:  # mode 0600
                file.write(new_context())
                file.flush()
                os.link(file.name, path)
        except FileExistsError:
            pass  # another site was first
        except OSError as error:
            raise StorageError(f"cannot write the simulation's test context {path}: {error.strerror}") from error
    return path.read_bytes()
