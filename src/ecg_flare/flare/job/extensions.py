"""When a party of a job loads its owner's extensions: before FLARE builds the first part of any job.

`LoadExtensions` stands in the `resources.json` of a kit, where no job can put it or take it away, and reads
`local/ecg_flare.json` of the party's own workspace. A job's config, its arguments and its files list nothing.
"""

from pathlib import Path

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.fl_exception import UnsafeComponentError
from nvflare.apis.workspace import Workspace

from ecg_flare.errors import EcgFlareError
from ecg_flare.extensions import checked_names, load_environment, load_extensions
from ecg_flare.flare.site.policy import POLICY_FILE, read_entries


def load_owners_extensions(workspace: Workspace) -> None:
    """Load what the party's owner lists in its environment and in its `local/ecg_flare.json`.

    Raises ConfigError where one of them cannot be loaded.
    """
    load_environment()
    entries = read_entries(Path(workspace.get_site_config_dir()) / POLICY_FILE)
    where = f"local/{POLICY_FILE}: extensions"
    load_extensions(checked_names(entries.get("extensions", ()), where), where)


def load_kits_extensions(kit: Path, site: str) -> None:
    """The same for a site's unpacked startup kit, outside of FLARE."""
    load_owners_extensions(Workspace(str(kit), site))


class LoadExtensions(FLComponent):
    """Loads the owner's extensions; a job of a party where one cannot be loaded is refused."""

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Load them before each part of a job is built, which costs nothing but the first time."""
        if event_type != EventType.BEFORE_BUILD_COMPONENT:
            return
        try:
            load_owners_extensions(fl_ctx.get_prop(FLContextKey.WORKSPACE_OBJECT))
        except EcgFlareError as error:
            raise UnsafeComponentError(str(error)) from error
