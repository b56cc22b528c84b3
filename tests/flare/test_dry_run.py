"""A job's round tried at one site: what would leave it, and why it would take no part."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ecg_flare.errors import ConfigError, SiteDataError
from ecg_flare.federated.promise import mechanism_of
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.deploy.allowed import SITE_CLASSES
from ecg_flare.flare.deploy.temporary_kits import stand_in_kits
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.folders import Pages, write_job
from ecg_flare.flare.job.messages import model_sha256
from ecg_flare.flare.job.terms import subset
from ecg_flare.flare.site.dry_run import DryRun, dry_run
from ecg_flare.flare.site.ledger import LEDGER_FOLDER
from ecg_flare.flare.site.memory import MODELS_FOLDER
from ecg_flare.flare.site.policy import POLICY_FILE
from ecg_flare.nnunet.export import load_bundled
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import parameter_count
from ecg_flare.privacy.cohort import Cohort
from ecg_flare.privacy.ledger import Ledger
from ecg_flare.privacy.secure_sum.recovered_sums import FileModelMemory, HiddenSum, record_recovery
from ecg_flare.site.kit import JobFolder, Kit
from ecg_flare.site.own_pages import OwnPages, write_own_pages
from ecg_flare.task.traces.sources import SyntheticPages
from flat_terms import varied

D = parameter_count(plan_preset("tiny"))
SITES = ("site-1", "site-2", "site-3")


class FakeWorker:
    """Stands for the training process: it trains at once, and remembers that it was closed."""

    error: SiteDataError | None = None
    closed = 0

    def __init__(self, **options: Any) -> None:
        self.alive = True

    def call(self, command: str, params: Mapping[str, Any], arrays: Any = None, **options: Any) -> Any:
        if FakeWorker.error is not None:
            raise FakeWorker.error
        arrays = {"update": np.full(D, 1e-4, np.float32)}
        if command == "train_patients":
            size = JobTerms(**params["terms"]).sum_size(subset(BUNDLED["fedadam_dp"].terms).dimension)
            arrays = {"contribution": np.ones(size, np.int64)}
        return SimpleNamespace(params={"train": 4, "steps": params.get("steps", 0)}, arrays=arrays)

    def close(self) -> None:
        FakeWorker.closed += 1


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecg_flare.flare.site.executor.Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "error", None)
    monkeypatch.setattr(FakeWorker, "closed", 0)


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """A kit like a provisioned one, whose peers' certificates are pinned."""
    kits = stand_in_kits(tmp_path / "kits", SITES, {}, signed=True)
    found = Kit(kits.root("site-1"))
    (found.startup / "fed_client.json").write_text(json.dumps({"client": {"fqsn": "site-1"}}))
    (found.local / "resources.json").write_text(json.dumps({"format_version": 2, "class_allow_list": SITE_CLASSES}))
    write_own_pages(found.local, OwnPages(SyntheticPages({"site-1": "plain"})))
    return found


def job(tmp_path: Path, name: str, **terms: Any) -> JobFolder:
    """One of the project's jobs, without code."""
    spec = BUNDLED[name]
    spec = replace(
        spec, terms=varied(spec.terms, **terms), pages=Pages("ecg_flare.site.own_pages.SitesOwn"), custom=False
    )
    return JobFolder(write_job(spec, tmp_path / "jobs"))


def tried(job_folder: JobFolder, kit: Kit) -> DryRun:
    return dry_run(job_folder, kit, "site-1", log=lambda line: None)


def _policy(kit: Kit) -> dict[str, Any]:
    entries: dict[str, Any] = json.loads((kit.local / POLICY_FILE).read_text())
    return entries


