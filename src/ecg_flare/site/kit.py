"""A startup kit and a job folder as far as `ecg-flare site` reads them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ecg_flare.documents import Fields, parse_object, short
from ecg_flare.errors import ConfigError

_APP: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_MAX_PARTS: Final = 1000


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
        where = f"{path} does not say the site's name, say it by --site"
        name: str = Fields(entries.get("client"), f"{where}: client", ConfigError).text("fqsn")
        return name.rpartition(".")[2]


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
        where = f"{self.folder / 'meta.json'}, deploy_map"
        for name, parties in Fields(self.meta, where, ConfigError).mapping("deploy_map").items():
            if not _APP.fullmatch(name):
                raise ConfigError(f"{where}: an app is a folder of the job. Found {short(name)}.")
            if party in (listed := _listed(parties, where)) or "@ALL" in listed:
                return self.folder / name
        raise ConfigError(f"the job {self.folder} deploys nothing to {party!r}: it is for other sites")

    def client_config(self, site: str) -> dict[str, Any]:
        """What the job runs at a site."""
        return _read_config(self.app(site) / "config" / "config_fed_client.json")

    @property
    def server_config(self) -> dict[str, Any]:
        """What the job runs at the server."""
        return _read_config(self.app("server") / "config" / "config_fed_server.json")

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
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error}. {advice}") from error
    return parse_object(data, f"{path} cannot be read. {advice}", ConfigError)


def _listed(parties: object, where: str) -> list[str]:
    """The names of an app's sites; FLARE also writes them as {"sites": [...]}."""
    if not isinstance(parties, list):
        raise ConfigError(f"{where}: expected a list of sites, found {short(parties)}.")
    listed = [each for one in parties for each in (one.get("sites", []) if isinstance(one, dict) else [one])]
    return [each for each in listed if isinstance(each, str)]


def _read_config(path: Path) -> dict[str, Any]:
    """A job's config, each of whose parts names its class; raises ConfigError for another form."""
    config = read_object(path, "Export the job again.")
    fields = Fields(config, str(path), ConfigError)
    for one in _parts(fields, "components", path):
        _check_part(one, f"{path}, components")
        Fields(one, f"{path}, components", ConfigError).text("id")
    for one in _parts(fields, "executors", path):
        _check_part(one.get("executor"), f"{path}, executors")
    for name in ("task_data_filters", "task_result_filters"):
        for one in _parts(fields, name, path):
            for each in _parts(Fields(one, f"{path}, {name}", ConfigError), "filters", path):
                _check_part(each, f"{path}, {name}")
    return {"components": [], "executors": [], "task_data_filters": [], "task_result_filters": [], **config}


def _parts(fields: Fields, name: str, path: Path) -> list[dict[str, Any]]:
    parts = fields.each(name, _MAX_PARTS, [])
    for part in parts:
        if not isinstance(part, dict):
            raise ConfigError(f"{path}, {name}: expected an object, found {short(part)}.")
    return parts


def _check_part(part: object, where: str) -> None:
    fields = Fields(part, where, ConfigError)
    fields.text("path")
    fields.mapping("args")
