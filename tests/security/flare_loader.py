"""FLARE's own way from a job's config to its components at a provisioned party, as its job processes go it.

`private/fed/client/client_app_runner.py` and `private/fed/server/server_app_runner.py`, for a job without own code.
"""

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.workspace import Workspace
from nvflare.fuel.utils.config_service import ConfigService
from nvflare.lighter.constants import CtxKey
from nvflare.lighter.provision import prepare_builders, prepare_project
from nvflare.lighter.provisioner import Provisioner
from nvflare.private.fed.client.client_json_config import ClientJsonConfigurator
from nvflare.private.fed.server.server_json_config import ServerJsonConfigurator
from nvflare.private.fed.utils.fed_utils import authorize_build_component

POC = Path(__file__).parents[2] / "poc"
PARTIES = {"client": "site-1", "server": "localhost"}


def provisioned(folder: Path) -> Path:
    """Fresh kits of poc/project.yml; gives their folder."""
    project = yaml.safe_load((POC / "project.yml").read_text())
    context = Provisioner(str(folder), prepare_builders(project)).provision(prepare_project(project))
    return Path(context[CtxKey.CURRENT_PROD_DIR])


def kits_that_allow_the_package(folder: Path) -> Path:
    """Kits as they were before the lists were exact."""
    for party in PARTIES.values():
        for name in ("startup", "local"):
            (folder / party / name).mkdir(parents=True)
        (folder / party / "local" / "resources.json").write_text(json.dumps({"class_allow_list": ["ecg_flare."]}))
    return folder


class Party:
    """A provisioned server or site as a job process finds it.

    Args:
        kits: folder of the kits.
        side: 'client' or 'server'.
        folder: where the job's files go.
        handlers: components of the party's own resources.json, which FLARE asks before it builds a part.
    """

    def __init__(self, kits: Path, side: str, folder: Path, handlers: Sequence[FLComponent] = ()) -> None:
        self.side = side
        self.root = kits / PARTIES[side]
        self._app = folder
        self._handlers = list(handlers)
        self._workspace = Workspace(str(self.root), PARTIES[side])

    def refusal(self, entry: dict[str, Any]) -> str:
        """What FLARE's authorizer says of a component of a job; '' where it lets it through."""
        return str(authorize_build_component(entry, None, None, fl_ctx=self._context(), event_handlers=[]))

    def load(self, config: dict[str, Any]) -> Any:
        """The whole loader on a job's config; gives what it made of it."""
        ConfigService.initialize(section_files={}, config_path=[str(self.root / "local")], parsed_args=None)
        self._app.mkdir(parents=True, exist_ok=True)
        file = self._app / f"config_fed_{self.side}.json"
        file.write_text(json.dumps(config))
        args = Namespace(
            sp_scheme="grpc",
            sp_target="x:1",
            client_name=PARTIES[self.side],
            job_id="job",
            workspace=str(self.root),
            set=[],
        )
        made = ClientJsonConfigurator if self.side == "client" else ServerJsonConfigurator
        loader = made(
            workspace_obj=self._workspace, config_file_name=str(file), args=args, app_root=str(self._app), kv_list=[]
        )
        loader.set_component_build_authorizer(
            authorize_build_component, fl_ctx=self._context(), event_handlers=self._handlers
        )
        try:
            loader.configure()
        finally:
            ConfigService.reset()
        return loader

    def _context(self) -> FLContext:
        fl_ctx = FLContext()
        props = {
            FLContextKey.WORKSPACE_OBJECT: self._workspace,
            FLContextKey.CURRENT_JOB_ID: "job",
            FLContextKey.JOB_META: {"name": "x"},
            FLContextKey.APP_ROOT: str(self._app),
        }
        for key, value in props.items():
            fl_ctx.set_prop(key, value, private=True, sticky=False)
        return fl_ctx