def amend(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def test_under_masks_the_update_leaves_as_a_vector_of_the_ring_and_nothing_beside(tmp_path: Path, kit: Kit) -> None:
    told = tried(job(tmp_path, "fedadam_secure"), kit)
    assert told.refused == ""
    assert [each.task for each in told.traffic] == [
        "sum_identify",
        "sum_keys",
        "sum_shares",
        "train",
        "sum_consent",
        "sum_unmask",
    ]
    train = told.traffic[3]
    assert train.kind == "ECG_FLARE_MASKED_UPDATE"
    assert [(each.name, each.size_bytes) for each in train.fields] == [
        ("vector", 4 * D),
        ("context", 32),
        ("sender", 0),
    ]
    assert 0 < train.sent_bytes - 4 * D < 1000
    assert told.sent_bytes == sum(each.sent_bytes for each in told.traffic)
    assert any("certificate" in note for note in told.notes)
    assert FakeWorker.closed >= 1


def test_in_the_clear_the_update_is_seen_to_leave_with_what_the_site_tells(tmp_path: Path, kit: Kit) -> None:
    told = tried(job(tmp_path, "fedadam"), kit)
    (train,) = told.traffic
    assert train.kind == "WEIGHT_DIFF"
    assert train.fields[0].what == f"float32[{D}]"
    assert "metrics" in {each.name for each in train.fields}


def test_the_unit_patient_goes_through_too_folded_and_with_a_norm_that_follows(tmp_path: Path, kit: Kit) -> None:
    rule = {"quantile": 0.5, "rate": 0.2, "count_noise": 2.0, "least": 0.001, "most": 0.1}
    told = tried(job(tmp_path, "fedadam_dp", adaptive_clipping=rule, projection={"size": 500, "seed": 1}), kit)
    assert told.refused == ""
    assert told.traffic[3].kind == "ECG_FLARE_MASKED_UPDATE"
    # the patients' count behind 500 buckets, and the site's certificate with its signature of the ledger
    assert 4 * 501 < told.traffic[3].sent_bytes < 4 * 501 + 3000
    signature = told.traffic[3].fields[-1]
    assert (signature.name, 1000 < signature.size_bytes < 1400) == ("signature of the ledger's head", True)
    assert told.traffic[-1].task == "witness"
    assert any("must show one that extends the head" in note for note in told.notes)


def test_a_policy_that_lists_the_real_servers_ledger_can_be_tried(tmp_path: Path, kit: Kit) -> None:
    amend(kit.local / POLICY_FILE, ledgers=["ab" * 32])
    assert tried(job(tmp_path, "fedadam_dp"), kit).refused == ""


def test_a_model_that_another_job_was_answered_for_is_refused_as_in_a_job(tmp_path: Path, kit: Kit) -> None:
    tried_job = job(tmp_path, "fedadam_secure")
    assert tried(tried_job, kit).refused == ""
    opened = HiddenSum("another", (), 1.0, noised=False)
    record_recovery(
        FileModelMemory(kit.folder / MODELS_FOLDER), model_sha256(load_bundled("start").vector), opened, "all"
    )
    assert "once_per_model" in tried(tried_job, kit).refused


def test_what_left_the_site_in_earlier_jobs_counts_against_its_limit(tmp_path: Path, kit: Kit) -> None:
    (kit.local / POLICY_FILE).write_text(json.dumps({**_policy(kit), "max_epsilon": 6.0, "delta": 1e-4}))
    tried_job = job(tmp_path, "fedadam_dp")
    assert tried(tried_job, kit).refused == ""
    path = kit.folder / LEDGER_FOLDER / "ledger.jsonl"
    path.parent.mkdir()
    mechanism = mechanism_of(BUNDLED["fedadam_dp"].terms, "another", 0)
    with Ledger(path, Cohort("site-1", "patient", ("site-1",), 1e-4, epsilon_budget=None)) as ledger:
        ledger.charge(replace(mechanism, weights={"site-1": 1.0}, shared_patients=False))
    before = path.read_bytes()
    assert "max_epsilon=6.0" in tried(tried_job, kit).refused
    assert path.read_bytes() == before


def test_ciphertexts_leave_where_the_sum_is_encrypted(tmp_path: Path, kit: Kit) -> None:
    pytest.importorskip("tenseal")
    told = tried(job(tmp_path, "fedadam_he"), kit)
    assert told.refused == ""
    assert [each.task for each in told.traffic] == ["train", "he_agree", "he_decrypt"]
    assert told.traffic[0].sent_bytes > 4 * D


@pytest.mark.parametrize(
    ("name", "policy", "named"),
    [
        ("fedadam", {"summations": ["masked"]}, "summations"),
        ("fedadam_secure", {"min_cohort": 5}, "min_cohort=5"),
        ("fedadam_secure", {"min_noise_multiplier": 0.5}, "min_noise_multiplier=0.5"),
        ("fedadam_secure", {"max_clipping_norm": 1.0}, "max_clipping_norm=1.0"),
        ("fedadam_secure", {"start_model": "0" * 64}, "start_model=0000"),
        ("fedadam_secure", {"pinned": {}}, "pinned: no certificate of site-1, site-2, site-3"),
    ],
)
def test_what_the_policy_forbids_is_refused_by_its_name(
    tmp_path: Path, kit: Kit, name: str, policy: dict[str, Any], named: str
) -> None:
    amend(kit.local / POLICY_FILE, **policy)
    told = tried(job(tmp_path, name), kit)
    assert named in told.refused
    assert all(each.task != "train" for each in told.traffic)


def test_pages_are_prepared_in_the_kits_own_cache(tmp_path: Path, kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ECG_FLARE_CACHE", raising=False)
    asked: list[Path] = []

    def call(self: FakeWorker, command: str, params: Mapping[str, Any], *args: Any, **options: Any) -> Any:
        asked.append(Path(params["cache"]).resolve())
        raise SiteDataError("seen")

    monkeypatch.setattr(FakeWorker, "call", call)
    assert "seen" in tried(job(tmp_path, "fedadam"), kit).refused
    assert asked == [kit.folder.resolve() / "ecg_flare_cache"]
    assert asked[0].is_dir()  # the stand-ins' folder is gone, the cache is not


def test_a_job_for_others_is_refused(tmp_path: Path, kit: Kit) -> None:
    told = tried(job(tmp_path, "fedadam", weights={"a": 1.0, "b": 1.0, "c": 1.0}), kit)
    assert "other sites" in told.refused


def test_a_job_whose_sides_hold_different_terms_is_refused(tmp_path: Path, kit: Kit) -> None:
    folder = job(tmp_path, "fedadam")
    path = folder.folder / "app" / "config" / "config_fed_server.json"
    path.write_text(path.read_text().replace('"rounds": 3', '"rounds": 4'))
    assert "different terms" in tried(folder, kit).refused


def test_a_site_admits_no_job_whose_delta_promises_nothing(tmp_path: Path, kit: Kit) -> None:
    folder = job(tmp_path, "fedadam_dp")
    for name in ("config_fed_server.json", "config_fed_client.json"):
        path = folder.folder / "app" / "config" / name
        config = json.loads(path.read_text())
        next(one for one in config["components"] if one["id"] == "terms")["args"]["privacy"]["delta"] = 0.05
        path.write_text(json.dumps(config))
    told = tried(folder, kit)
    assert told.refused.startswith("delta is 0.05 for 48 patients, expected it below 1 / 48")
    assert told.traffic == []


def test_a_class_that_the_kit_does_not_list_is_refused(tmp_path: Path, kit: Kit) -> None:
    amend(kit.local / "resources.json", class_allow_list=SITE_CLASSES[:-1])
    assert (
        "ecg_flare.site.own_pages.SitesOwn is not in the kit's class_allow_list"
        in tried(job(tmp_path, "fedadam"), kit).refused
    )


def test_a_scope_that_the_kit_does_not_have_is_refused(tmp_path: Path, kit: Kit) -> None:
    (kit.local / "privacy.json").write_text(json.dumps({"scopes": [{"name": "ecg"}], "default_scope": "ecg"}))
    folder = job(tmp_path, "fedadam")
    assert tried(folder, kit).refused == ""
    amend(folder.folder / "meta.json", scope="genomes")
    assert "'genomes'" in tried(folder, kit).refused


def test_code_that_a_job_brings_is_named_and_not_run(tmp_path: Path, kit: Kit) -> None:
    custom = tmp_path / "custom"
    custom.mkdir()
    (custom / "site_pages.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n")
    told = tried(JobFolder(write_job(BUNDLED["fedadam"], tmp_path / "jobs", custom)), kit)
    assert "site_pages.py" in told.refused
    assert not (tmp_path / "ran").exists()


def test_filters_that_the_terms_need_are_missed(tmp_path: Path, kit: Kit) -> None:
    folder = job(tmp_path, "fedadam_secure")
    path = folder.folder / "app" / "config" / "config_fed_client.json"
    config = json.loads(path.read_text())
    del config["task_result_filters"][0]["filters"][0]
    path.write_text(json.dumps(config))
    assert "ClipUpdate" in tried(folder, kit).refused


def test_pages_that_cannot_train_are_the_reason(tmp_path: Path, kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeWorker, "error", SiteDataError("page a_1.png has no mask"))
    for name in ("fedadam", "fedadam_secure"):
        told = tried(job(tmp_path, name), kit)
        assert "page a_1.png has no mask" in told.refused
        assert told.traffic[-1].kind == "error"


def test_nothing_is_kept_of_a_dry_run(tmp_path: Path, kit: Kit) -> None:
    before = {path: path.read_bytes() for path in kit.folder.rglob("*") if path.is_file()}
    tried(job(tmp_path, "fedadam_secure"), kit)
    assert {path: path.read_bytes() for path in kit.folder.rglob("*") if path.is_file()} == before


def test_what_is_no_kit_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="startup kit"):
        _ = Kit(tmp_path).site
