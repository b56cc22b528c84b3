"""A startup kit and a job folder as far as `ecg-flare site` reads them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecg_flare.errors import ConfigError


@dataclass(frozen=True)
class Kit:
    """A site's unpacked startup kit, which is its workspace: `startup/`, `local/`, and what jobs leave."""

    folder: Path

    @property
    def local(self) -> Path:
        """The folder that the site's engineer owns."""
        return self.folder / "local"

    @property
    def startup(self) -> Path:
        """The folder that provisioning made and signed."""
        return self.folder / "startup"

    @property
    def site(self) -> str:
        """The site's name as FLARE knows it; raises ConfigError where this is no client's kit."""
        path = self.startup / "fed_client.json"
        entries = read_object(path, "Give the folder of the site's unpacked startup kit.")
        try:
            name = entries["client"]["fqsn"].rpartition(".")[2]
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{path} does not say the site's name (client, fqsn). Say it by --site.") from error
        return str(name)


@dataclass(frozen=True)
class JobFolder:
    """A FLARE job folder as it was exported: one app for the server and all sites."""

    folder: Path

    @property
    def meta(self) -> dict[str, Any]:
        """meta.json."""
        return read_object(self.folder / "meta.json", "Give a job's folder, as `ecg-flare jobs export` wrote it.")

    def app(self, party: str) -> Path:
        """The app that is deployed to `party`; raises ConfigError where there is none."""
        for name, parties in self.meta.get("deploy_map", {}).items():
            listed = [each.get("sites", each) if isinstance(each, dict) else each for each in parties]
            if party in listed or "@ALL" in listed:
                if Path(name).name != name:
                    raise ConfigError(f"the job {self.folder} deploys {name!r}, expected the name of a folder in it")
                return self.folder / str(name)
        raise ConfigError(f"the job {self.folder} deploys nothing to {party!r}: it is for other sites")

    def client_config(self, site: str) -> dict[str, Any]:
        """What the job runs at a site."""
        return read_object(self.app(site) / "config" / "config_fed_client.json", "Export the job again.")

    @property
    def server_config(self) -> dict[str, Any]:
        """What the job runs at the server."""
        return read_object(self.app("server") / "config" / "config_fed_server.json", "Export the job again.")

    def carries_code(self, site: str) -> tuple[str, ...]:
        """Names of the files of code that the job would bring to the site."""
        custom = self.app(site) / "custom"
        return tuple(sorted(path.name for path in custom.rglob("*.py"))) if custom.is_dir() else ()


def entries(config: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects that a part of a job's config lists; raises ConfigError where it lists something else."""
    listed = config.get(key, [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ConfigError(f"the job's {key} are {listed!r}, expected a list of objects")
    return listed


def entry(config: Mapping[str, Any], component_id: str) -> dict[str, Any]:
    """The component of that id in a job's config; raises ConfigError where there is none."""
    for one in entries(config, "components"):
        if one.get("id") == component_id:
            return dict(one)
    raise ConfigError(f"the job has no component {component_id!r}: it was not exported by this version of ecg_flare")


def read_object(path: Path, advice: str) -> dict[str, Any]:
    """The JSON object in a file; raises ConfigError with the advice where there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. {advice}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path} must hold an object. Found {type(value).__name__}. {advice}")
    return value
