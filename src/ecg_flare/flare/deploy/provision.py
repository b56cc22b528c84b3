"""What provisioning adds to FLARE's startup kits: the class allow-list, the roles' rights, and the sites' policies.

Builders for the list in a `project.yml`, after `CertBuilder` (fingerprints need certificates) and before
`SignatureBuilder` (which signs what stands in the kits where there is a homomorphic context):

    - path: ecg_flare.flare.deploy.provision.AllowListBuilder
    - path: ecg_flare.flare.deploy.provision.RightsBuilder
      args: {withhold_code_from: [lead]}
    - path: ecg_flare.flare.deploy.provision.SitePolicyBuilder
      args: {policy: {min_cohort: 3, min_threshold: 3}, scope: ecg}

A site's engineer may tighten what they wrote in `local/`; whoever provisions cannot loosen it afterwards.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from nvflare.lighter.constants import CertFileBasename, PropKey, ProvFileName
from nvflare.lighter.ctx import ProvisionContext
from nvflare.lighter.entity import Participant, Project
from nvflare.lighter.spec import Builder

from ecg_flare.errors import ConfigError
from ecg_flare.federated.site_names import check_site_names
from ecg_flare.flare.deploy.allowed import SERVER_CLASSES, SITE_CLASSES, is_class_path
from ecg_flare.flare.site.policy import POLICY_FILE, SitePolicy
from ecg_flare.privacy.secure_sum.signing import fingerprint

PRIVACY_FILE: Final = "privacy.json"
ALLOW_LIST: Final = "class_allow_list"
_ROLES: Final = ("org_admin", "lead", "member")


class AllowListBuilder(Builder):
    """Lets jobs that ship no code name the classes of `allowed`, each party its own, and none of FLARE's own list.

    A site's policy is held by ecg_flare's classes, so a job of others would not be held to it. It also lets each party
    load its owner's extensions (`ecg_flare.extensions`) before a job's first part is built.

    Args:
        at_sites: class paths that a consortium allows at the sites besides, of packages that are installed there.
            Whoever submits a job chooses the arguments.
        at_server: the same at the server.
    """

    def __init__(self, at_sites: Sequence[str] = (), at_server: Sequence[str] = ()) -> None:
        for name, paths in (("at_sites", at_sites), ("at_server", at_server)):
            if isinstance(paths, str) or not all(is_class_path(path) for path in paths):
                raise ConfigError(f"{name} is {paths!r}, expected a list of class paths such as {SITE_CLASSES[0]!r}")
        self._at_sites = (*SITE_CLASSES, *at_sites)
        self._at_server = (*SERVER_CLASSES, *at_server)

    def initialize(self, project: Project, ctx: ProvisionContext) -> None:
        _check_names(project)

    def build(self, project: Project, ctx: ProvisionContext) -> None:
        server = project.get_server()
        for party in (server, *project.get_clients()):
            path = _local(ctx, party) / ProvFileName.RESOURCES_JSON_DEFAULT
            resources = _read(path)
            if not isinstance(resources.get(ALLOW_LIST), list):
                raise ConfigError(f"{path} has no {ALLOW_LIST}: put this builder after StaticFileBuilder")
            resources[ALLOW_LIST] = list(self._at_server if party is server else self._at_sites)
            _write(path, _with_component(resources, "extensions", "ecg_flare.flare.job.extensions.LoadExtensions"))


class RightsBuilder(Builder):
    """Withholds the right to submit jobs with own code ('byoc') from roles that FLARE gives it to.

    Args:
        withhold_code_from: roles, of org_admin, lead and member. (FLARE gives project_admin every right.)
    """

    def __init__(self, withhold_code_from: Sequence[str] = ("lead",)) -> None:
        if isinstance(withhold_code_from, str) or not set(withhold_code_from) <= set(_ROLES):
            raise ConfigError(f"withhold_code_from is {withhold_code_from!r}, expected some of {_ROLES}")
        self._roles = tuple(withhold_code_from)

    def build(self, project: Project, ctx: ProvisionContext) -> None:
        for party in (project.get_server(), *project.get_clients()):
            path = _local(ctx, party) / ProvFileName.AUTHORIZATION_JSON_DEFAULT
            rights = _read(path)
            for role in self._roles:
                granted = rights["permissions"].get(role)
                if not isinstance(granted, dict):
                    raise ConfigError(f"{path} gives the role {role} {granted!r}: name its rights one by one")
                granted["byoc"] = "none"
            _write(path, rights)


class SitePolicyBuilder(Builder):
    """Writes each site's limits, with the fingerprints of all sites' certificates, and its one privacy scope.

    It also keeps the site's logs and files at home: see `_keep_logs` and `flare.site.guard`. The server gets the
    fingerprints too: its masked sums then form while sites are down.

    Args:
        policy: entries of `SitePolicy` for all sites, without `pinned`, which comes from the kits.
        scope: name of the only scope of jobs that the sites take; a job that names another is rejected.
        server: the server's `extensions`, and what jobs may name there: the entries `page_folders`, `results_folders`
            and `tracking_uris`.
    """

    def __init__(
        self, policy: Mapping[str, Any] | None = None, scope: str = "ecg", server: Mapping[str, Any] | None = None
    ) -> None:
        entries = _entries("policy", policy, {entry.name for entry in fields(SitePolicy)} - {"pinned"})
        self._server = _entries("server", server, {"extensions", "page_folders", "results_folders", "tracking_uris"})
        if not scope:
            raise ConfigError("scope is empty: name the one that jobs belong to")
        self._policy = entries
        self._scope = scope

    def initialize(self, project: Project, ctx: ProvisionContext) -> None:
        _check_names(project)

    def build(self, project: Project, ctx: ProvisionContext) -> None:
        sites = project.get_clients()
        pinned = {site.name: certificate_fingerprint(_certificate(ctx, site)) for site in sites}
        for site in sites:
            _write(_local(ctx, site) / POLICY_FILE, {**self._policy, "pinned": pinned})
            scope = {"name": self._scope, "properties": {}, "task_data_filters": [], "task_result_filters": []}
            _write(_local(ctx, site) / PRIVACY_FILE, {"scopes": [scope], "default_scope": self._scope})
            _keep_logs(site, _local(ctx, site) / ProvFileName.RESOURCES_JSON_DEFAULT)
            _keep_files(_local(ctx, site) / ProvFileName.RESOURCES_JSON_DEFAULT)
        _write(_local(ctx, project.get_server()) / POLICY_FILE, {**self._server, "pinned": pinned})


def _check_names(project: Project) -> None:
    """Before any kit is written: a certificate that bears a name which no job can use is of no use."""
    check_site_names([site.name for site in project.get_clients()])


def _keep_logs(site: Participant, path: Path) -> None:
    """Do as the project file says where it forbids a site's logs to be streamed.

    FLARE 2.9 takes that `false` for an absent value (`lighter/entity.py`, get_prop_fb) and allows streaming.
    """
    if site.get_prop(PropKey.ALLOW_LOG_STREAMING) is False:
        _write(path, {**_read(path), "allow_log_streaming": False})


def _keep_files(path: Path) -> None:
    _write(path, _with_component(_read(path), "no_shell_commands", "ecg_flare.flare.site.guard.NoShellCommands"))


def _with_component(resources: Mapping[str, Any], component_id: str, path: str) -> dict[str, Any]:
    # FLARE builds what stands here whatever the allow-list says: no job can name it
    component = {"id": component_id, "path": path, "args": {}}
    return {**resources, "components": [*resources["components"], component]}


def certificate_fingerprint(path: Path) -> str:
    """SHA-256 of a PEM certificate's DER bytes, in hex, as `openssl x509 -fingerprint -sha256` counts it.

    Raises ConfigError where the file holds no certificate.
    """
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} holds no certificate ({error}): put this builder after CertBuilder") from error
    return fingerprint(certificate.public_bytes(serialization.Encoding.DER)).hex()


def _certificate(ctx: ProvisionContext, site: Participant) -> Path:
    return Path(ctx.get_kit_dir(site)) / f"{CertFileBasename.CLIENT}.crt"


def _local(ctx: ProvisionContext, party: Participant) -> Path:
    return Path(ctx.get_local_dir(party))


def _entries(what: str, entries: Mapping[str, Any] | None, known: set[str]) -> dict[str, Any]:
    given = dict(entries or {})
    if unknown := sorted(set(given) - known):
        raise ConfigError(f"{what} has {unknown}, expected some of {sorted(known)}")
    SitePolicy(**given)
    return given


def _read(path: Path) -> dict[str, Any]:
    try:
        entries: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}): put this builder after StaticFileBuilder") from error
    return entries


def _write(path: Path, entries: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
