"""What our builders put into FLARE's startup kits, provisioned from the project files of `poc/`."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from nvflare.apis.workspace import Workspace
from nvflare.lighter.constants import CtxKey
from nvflare.lighter.provision import prepare_builders, prepare_project
from nvflare.lighter.provisioner import Provisioner

from ecg_flare.errors import ConfigError
from ecg_flare.flare.deploy.allowed import SERVER_CLASSES, SITE_CLASSES
from ecg_flare.flare.deploy.identity import site_signer
from ecg_flare.flare.deploy.provision import AllowListBuilder, RightsBuilder, SitePolicyBuilder, certificate_fingerprint
from ecg_flare.flare.site.policy import read_policy

POC = Path(__file__).parents[2] / "poc"
SITES = ("site-1", "site-2", "site-3")


def provision(folder: Path, project: dict[str, Any]) -> Path:
    """The folder of the kits."""
    context = Provisioner(str(folder), prepare_builders(project)).provision(prepare_project(project))
    assert not context.get(CtxKey.BUILD_ERROR)
    return Path(context[CtxKey.CURRENT_PROD_DIR])


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return provision(tmp_path_factory.mktemp("kits"), yaml.safe_load((POC / "project.yml").read_text()))


def local(kits: Path, party: str, name: str) -> Any:
    return json.loads((kits / party / "local" / name).read_text())


def test_each_party_allows_the_classes_of_its_own_list_alone(kits: Path) -> None:
    for party, classes in [("localhost", SERVER_CLASSES), *((site, SITE_CLASSES) for site in SITES)]:
        assert local(kits, party, "resources.json.default")["class_allow_list"] == list(classes)


def test_a_consortium_names_further_classes_one_by_one_and_the_servers_folders(tmp_path: Path) -> None:
    project = yaml.safe_load((POC / "project.yml").read_text())
    for builder in project["builders"]:
        if builder["path"].endswith("AllowListBuilder"):
            builder["args"] = {"at_sites": ["hospital.pages.Scans"], "at_server": ["hospital.pages.Public"]}
        if builder["path"].endswith("SitePolicyBuilder"):
            builder["args"]["server"] = {"results_folders": ["/srv/ecg"]}
    kits = provision(tmp_path, project)
    listed = {
        party: local(kits, party, "resources.json.default")["class_allow_list"] for party in ("localhost", "site-1")
    }
    assert listed["site-1"] == [*SITE_CLASSES, "hospital.pages.Scans"]
    assert listed["localhost"] == [*SERVER_CLASSES, "hospital.pages.Public"]
    assert read_policy(Workspace(str(kits / "localhost"), "server")).results_folders == ["/srv/ecg"]


@pytest.mark.parametrize("party", ["localhost", *SITES])
def test_a_lead_submits_jobs_but_no_code(kits: Path, party: str) -> None:
    rights = local(kits, party, "authorization.json.default")["permissions"]
    assert (rights["lead"]["submit_job"], rights["lead"]["byoc"]) == ("any", "none")
    assert rights["project_admin"] == "any"


@pytest.mark.parametrize("site", SITES)
def test_each_site_pins_the_certificates_that_all_sign_with(kits: Path, site: str) -> None:
    policy = read_policy(Workspace(str(kits / site), site))
    assert policy.min_cohort == policy.min_threshold == 3
    assert policy.pinned.keys() == set(SITES)
    for peer in SITES:
        certificate = x509.load_pem_x509_certificate((kits / peer / "startup" / "client.crt").read_bytes())
        assert policy.pinned[peer] == certificate.fingerprint(hashes.SHA256()).hex()
    assert not site_signer(Workspace(str(kits / site), site), "job", site).test_mode


@pytest.mark.parametrize("site", SITES)
def test_sites_take_jobs_of_one_scope_and_keep_their_logs_and_files(kits: Path, site: str) -> None:
    privacy = local(kits, site, "privacy.json")
    assert [scope["name"] for scope in privacy["scopes"]] == [privacy["default_scope"]] == ["ecg"]
    resources = local(kits, site, "resources.json.default")
    assert resources["allow_log_streaming"] is False
    assert "ecg_flare.flare.site.guard.NoShellCommands" in [part["path"] for part in resources["components"]]


def test_the_server_of_the_project_listens_on_loopback_alone(kits: Path) -> None:
    server = json.loads((kits / "localhost" / "startup" / "fed_server.json").read_text())["servers"][0]
    assert server["service"]["target"] == "localhost:8002"


def test_the_homomorphic_project_is_the_same_with_a_signed_context(tmp_path: Path) -> None:
    pytest.importorskip("tenseal")
    plain, encrypted = (yaml.safe_load((POC / f"{name}.yml").read_text()) for name in ("project", "project_he"))
    builders = [builder["path"] for builder in encrypted["builders"]]
    assert builders.index("nvflare.lighter.impl.he.HEBuilder") < builders.index(
        "nvflare.lighter.impl.signature.SignatureBuilder"
    )
    encrypted_only = [builder for builder in encrypted["builders"] if not builder["path"].endswith("HEBuilder")]
    assert {**encrypted, "builders": encrypted_only} == plain
    kits = provision(tmp_path, encrypted)
    for party, context in (("localhost", "server"), ("site-1", "client")):
        assert (kits / party / "startup" / f"{context}_context.tenseal").exists()
        assert (kits / party / "startup" / "signature.json").exists()


@pytest.mark.slow
def test_a_kit_whose_key_never_left_the_site_keeps_our_rules(tmp_path: Path) -> None:
    def nvflare(*arguments: object) -> str:
        command = [str(Path(sys.executable).with_name("nvflare")), *map(str, arguments)]
        environment = {**os.environ, "HOME": str(tmp_path)}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    profile, request, signed = POC / "profile.yml", tmp_path / "request", tmp_path / "site-1.signed.zip"
    told = nvflare("cert", "init", "--profile", profile, "-o", tmp_path / "ca")
    nvflare("cert", "request", "-p", POC / "site.yml", "--out", request)
    sent = request / "site-1.request.zip"
    assert not [name for name in ZipFile(sent).namelist() if name.endswith(".key")]
    nvflare("cert", "approve", sent, "-c", tmp_path / "ca", "--profile", profile, "--out", signed)
    [authority] = set(re.findall("SHA256:[0-9A-F:]+", told))
    nvflare("package", signed, "--request-dir", request, "-w", tmp_path / "kits", "--fingerprint", authority)
    made = tmp_path / "kits" / "ecg_flare" / "prod_00"
    assert (made / "site-1" / "startup" / "client.key").read_bytes() == (request / "site-1.key").read_bytes()
    resources = local(made, "site-1", "resources.json.default")
    assert (resources["class_allow_list"], resources["allow_log_streaming"]) == (list(SITE_CLASSES), False)
    certificate = certificate_fingerprint(made / "site-1" / "startup" / "client.crt")
    assert local(made, "site-1", "ecg_flare.json")["pinned"] == {"site-1": certificate}


@pytest.mark.parametrize(
    "make",
    [
        lambda: AllowListBuilder("hospital.pages.Scans"),
        lambda: AllowListBuilder(["hospital.pages."]),
        lambda: AllowListBuilder(["hospital.pages"]),
        lambda: AllowListBuilder(["Scans"]),
        lambda: AllowListBuilder(at_server=["*"]),
        lambda: SitePolicyBuilder(server={"min_cohort": 3}),
        lambda: SitePolicyBuilder(server={"results_folders": "/srv"}),
        lambda: RightsBuilder(["project_admin"]),
        lambda: SitePolicyBuilder({"min_cohorts": 3}),
        lambda: SitePolicyBuilder({"min_cohort": 2}),
        lambda: SitePolicyBuilder({"pinned": {}}),
        lambda: SitePolicyBuilder(scope=""),
    ],
)
def test_impossible_settings_are_refused(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()


def test_a_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "client.crt").write_text("nothing")
    with pytest.raises(ConfigError, match=r"client\.crt holds no certificate"):
        certificate_fingerprint(tmp_path / "client.crt")


@pytest.mark.parametrize(("old", "name"), [("site-1", "server"), ("site-1", "Site-2"), ("site-3", "a" * 65)])
def test_a_site_that_no_job_can_name_gets_no_kit(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], old: str, name: str
) -> None:
    """FLARE catches what a builder raises, and prints it."""
    project = yaml.safe_load((POC / "project.yml").read_text().replace(old, name))
    context = Provisioner(str(tmp_path), prepare_builders(project)).provision(prepare_project(project))
    assert context.get(CtxKey.BUILD_ERROR)
    told = capfd.readouterr()
    assert "the site" in told.out + told.err
    assert not list(tmp_path.rglob("client.key"))
