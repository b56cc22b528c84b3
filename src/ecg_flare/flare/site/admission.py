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
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.deploy.allowed import is_class_path, site_classes
from ecg_flare.flare.deploy.provision import ALLOW_LIST
from ecg_flare.flare.job.components import check_pages
from ecg_flare.flare.job.terms import check_job
from ecg_flare.flare.site.in_memory import build, check_listed, class_path
from ecg_flare.flare.site.policy import SitePolicy, read_policy
from ecg_flare.site.kit import JobFolder, Kit, entries, entry, read_object
from ecg_flare.site.own_pages import read_own_pages

_TERMS: Final = "ecg_flare.federated.terms.JobTerms"


def job_terms(job: JobFolder, site: str) -> JobTerms:
    """The terms that the job's sites and server hold; raises PolicyError where they differ, or leave this site out."""
    terms = _terms(job.client_config(site))
    if terms != _terms(job.server_config):
        raise PolicyError("the job's server and its sites hold different terms: export the job again")
    if site not in terms.roster:
        raise PolicyError(f"the job's roster is {', '.join(terms.roster)}: this site, {site!r}, is not in it")
    return terms


def check_admission(job: JobFolder, kit: Kit, site: str, terms: JobTerms) -> SitePolicy:
    """Raise PolicyError for the first rule that the job breaks; gives the policy that it was held to."""
    workspace = Workspace(str(kit.folder), site)
    policy = read_policy(workspace)
    policy.check(terms)
    _check_pins(policy, terms, signed=(kit.startup / "client.crt").exists())
    _check_scope(job, kit)
    if not own_code(job, site):
        _check_classes(job.client_config(site), workspace)
        _check_pages(job.client_config(site), kit, site, workspace)
    return policy


def own_code(job: JobFolder, site: str) -> tuple[str, ...]:
    """Files of code that the job brings, where its configuration at the site names a class outside `site_classes`."""
    foreign = set(_paths(job.client_config(site))) - set(site_classes())
    return job.carries_code(site) if foreign else ()


def streams_logs(kit: Kit) -> bool:
    """Whether the kit lets FLARE send the site's error log to the server."""
    resources = _resources(kit)
    components = Fields(resources, "resources.json", ConfigError).each("components", 1000, [])
    streamers = [part for part in components if isinstance(part, dict) and "log_streamer" in str(part.get("path"))]
    return bool(streamers) and bool(resources.get("allow_log_streaming", True))


def _check_pins(policy: SitePolicy, terms: JobTerms, *, signed: bool) -> None:
    if not terms.way.signs_messages or not signed:
        return
    absent = sorted(set(terms.roster) - set(policy.fingerprints))
    if absent:
        raise PolicyError(f"pinned: no certificate of {', '.join(absent)} is pinned, so this site sends nothing")


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


def _terms(config: Mapping[str, Any]) -> JobTerms:
    part = entry(config, "terms")
    if (path := class_path(part)) != _TERMS:
        raise PolicyError(f"the job's terms are {path!r}, expected {_TERMS}")
    try:
        return check_job(JobTerms(**part.get("args", {})))
    except (TypeError, AttributeError) as error:
        raise ConfigError(f"the job's terms cannot be read: {error}") from error


def _check_classes(config: Mapping[str, Any], workspace: Workspace) -> None:
    found = workspace.get_resources_file_path()
    if not found:
        raise ConfigError(
            f"{workspace.get_site_config_dir()} has neither resources.json nor resources.json.default, by which FLARE "
            "knows what a job may run: give the folder of the site's whole startup kit, unpacked"
        )
    file = Path(found)
    listed = read_object(file, "It is FLARE's configuration of the site.").get(ALLOW_LIST, [])
    if wide := [name for name in listed if not is_class_path(name)]:
        raise PolicyError(
            f"{file.name}: the kit's {ALLOW_LIST} has {wide}, which allows all that lies below: name classes one by "
            "one, as in a kit that is provisioned anew"
        )
    authorizer = ComponentPathAuthorizer()
    for path in sorted(set(_paths(config))):
        try:
            authorizer.authorize_component_config({"path": path, "args": {}}, workspace=workspace)
        except UnsafeComponentError as error:
            raise PolicyError(f"{file.name}: the class {path} is not in the kit's {ALLOW_LIST}") from error
        check_listed(path)


def _check_pages(config: Mapping[str, Any], kit: Kit, site: str, workspace: Workspace) -> None:
    if read_own_pages(kit.local) is None:
        check_pages(build(entry(config, "pages")), site, workspace)


def _paths(config: Mapping[str, Any]) -> Iterator[str]:
    """Every class that FLARE would build of a client config."""
    for part in entries(config, "components"):
        yield class_path(part)
    for one in entries(config, "executors"):
        yield class_path(one.get("executor"))
    for chain in ("task_result_filters", "task_data_filters"):
        for one in entries(config, chain):
            yield from map(class_path, entries(one, "filters"))


def _resources(kit: Kit) -> dict[str, Any]:
    for name in ("resources.json", "resources.json.default"):
        if (kit.local / name).exists():
            return read_object(kit.local / name, "It is FLARE's configuration of the site.")
    return {}
