"""Sites agree on a plan through FLARE's messages: what is summed, what a message shows, and what it costs."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreeing_images import assert_same_plan, make_sites, pooled_plan
from click.testing import CliRunner
from here_worker import HereWorker
from memory_ask import MemoryAsk
from nvflare.apis.dxo import from_shareable
from nvflare.apis.shareable import Shareable
from nvflare.apis.workspace import Workspace

from ecg_flare.cli.jobs import jobs
from ecg_flare.errors import BudgetError, ConfigError, RoundError
from ecg_flare.federated.parts import Privacy
from ecg_flare.federated.round import RoundResult
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.deploy.temporary_kits import stand_in_kits
from ecg_flare.flare.job.agreement import AgreementSettings, agreement_job
from ecg_flare.flare.job.export import data_sets
from ecg_flare.flare.job.folders import JobSpec, job_files
from ecg_flare.flare.job.messages import TRAIN, TrainRequest
from ecg_flare.flare.server.aggregators import FedAvg
from ecg_flare.flare.server.mechanism import GaussianMechanism
from ecg_flare.flare.server.witnesses import sites_as_witnesses
from ecg_flare.flare.site.in_memory import MemorySite
from ecg_flare.flare.summation.collection import CollectionSetup, collection_of
from ecg_flare.nnunet.counting import counts_of_site
from ecg_flare.nnunet.kinds import plan_of, required_counting, start_model
from ecg_flare.privacy.accountant import epsilon_rdp
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.privacy.ledger import verify
from ecg_flare.task.agreement import FingerprintBins, agreement_plan
from ecg_flare.task.datasets.folder import NnunetFolder
from ecg_flare.task.datasets.plans import stock_plan

SITES = ("site-1", "site-2", "site-3")
COARSE = FingerprintBins(per_octave=16)


@pytest.fixture(autouse=True)
def _counting_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecg_flare.flare.site.executor.Worker", HereWorker)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_sites(tmp_path_factory.mktemp("agreeing"), SITES)


def job(data: str, bins: FingerprintBins = COARSE, **settings: Any) -> JobSpec:
    plan = agreement_plan(Path(data.replace("{site}", "site-1")) / "dataset.json", bins=bins)
    given = {"sites": SITES, "way": "masked", "pages": data_sets(f"nnunet:{data}"), **settings}
    return agreement_job(plan, AgreementSettings(**given))


class Round:
    """The round of an agreement with every site in earnest; `sent` has what left each for the task 'train'.

    The sites are those of the round `before`, and remember it.
    """

    def __init__(self, spec: JobSpec, root: Path, name: str = "a", before: "Round | None" = None) -> None:
        self.spec, self.terms = spec, spec.terms
        self.plan = plan_of(self.terms.model.plan, self.terms.model.document)
        self._kits = before._kits if before else stand_in_kits(root / name, self.terms.roster, {}, signed=False)
        config = json.loads(job_files(spec)["app/config/config_fed_client.json"])
        self._sites = {s: MemorySite(config, s, self._kits.root(s), name) for s in self.terms.roster}
        self.sent: dict[str, Shareable] = {}
        self.asking = MemoryAsk(self._sites, self._keep)
        self.ledger = root / name / "ledger.jsonl"

    def _keep(self, task: str, site: str, answer: Shareable) -> Shareable:
        if task == TRAIN:
            self.sent[site] = answer
        return answer

    def run(self) -> RoundResult:
        server = Workspace(str(self._kits.root("server")), "server")
        start = start_model(self.plan, 0)
        request = TrainRequest(
            start, 0, "a" * 32, self.plan.layout_digest, self.plan.hash, self.terms.digest, counts=True
        )
        collection = collection_of(CollectionSetup(server, self.terms, log=print, warn=print))
        ask, admitted = self.asking, None
        if self.terms.private:
            opened = GaussianMechanism().open(self.terms, start.size, self._kits.root("server"))
            self.ledger = opened.path
            ask = sites_as_witnesses(opened.path, self.terms, server, "a", print).asking(self.asking)
            admitted = opened.begin("a", 0)
        held = FedAvg().open(request, self.terms, admitted=admitted)
        collection.collect(request, self.terms, held, ask)
        result = held.close()
        held.release(result.model, result)
        return result


def exact_sum(data: str, terms: JobTerms) -> np.ndarray:
    plan = plan_of(terms.model.plan, terms.model.document)
    counting, source = required_counting(plan), NnunetFolder(data)
    return np.sum([one.counts for site in SITES for one in counting.count(source, site, print)], axis=0)


@pytest.mark.parametrize("way", ["plain", "masked", "encrypted"])
def test_the_sum_is_that_of_all_cases(data: str, tmp_path: Path, way: str) -> None:
    if way == "encrypted":
        pytest.importorskip("tenseal")
    spec = job(data, way=way)
    result = Round(spec, tmp_path).run()
    expected = exact_sum(data, spec.terms)
    np.testing.assert_allclose(result.mean_update * 3, expected, atol=1e-3)
    whole = expected == np.rint(expected)
    np.testing.assert_array_equal(
        np.rint(result.mean_update * 3)[whole & (expected > 0)], expected[whole & (expected > 0)]
    )


def test_what_a_site_sends_is_masked_and_shows_no_histogram(data: str, tmp_path: Path) -> None:
    """Of two rounds on the same cases no two messages agree anywhere, and none follows the counts."""
    spec = job(data)
    first, second = Round(spec, tmp_path, "a"), Round(job(data), tmp_path, "b")
    first.run()
    second.run()
    plan = plan_of(spec.terms.model.plan, spec.terms.model.document)
    for site in SITES:
        words = {}
        for name, ran in (("a", first), ("b", second)):
            dxo = from_shareable(ran.sent[site])
            assert str(dxo.data_kind) == "ECG_FLARE_MASKED_UPDATE"
            [words[name]] = [value for value in dxo.data.values() if isinstance(value, np.ndarray)]
            assert set(dxo.data) | set(dxo.meta or {}) <= {"vector", "update", "head", "context", "sender", "masked"}
        counts = counts_of_site(required_counting(plan), NnunetFolder(data), site, spec.terms, print)
        assert words["a"].size == counts.size == plan_size(plan)
        assert np.mean(words["a"] == words["b"]) < 1e-3
        assert abs(np.corrcoef(words["a"].astype(float), counts)[0, 1]) < 5 / np.sqrt(counts.size)
        # where nothing was counted the words are as good as random all the same
        empty = words["a"][counts == 0] / 2.0**32
        assert abs(empty.mean() - 0.5) < 5 * np.sqrt(1 / 12 / empty.size)


def plan_size(plan: Any) -> int:
    return sum(shape[0] for _, shape in plan.known_layout)


PRIVACY = {"privacy": Privacy(2.0, epsilon_budget=3.0, delta=1e-5), "patients": 6, "patients_per_site": 4}


def test_a_private_agreement_is_charged_before_its_noise_and_released_after(data: str, tmp_path: Path) -> None:
    spec = job(data, **PRIVACY)
    pages = {"folder": data, "cases_are_patients": True}
    ran = Round(replace(spec, pages=replace(spec.pages, args=pages)), tmp_path)
    result = ran.run()
    [charged] = verify(ran.ledger).rounds
    assert charged.released
    assert charged.mechanism.releases == "counts"
    assert charged.mechanism.sensitivity == pytest.approx(np.sqrt(11))
    assert charged.spent.epsilon_rdp == epsilon_rdp([GaussianEvent(2.0, 1.0, 1)], 1e-5)
    off = result.mean_update * 6 - exact_sum(data, spec.terms)
    assert off.std() == pytest.approx(2.0 * np.sqrt(11), rel=0.1)


def test_noise_the_budget_does_not_pay_for_ends_the_agreement(data: str, tmp_path: Path) -> None:
    dear = {**PRIVACY, "privacy": Privacy(2.0, epsilon_budget=0.5, delta=1e-5)}
    ran = Round(job(data, **dear), tmp_path)
    with pytest.raises(BudgetError, match=r"budget 0\.5"):
        ran.run()
    assert ran.sent == {}


def test_a_site_of_other_labels_or_of_one_patient_is_out(data: str, tmp_path: Path) -> None:
    other = tmp_path / "data"
    for site in SITES:
        shutil.copytree(data.replace("{site}", site), other / site)
    found = json.loads((other / "site-2" / "dataset.json").read_text())
    (other / "site-2" / "dataset.json").write_text(json.dumps({**found, "labels": {"background": 0, "liver": 1}}))
    (other / "site-3" / "patients.csv").write_text("case,patient_id\ncase_04,p\ncase_05,p\n")
    ran = Round(job(str(other / "{site}")), tmp_path)
    with pytest.raises(RoundError, match="nothing was recovered"):
        ran.run()
    trained = {site: why for task, site, why in ran.asking.out if task == TRAIN}
    assert sorted(trained) == ["site-2", "site-3"]
    assert all("SiteDataError" in why for why in trained.values())


def test_settings_that_hide_nobody_or_name_no_task_are_refused(data: str) -> None:
    with pytest.raises(ConfigError, match="delta"):
        job(data, privacy=Privacy(2.0, 3.0, delta=0.5), patients=6, patients_per_site=4)
    with pytest.raises(ConfigError, match="pages:x"):
        data_sets("pages:x")


def test_a_second_agreement_that_could_be_subtracted_is_refused_whatever_its_bins(data: str, tmp_path: Path) -> None:
    first = Round(job(data), tmp_path)
    first.run()
    for bins in (COARSE, FingerprintBins(per_octave=8)):
        again = Round(job(data, bins), tmp_path, before=first)
        with pytest.raises(RoundError, match="nothing was recovered"):
            again.run()
        refused = {site for _, site, why in again.asking.out if "own limit once_per_model='unnoised'" in why}
        assert refused == set(SITES)


@pytest.mark.slow
@pytest.mark.realdata
def test_four_hippocampus_sites_agree_on_the_pooled_plan_under_masks(data_root: Path, tmp_path: Path) -> None:
    source = data_root / "hippocampus"
    with (source / "sites.csv").open(newline="") as file:
        dealt = [(line["case"], line["site"]) for line in csv.DictReader(file)]
    sites = tuple(sorted({site for _, site in dealt}))
    for site in sites:
        for part in ("imagesTr", "labelsTr"):
            (tmp_path / "data" / site / part).mkdir(parents=True)
        shutil.copy(source / "dataset.json", tmp_path / "data" / site)
    for case, site in dealt:
        for part, ending in (("imagesTr", "_0000.nii.gz"), ("labelsTr", ".nii.gz")):
            (tmp_path / "data" / site / part / f"{case}{ending}").symlink_to(source / part / f"{case}{ending}")
    ran = Round(job(str(tmp_path / "data" / "{site}"), FingerprintBins(), sites=sites), tmp_path)
    result = ran.run()
    assert {str(from_shareable(sent).data_kind) for sent in ran.sent.values()} == {"ECG_FLARE_MASKED_UPDATE"}
    required_counting(ran.plan).conclude(result.model, ran.terms, tmp_path / "out")
    agreed = json.loads((tmp_path / "out" / "plans.json").read_text())
    pooled = pooled_plan(source, tmp_path)
    assert_same_plan({**agreed, "dataset_name": pooled["dataset_name"]}, pooled)
    assert agreed["configurations"]["3d_fullres"]["patch_size"] == [40, 56, 40]
    assert json.loads((tmp_path / "out" / "agreement.json").read_text())["cases"] == 160


@pytest.mark.slow
def test_three_sites_in_the_simulator_get_the_pooled_plan(data: str, tmp_path: Path) -> None:
    from flare_runs import simulate

    spec = job(data, FingerprintBins(), custom=True)
    run = simulate(spec, tmp_path, Path("custom").resolve(), threads=3)
    assert run.code == 0, run.log[-3000:]
    together = tmp_path / "together"
    for site in SITES:
        shutil.copytree(data.replace("{site}", site), together, dirs_exist_ok=True)
    described = json.loads((together / "dataset.json").read_text())
    (together / "dataset.json").write_text(json.dumps({**described, "numTraining": 6}))
    agreed = json.loads((run.results / "concluded" / "plans.json").read_text())
    pooled = pooled_plan(together, tmp_path)
    agreed["dataset_name"] = pooled["dataset_name"]
    assert_same_plan(agreed, pooled, within=1e-6)
    found = agreed["foreground_intensity_properties_per_channel"]["0"]
    expected = pooled["foreground_intensity_properties_per_channel"]["0"]
    for name, value in found.items():
        assert value == pytest.approx(expected[name], abs=1.0), name
    taken = stock_plan(run.results / "concluded" / "plans.json", trainer="nnUNetTrainer")
    assert taken.normalization == ("CTNormalization",)
    assert json.loads((run.results / "concluded" / "agreement.json").read_text())["cases"] == 6


def test_the_command_writes_the_job_and_says_what_it_costs(data: str, tmp_path: Path) -> None:
    description = str(Path(data.replace("{site}", "site-1")) / "dataset.json")
    base = ["agree", "--sites", "a,b,c", "--dataset-json", description, "-o", str(tmp_path)]
    done = CliRunner().invoke(jobs, base)
    assert done.exit_code == 0, done.output
    server = json.loads((tmp_path / "plan_agreement" / "app/config/config_fed_server.json").read_text())
    terms = JobTerms(**next(part["args"] for part in server["components"] if part["id"] == "terms"))
    assert (terms.summation, terms.min_sites, terms.rounds, terms.private) == ("masked", 3, 1, False)
    assert terms.clipping_norm == 4096  # 1000 cases of sqrt(11)
    noise = ["--noise-multiplier", "2", "--epsilon-budget", "4", "--patients", "600", "--patients-per-site", "300"]
    done = CliRunner().invoke(jobs, [*base, *noise])
    assert done.exit_code == 0, done.output
    assert "epsilon 2.17 at delta 1e-05 after 1 rounds" in done.output
    assert "each bin has noise of 6.63 patients, of 600" in done.output
    for wrong, said in (
        (noise[:2], "--noise-multiplier needs --epsilon-budget, --patients, --patients-per-site"),
        (noise[4:6], "--patients belongs to --noise-multiplier"),
        (["--planner", "Mine"], "planner is 'Mine'"),
        (["--data", "synthetic"], "Found 'synthetic'"),
        (["--dataset-name", "Dataset/../up"], "dataset_name is 'Dataset/../up'"),
    ):
        failed = CliRunner().invoke(jobs, [*base, *wrong])
        assert failed.exit_code == 2
        assert said in " ".join(failed.output.split())
