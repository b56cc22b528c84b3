"""A model measured at the sites: counts on held-out cases, summed as the job sums updates, charged where private."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataset_folders import make_dataset, make_plans
from here_worker import HereWorker
from memory_ask import MemoryAsk
from nvflare.apis.dxo import from_shareable
from nvflare.apis.shareable import Shareable
from nvflare.apis.workspace import Workspace
from straight_line import Points, line_plan

from ecg_flare import extensions
from ecg_flare.errors import BudgetError, ConfigError
from ecg_flare.federated.evaluation import counting_terms
from ecg_flare.federated.parts import Evaluation
from ecg_flare.flare.deploy.allowed import SITE_CLASSES
from ecg_flare.flare.deploy.temporary_kits import stand_in_kits
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.export import Changes, data_sets, job_for
from ecg_flare.flare.job.folders import OWN_PAGES, JobSpec, Pages, job_files, write_job
from ecg_flare.flare.job.messages import TRAIN, TrainRequest
from ecg_flare.flare.job.terms import check_job
from ecg_flare.flare.server.aggregators import FedAvg
from ecg_flare.flare.server.ledger import ServerLedger, ServerLog
from ecg_flare.flare.server.mechanism import GaussianMechanism
from ecg_flare.flare.server.site_evaluation import Summing, measure_at_sites, measure_if_due
from ecg_flare.flare.server.witnesses import sites_as_witnesses
from ecg_flare.flare.site.dry_run import dry_run
from ecg_flare.flare.site.in_memory import MemorySite
from ecg_flare.flare.summation.collection import CollectionSetup, collection_of
from ecg_flare.flare.summation.encrypted.messages import AGREE, SumRequest
from ecg_flare.flare.summation.encrypted.site import EncryptedSite
from ecg_flare.flare.summation.masked.site import SecureSumSite
from ecg_flare.nnunet.dataset import prepare
from ecg_flare.nnunet.kinds import task_of
from ecg_flare.nnunet.label_sums import LabelSums
from ecg_flare.nnunet.learnt import AgreedPlan, SiteCases
from ecg_flare.nnunet.plan import Plan, initial_vector
from ecg_flare.nnunet.settings import SOME_HELD_OUT, PrepareSettings
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.privacy.accountant import epsilon_rdp
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.privacy.homomorphic import block_count
from ecg_flare.privacy.ledger import verify
from ecg_flare.site.kit import JobFolder, Kit
from ecg_flare.site.own_pages import OwnPages, write_own_pages
from ecg_flare.task.datasets.folder import NnunetFolder
from ecg_flare.task.datasets.plans import stock_plan
from ecg_flare.task.modules.dataset import prepare_examples
from ecg_flare.task.modules.trainer import ModuleTrainer

SITES = ("site-1", "site-2", "site-3")


@pytest.fixture(autouse=True)
def _training_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecg_flare.flare.site.executor.Worker", HereWorker)


@pytest.fixture
def _line_is_an_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the sites' owners had listed the module, in this test alone."""
    monkeypatch.setitem(extensions._loaded, "straight_line", None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("evaluated")
    for index, site in enumerate(SITES):
        make_dataset(root / site, cases=5 + index)
    return str(root / "{site}")


@pytest.fixture(scope="module")
def plan(folder: str, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    description = Path(folder.replace("{site}", "site-1")) / "dataset.json"
    return stock_plan(make_plans(tmp_path_factory.mktemp("plans"), description), trainer="nnUNetTrainer")


@pytest.fixture(scope="module")
def trained(folder: str, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """A model that finds something."""
    data = prepare(NnunetFolder(folder), "site-3", plan, tmp_path_factory.mktemp("cache"), log=lambda _: None)
    start = initial_vector(plan, 0)
    return start + LocalTrainer(plan, data).train(start, TrainOptions(40, momentum=0.9, learning_rate=0.02)).update


def job(name: str, folder: str, plan: Plan, **changes: Any) -> JobSpec:
    given = {"sites": SITES, "plan": plan, "rounds": 2, "validate_every": 1, "training": {"steps": 1}, **changes}
    spec = job_for(BUNDLED[name], Changes(pages=data_sets(f"nnunet:{folder}"), **given))
    return replace(spec, pages=replace(spec.pages, args={"folder": folder, "cases_are_patients": True}))


def module_job(name: str, **changes: Any) -> JobSpec:
    """A job that trains a straight line through points, ten patients of two at each site."""
    pages = Pages("straight_line.Points", {"patients": 10})
    given = {"sites": SITES, "plan": line_plan(), "rounds": 2, "validate_every": 1, "training": {"steps": 1}, **changes}
    return job_for(BUNDLED[name], Changes(pages=pages, **given))


class Sites:
    """The sites of a job in earnest, in memory; `sent` has what left each for the task 'train', one after another."""

    def __init__(self, spec: JobSpec, root: Path) -> None:
        self.terms, self.plan = spec.terms, spec.terms.model
        kits = stand_in_kits(root, SITES, {}, signed=False)
        config = json.loads(job_files(spec)["app/config/config_fed_client.json"])
        self.sent: dict[str, list[Shareable]] = {site: [] for site in SITES}
        self.memory = {s: MemorySite(config, s, kits.root(s), "job") for s in SITES}
        self.asking = MemoryAsk(self.memory, self._keep)
        self.server, self.root = Workspace(str(kits.root("server")), "server"), kits.root("server")
        self.collection = collection_of(CollectionSetup(self.server, self.terms, log=print, warn=print))

    def _keep(self, task: str, site: str, answer: Shareable) -> Shareable:
        if task == TRAIN:
            self.sent[site].append(answer)
        return answer

    def ledger(self) -> ServerLedger:
        opened = GaussianMechanism().open(self.terms, 1, self.root)
        witnesses = sites_as_witnesses(opened.path, self.terms, self.server, "job", print)
        return ServerLedger(opened, witnesses, self.root, ServerLog(print, print))


def request(model: np.ndarray, plan: AgreedPlan, spec: JobSpec) -> TrainRequest:
    return TrainRequest(model, 0, "a" * 32, plan.layout_digest, plan.hash, spec.terms.digest)


def expected_dice(folder: str, plan: Plan, model: np.ndarray, cache: Path) -> dict[str, float]:
    """nnU-Net's figure: the mean over held-out cases of all sites of each one's Dice, by label."""
    task, by_case = task_of(plan), []
    for site in SITES:
        trainer = LocalTrainer(plan, prepare(NnunetFolder(folder), site, plan, cache, log=lambda _: None))
        for _, counts in trainer.held_out(model):
            tp, fp, fn = counts[:, list(task.foreground_places)]
            by_case.append(2 * tp / (2 * tp + fp + fn))
    return dict(zip(task.foreground, np.mean(by_case, axis=0), strict=True))


@pytest.mark.parametrize("name", ["fedavg", "fedadam_secure", "fedadam_he"])
def test_counts_give_the_mean_dice_of_all_held_out_cases(
    name: str, folder: str, plan: Plan, trained: np.ndarray, tmp_path: Path
) -> None:
    spec = job(name, folder, plan)
    sites = Sites(spec, tmp_path / "kits")
    terms = counting_terms(spec.terms)
    assert terms is not None
    found = measure_at_sites(
        request(trained, plan, spec), terms, Summing(spec.terms, sites.collection, None, "job"), sites.asking
    )
    expected = expected_dice(folder, plan, trained, tmp_path / "cache")
    assert found.by_label == pytest.approx(expected, abs=1e-4)
    assert found.mean == pytest.approx(np.mean(list(expected.values())), abs=1e-4)
    assert found.mean is not None
    assert found.mean > 0.2


@pytest.mark.parametrize(
    ("name", "kind"),
    [("fedadam_secure", "ECG_FLARE_MASKED_UPDATE"), ("fedadam_he", "ECG_FLARE_ENCRYPTED_SUM")],
)
def test_a_round_of_training_and_its_counts_go_on_hidden_from_one_model(
    name: str, kind: str, folder: str, plan: Plan, trained: np.ndarray, tmp_path: Path
) -> None:
    """The same model is measured, then trained from: neither sum can be subtracted from the other, so both go."""
    spec = job(name, folder, plan)
    sites = Sites(spec, tmp_path / "kits")
    asked = request(trained, plan, spec)
    summing = Summing(spec.terms, sites.collection, None, "job")
    assert measure_if_due(asked, summing, sites.asking, pytest.fail) is not None
    opened = FedAvg().open(asked, spec.terms)
    sites.collection.collect(asked, spec.terms, opened, sites.asking)
    assert opened.close().answered == SITES
    for site in SITES:
        counts, update = (from_shareable(sent) for sent in sites.sent[site])
        assert str(counts.data_kind) == str(update.data_kind) == kind
        sizes = [next(v.size for v in each.data.values() if isinstance(v, np.ndarray)) for each in (counts, update)]
        if name == "fedadam_secure":
            assert sizes == [6, trained.size]
        else:
            ciphertexts = [len(each.data["lengths"]) for each in (counts, update)]
            assert ciphertexts == [1, block_count(trained.size)]


@pytest.mark.parametrize(
    ("name", "part", "kind"),
    [("fedadam_secure", "secure_sum", SecureSumSite), ("fedadam_he", "encrypted_sum", EncryptedSite)],
)
def test_counts_go_on_at_sites_that_are_swapped_out_between_tasks(
    name: str, part: str, kind: type, folder: str, plan: Plan, trained: np.ndarray, tmp_path: Path
) -> None:
    """As in FLARE's simulator on one thread: each task meets a component that knows nothing of the task before."""
    spec = job(name, folder, plan)
    sites = Sites(spec, tmp_path / "kits")

    def forget(task: str) -> tuple[str, ...]:
        for site in sites.memory.values():
            site._engine._components[part] = kind()
        return ()

    sites.asking.away = forget
    asked = request(trained, plan, spec)
    found = measure_if_due(asked, Summing(spec.terms, sites.collection, None, "job"), sites.asking, pytest.fail)
    assert found is not None
    assert found.by_label == pytest.approx(expected_dice(folder, plan, trained, tmp_path / "cache"), abs=1e-4)
    opened = FedAvg().open(asked, spec.terms)
    sites.collection.collect(asked, spec.terms, opened, sites.asking)
    assert opened.close().answered == SITES


PRIVATE = {"patients": 18, "patients_per_site": 8, "epsilon_budget": 8.0, "delta": 1e-3, "validate_noise": 4.0}


def test_a_private_job_charges_its_counts_as_a_release_of_their_own(
    folder: str, plan: Plan, trained: np.ndarray, tmp_path: Path
) -> None:
    spec = job("fedadam_dp", folder, plan, **PRIVATE)
    sites = Sites(spec, tmp_path / "kits")
    ledger = sites.ledger()
    ask = ledger.witnesses.asking(sites.asking)
    told: list[str] = []
    summing = Summing(spec.terms, sites.collection, ledger, "job")
    found = measure_if_due(request(trained, plan, spec), summing, ask, told.append)
    ledger.open.close()
    assert found is not None
    if found.by_label:  # a few held-out cases, noise of ten: once in a hundred draws a label seems to stand out of it
        assert all(0 <= dice <= 1 for dice in found.by_label.values())
    else:
        assert found.mean is None
        assert "no label stands out of noise" in told[0]
    [charged] = verify(ledger.open.path).rounds
    assert (charged.mechanism.releases, charged.released) == ("counts", True)
    assert (charged.mechanism.noise_multiplier, charged.mechanism.sampling_rate) == (4.0, 1.0)
    assert charged.mechanism.sensitivity == pytest.approx(np.sqrt(2))
    assert charged.spent.epsilon_rdp == epsilon_rdp([GaussianEvent(4.0, 1.0, 1)], 1e-3)


LINE = np.float32([1.0, -1.0, 0.5])


def counted_points(cache: Path, *, alone: bool) -> np.ndarray:
    """tp, fp and fn of the straight line on all sites' held-out points, each point counted once."""
    settings = SOME_HELD_OUT if alone else PrepareSettings()
    total = np.zeros((3, 1), int)
    for site in SITES:
        cases = SiteCases(Points(10), site, line_plan(), cache)
        examples = prepare_examples(cases, settings, lambda _: None)
        for _, found in ModuleTrainer(line_plan(), examples).held_out(LINE):
            total += found
    return total


@pytest.mark.usefixtures("_line_is_an_extension")
@pytest.mark.parametrize("name", ["fedavg", "fedadam_secure", "fedadam_he"])
def test_the_counts_of_a_module_give_its_f1_over_all_held_out_cases(name: str, tmp_path: Path) -> None:
    spec = module_job(name)
    sites, terms = Sites(spec, tmp_path / "kits"), counting_terms(spec.terms)
    assert terms is not None
    asked = request(LINE, line_plan(), spec)
    found = measure_at_sites(asked, terms, Summing(spec.terms, sites.collection, None, "job"), sites.asking)
    tp, fp, fn = counted_points(tmp_path / "cache", alone=False)[:, 0].tolist()
    assert min(tp, fp + fn) > 0
    assert found.by_label == {"positive": pytest.approx(2 * tp / (2 * tp + fp + fn), abs=1e-4)}


@pytest.mark.usefixtures("_line_is_an_extension")
def test_the_counts_of_a_private_module_are_a_charged_release(tmp_path: Path) -> None:
    private = {**PRIVATE, "patients": 30, "patients_per_site": 12, "validate_noise": 0.7}
    spec = module_job("fedadam_dp", **private)
    sites = Sites(spec, tmp_path / "kits")
    ledger = sites.ledger()
    ask = ledger.witnesses.asking(sites.asking)
    told: list[str] = []
    summing = Summing(spec.terms, sites.collection, ledger, "job")
    found = measure_if_due(request(LINE, line_plan(), spec), summing, ask, told.append)
    ledger.open.close()
    assert found is not None
    held_out = counted_points(tmp_path / "cache", alone=True).sum() / 2  # of two points a patient
    if found.by_label:  # six patients or so, and noise of 1.2: more often than not nothing is to be seen
        assert held_out > 1
        assert 0 <= found.by_label["positive"] <= 1
    else:
        assert "no label stands out of noise" in told[0]
    [charged] = verify(ledger.open.path).rounds
    assert (charged.mechanism.releases, charged.released) == ("counts", True)
    assert charged.mechanism.sensitivity == pytest.approx(1.0)


def test_counts_that_the_budget_does_not_pay_for_cost_the_figure_and_not_the_job(
    folder: str, plan: Plan, trained: np.ndarray, tmp_path: Path
) -> None:
    spec = job("fedadam_dp", folder, plan, **{**PRIVATE, "epsilon_budget": 0.3})
    sites = Sites(spec, tmp_path / "kits")
    ledger, told = sites.ledger(), []
    summing = Summing(spec.terms, sites.collection, ledger, "job")
    asked = request(trained, plan, spec)
    assert measure_if_due(asked, summing, ledger.witnesses.asking(sites.asking), told.append) is None
    assert "the model of round 1 is not measured at the sites" in told[0]
    assert sites.sent == {site: [] for site in SITES}
    terms = counting_terms(spec.terms)
    assert terms is not None
    with pytest.raises(BudgetError):
        measure_at_sites(asked, terms, summing, sites.asking)
    ledger.open.close()


def test_too_few_answers_are_a_warning(folder: str, plan: Plan, trained: np.ndarray, tmp_path: Path) -> None:
    spec = job("fedadam_secure", folder, plan)
    sites = Sites(spec, tmp_path / "kits")
    sites.asking.away = lambda task: ("site-2",) if task == TRAIN else ()
    told: list[str] = []
    summing = Summing(spec.terms, sites.collection, None, "job")
    assert measure_if_due(request(trained, plan, spec), summing, sites.asking, told.append) is None
    assert "nothing was recovered" in told[0]


@pytest.mark.parametrize(("name", "changes"), [("fedadam_secure", {}), ("fedadam_dp", PRIVATE)])
def test_a_site_can_try_beforehand_what_counts_would_leave_it(
    name: str, changes: dict[str, Any], folder: str, plan: Plan, tmp_path: Path
) -> None:
    kit = Kit(stand_in_kits(tmp_path / "kits", SITES, {}, signed=True).root("site-1"))
    (kit.startup / "fed_client.json").write_text(json.dumps({"client": {"fqsn": "site-1"}}))
    (kit.local / "resources.json").write_text(json.dumps({"format_version": 2, "class_allow_list": SITE_CLASSES}))
    write_own_pages(kit.local, OwnPages(NnunetFolder(folder, cases_are_patients=True)))
    spec = replace(job(name, folder, plan, **changes), custom=False, pages=OWN_PAGES)
    tried = dry_run(JobFolder(write_job(spec, tmp_path / "jobs")), kit, "site-1", log=print)
    assert tried.refused == ""
    sent = [each for each in tried.traffic if each.task == TRAIN]
    assert [each.kind for each in sent] == ["ECG_FLARE_MASKED_UPDATE"] * 2
    assert sent[1].sent_bytes < sent[0].sent_bytes


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("fedadam_dp", {}, "each count on held-out cases would be a release"),
        ("fedadam_site_dp", {}, "hides whole sites"),
        ("fedavg", {"validate_noise": 1.0}, "counts of a private job"),
        ("fedadam_dp", {"validate_every": 0, "validate_noise": 1.0}, "counts of a private job"),
    ],
)
def test_counts_are_refused_where_nobody_asked_for_their_noise(
    folder: str, plan: Plan, name: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        job(name, folder, plan, **changes)


def test_a_server_that_mixes_up_the_sums_of_counts_and_updates_gets_nothing(
    folder: str, plan: Plan, trained: np.ndarray, tmp_path: Path
) -> None:
    """Counts are encrypted; consent is then asked for as if they were an update, and under terms of nobody."""
    spec = job("fedadam_he", folder, plan)
    counting = counting_terms(spec.terms)
    assert counting is not None
    for place, other in enumerate((spec.terms.digest, "0" * 64)):
        sites = Sites(spec, tmp_path / f"kits{place}")
        summing, told = Summing(spec.terms, sites.collection, None, "job"), []
        real = sites.asking.__call__

        def ask(task: str, messages: Any, receive: Any, other: str = other, real: Any = real, **more: Any) -> Any:
            if task == AGREE:
                asked = {site: SumRequest.from_shareable(message) for site, message in messages.items()}
                assert {one.terms_digest for one in asked.values()} == {counting.digest}
                messages = {site: replace(one, terms_digest=other).to_shareable() for site, one in asked.items()}
            return real(task, messages, receive, **more)

        assert measure_if_due(request(trained, plan, spec), summing, ask, told.append) is None
        assert "is not measured at the sites" in told[0]


def test_an_evaluation_that_could_be_passed_is_refused(folder: str, plan: Plan) -> None:
    spec = job("fedadam_secure", folder, plan)
    with pytest.raises(ConfigError, match="counts of one case of 2 labels can pass"):
        check_job(replace(spec.terms, evaluation=Evaluation(1, 1.0)))
    with pytest.raises(ConfigError, match="needs its own noise"):
        replace(job("fedadam_dp", folder, plan, **PRIVATE).terms, evaluation=Evaluation(1, 2.0))


def test_shares_of_a_classifier_are_its_decisions() -> None:
    """tp, fp, fn and tn of one label: sums are the counts themselves, and the figure is their F1."""
    sums = LabelSums(("sick",), (0,), by_case=False)
    cases = [np.array([[tp], [fp], [fn]]) for tp, fp, fn in [(1, 0, 0)] * 6 + [(0, 1, 0)] * 3 + [(0, 0, 1)] * 1]
    summed = np.sum([sums.shares(case) for case in [*cases, np.zeros((3, 1), int)]], axis=0)
    assert summed.tolist() == [6.0, 3.0, 1.0]
    assert sums.figures(summed) == {"sick": pytest.approx(12 / 16)}
    assert np.isnan(sums.figures(summed, noise_sd=2.0)["sick"])  # ten cases, three times the noise is 10.4
    assert sums.norm == 1.0 >= max(np.linalg.norm(sums.shares(case * 10**9)) for case in cases)


def test_shares_are_bounded_whatever_a_case_has(plan: Plan) -> None:
    """The bound behind the sensitivity, over counts up to a whole body, and it is reached."""
    sums = task_of(plan).sums
    rng = np.random.default_rng(4)
    for scale in (1, 100, 10**9):
        for _ in range(200):
            counts = rng.integers(0, scale + 1, (3, 3)) * rng.integers(0, 2, (3, 3))
            shares = sums.shares(counts)
            assert np.linalg.norm(shares) <= np.sqrt(2) + 1e-12
    perfect = np.array([[5, 7, 9], [0, 0, 0], [0, 0, 0]])
    assert np.linalg.norm(sums.shares(perfect)) == pytest.approx(np.sqrt(2))
    assert sums.figures(sums.shares(perfect)) == {"left": 1.0, "right": 1.0}
    assert np.isnan(sums.figures(np.zeros(6))["left"])
    noisy = np.array([3.0, -1.5, 0.1, -1.0, 2.0, 2.0])
    assert sums.figures(noisy) == {"left": 1.0, "right": 0.0}
    told = sums.figures(noisy, noise_sd=0.5)  # three times 0.5 * sqrt(3) is 2.6, above 1.6 and below 3
    assert np.isnan(told["left"])
    assert told["right"] == 0.0
