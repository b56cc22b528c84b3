"""What of FLARE's administration a site never answers: commands that read its files.

FLARE's console has `cat`, `grep`, `head`, `tail`, `ls` and `pwd` for a site's machine. FLARE 2.9 looks at their paths
at the server alone, and the site asks for the sender's right only where the request itself says that it must
(`private/fed/client/admin.py`, `_dispatch_request`): whoever is the server reads every text that the site's account
reads, patients' tables too.
"""

from nvflare.apis.fl_component import FLComponent
from nvflare.private.fed.client import shell_cmd


class NoShellCommands(FLComponent):
    """Takes the shell commands away from a site in whose `resources.json` it stands, as `SitePolicyBuilder` puts it."""

    def __init__(self) -> None:
        super().__init__()
        shell_cmd.SHELL_CMD_VALIDATORS.clear()
