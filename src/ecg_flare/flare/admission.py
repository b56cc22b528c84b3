"""What a site's kit would refuse of a job before it begins: its own policy, and FLARE's rules of the kit.

Each check raises PolicyError with the rule and how the job breaks it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from nvflare.apis.fl_exception import UnsafeComponentError
from nvflare.apis.workspace import Workspace
from nvflare.app_common.widgets.component_path_authorizer import ComponentPathAuthorizer

from ecg_flare.documents import Fields
from ecg_flare.errors import ConfigError, PolicyError
from ecg_flare.flare.memory_site import build
from ecg_flare.flare.site_policy import SitePolicy, read_policy
from ecg_flare.flare.terms import RoundTerms
from ecg_flare.site.kit import JobFolder, Kit, entry, read_object

_OWN: Final = "ecg_flare."


def job_terms(job: JobFolder, site: str) -> RoundTerms:
    """The terms that the job's sites and server hold; raises PolicyError where they differ, or leave this site out."""
    terms = build(entry(job.client_config(site), "terms"))
    if not isinstance(terms, RoundTerms):
        raise ConfigError(f"the job's terms are a {type(terms).__name__}, expected {RoundTerms.__name__}")
    if terms != build(entry(job.server_config, "terms")):
        raise PolicyError("the job's server and its sites hold different terms: export the job again")
    if site not in terms.roster:
        raise PolicyError(f"the job's roster is {', '.join(terms.roster)}: this site, {site!r}, is not in it")
    return terms


def check_admission(job: JobFolder, kit: Kit, site: str, terms: RoundTerms) -> SitePolicy:
    """Raise PolicyError for the first rule that the job breaks; gives the policy that it was held to."""
    workspace = Workspace(str(kit.folder), site)
    policy = read_policy(workspace)
    policy.check(terms)
    _check_pins(policy, terms, signed=(kit.startup / "client.crt").exists())
    _check_scope(job, kit)
    if not job.carries_code(site):
        _check_classes(job.client_config(site), workspace)
    return policy


def own_code(job: JobFolder, site: str) -> tuple[str, ...]:
    """Files of code that the job brings, where its configuration at the site uses any."""
    foreign = [path for path in _paths(job.client_config(site)) if not path.startswith((_OWN, "nvflare."))]
    return job.carries_code(site) if foreign else ()


def streams_logs(kit: Kit) -> bool:
    """Whether the kit lets FLARE send the site's error log to the server."""
    resources = _resources(kit)
    components = Fields(resources, "resources.json", ConfigError).each("components", 1000, [])
    streamers = [part for part in components if isinstance(part, dict) and "log_streamer" in str(part.get("path"))]
    return bool(streamers) and bool(resources.get("allow_log_streaming", True))


def _check_pins(policy: SitePolicy, terms: RoundTerms, *, signed: bool) -> None:
    if terms.summation != "masked" or not signed:
        return
    absent = sorted(set(terms.roster) - set(policy.fingerprints))
    if absent:
        raise PolicyError(f"pinned: no certificate of {', '.join(absent)} is pinned, so this site masks nothing")


def _check_scope(job: JobFolder, kit: Kit) -> None:
    path = kit.local / "privacy.json"
    if not path.exists():
        return
    rules = read_object(path, "It is FLARE's privacy policy of the site.")
    listed = Fields(rules, "privacy.json", ConfigError).each("scopes", 1000, [])
    scopes = [scope.get("name") for scope in listed if isinstance(scope, dict)]
    asked = job.meta.get("scope") or rules.get("default_scope")
    if scopes and asked not in scopes:
        raise PolicyError(f"privacy.json has the scopes {scopes}: the job's is {asked!r}")


def _check_classes(config: Mapping[str, Any], workspace: Workspace) -> None:
    authorizer = ComponentPathAuthorizer()
    for path in sorted(set(_paths(config))):
        try:
            authorizer.authorize_component_config({"path": path, "args": {}}, workspace=workspace)
        except UnsafeComponentError as error:
            name = Path(workspace.get_resources_file_path()).name
            raise PolicyError(f"{name}: the class {path} is not in the kit's class_allow_list") from error


def _paths(config: Mapping[str, Any]) -> Iterator[str]:
    for part in config.get("components", []):
        yield part["path"]
    for one in config["executors"]:
        yield one["executor"]["path"]
    for one in config["task_result_filters"]:
        yield from (each["path"] for each in one["filters"])


def _resources(kit: Kit) -> dict[str, Any]:
    for name in ("resources.json", "resources.json.default"):
        if (kit.local / name).exists():
            return read_object(kit.local / name, "It is FLARE's configuration of the site.")
    return {}
