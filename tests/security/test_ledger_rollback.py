"""A server restores an older ledger, with its head beside it, and spends the same budget again.

Two levels: the file alone, as an auditor gets it, and whole jobs, whose sites remember what they saw.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from flare_context import make_context
from kit_job import BUDGET, PINS, SIGMA, SITES, KitJob, certificate, private

from ecg_flare.cli import main
from ecg_flare.errors import BudgetError, LedgerError
from ecg_flare.flare.server.mechanism import ChargedRound
from ecg_flare.privacy import chain
from ecg_flare.privacy.accountant import epsilon_rdp
from ecg_flare.privacy.chain import Head, read_head, witness_path
from ecg_flare.privacy.chain_tail import ChainTail
from ecg_flare.privacy.cohort import Cohort, Mechanism
from ecg_flare.privacy.countersignature import Countersignature, write_countersignatures
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.privacy.ledger import Ledger, verify
from ecg_flare.privacy.ledger_signature import ledger_signer
from secure_sum_certs import Authority, rsa_key

COHORT = Cohort("cohort", "site", ("a", "b", "c"), delta=1e-5, epsilon_budget=8.0)


def run_cli(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


# ── the file alone ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's kit, and the root CA."""
    folder, pem = tmp_path_factory.mktemp("kit"), serialization.Encoding.PEM
    key = rsa_key("server").private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.key").write_bytes(key)
    (folder / "server.crt").write_bytes(certificate("server").public_bytes(pem))
    (folder / "rootCA.pem").write_bytes(Authority().pem)
    return folder


def spend(path: Path, kit: Path, job: str, *, after_a_round: Callable[[], object] = lambda: None) -> int:
    """Run rounds until the budget stops them; how many."""
    with Ledger(path, COHORT, signer=ledger_signer(kit / "server.key", kit / "server.crt")) as ledger:
        done = 0
        while True:
            try:
                mechanism = Mechanism(job, done, 0.1, 4.0, dict.fromkeys(COHORT.roster, 1.0), 3.0, unit="site")
                ledger.release(ledger.charge(mechanism), model_sha256="0" * 64)
            except BudgetError:
                return done
            done += 1
            if done == 1:
                after_a_round()


def sign(path: Path, site: str) -> Countersignature:
    """What a site that has seen the whole ledger signs."""
    tail = ChainTail.read(path)
    return Countersignature.sign(site, tail.ledger, tail.follow(None), Authority().signer(site))


class Rolled:
    """A ledger that was spent, rolled back to its first round, and spent again."""

    def __init__(self, folder: Path, kit: Path) -> None:
        self.path, self.kit, old = folder / "ledger.jsonl", kit, folder / "old"
        self.released = spend(self.path, kit, "job-1", after_a_round=lambda: self._copy(self.path, old))
        self.remembered = read_head(self.path)
        self.witness = folder / "sites.witness"
        write_countersignatures(self.witness, [sign(self.path, site) for site in SITES[:2]])
        self._copy(old, self.path)
        self.released += spend(self.path, kit, "job-2")

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        for name in (chain.head_path, lambda path: path):
            shutil.copy(name(source), name(target))

    def verify(self, *arguments: object) -> Result:
        signed = ("--cert", self.kit / "server.crt", "--root", self.kit / "rootCA.pem")
        return run_cli("privacy", "verify", self.path, *signed, *arguments)


@pytest.fixture(scope="module")
def rolled(tmp_path_factory: pytest.TempPathFactory, kit: Path) -> Rolled:
    return Rolled(tmp_path_factory.mktemp("rolled"), kit)


def test_without_what_others_remember_a_rolled_back_ledger_holds(rolled: Rolled) -> None:
    """The attack itself: nothing in the files shows it, and twice the budget's worth was released."""
    assert rolled.verify().exit_code == 0
    assert epsilon_rdp([GaussianEvent(4.0, count=rolled.released)], 1e-5) > 1.3 * 8.0


def test_a_head_that_somebody_remembers_shows_it(rolled: Rolled) -> None:
    told = rolled.verify("--head", rolled.remembered)
    assert told.exit_code == 1
    assert f"line {rolled.remembered.lines}: is not the line that the head anchors" in told.stderr
    assert rolled.verify("--head", read_head(rolled.path)).exit_code == 0
    assert rolled.verify("--head", "7").exit_code == 1


def test_the_sites_countersignatures_show_it(rolled: Rolled) -> None:
    told = rolled.verify("--witness", rolled.witness)
    assert told.exit_code == 1
    assert "site-1 countersigned another line" in told.stderr


@pytest.mark.parametrize("guarded", [True, False])
def test_a_server_does_not_open_a_ledger_that_is_behind_its_sites(
    tmp_path: Path, kit: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    path, old = tmp_path / "ledger.jsonl", tmp_path / "old"
    spend(path, kit, "job-1", after_a_round=lambda: Rolled._copy(path, old))
    write_countersignatures(witness_path(path), [sign(path, "site-1")])
    Rolled._copy(old, path)
    if not guarded:
        monkeypatch.setattr(chain, "heads_beside", lambda path: (read_head(path),))
        assert spend(path, kit, "job-2") > 0
        return
    with pytest.raises(LedgerError, match="line 4: missing or incomplete"):
        spend(path, kit, "job-2")
    assert len(verify_without_witness(path).rounds) == 1


def verify_without_witness(path: Path) -> Any:
    witness_path(path).rename(path.with_name("away"))
    return verify(path)


# ── whole jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., KitJob]:
    def context(**options: Any) -> Any:
        return make_context(tmp_path / options.get("name", "site-1"), **options)

    def one(summation: str, job: str, **changes: Any) -> KitJob:
        made = KitJob(context, private(summation, **changes), tmp_path / f"results-{job}", job)
        made.run()
        return made

    return one


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The server's ledger as it was after the first release, with its head and its countersignatures: last night's."""
    kept, honest = tmp_path / "old", ChargedRound.release

    def released(self: ChargedRound, *arguments: Any) -> None:
        honest(self, *arguments)
        if not kept.exists():
            shutil.copytree(self.ledger._chain.path.parent, kept)

    monkeypatch.setattr(ChargedRound, "release", released)
    return kept


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("summation", ["plain", "masked"])
def test_no_site_answers_a_server_that_rolled_its_ledger_back(
    run: Callable[..., KitJob], old: Path, monkeypatch: pytest.MonkeyPatch, summation: str, guarded: bool
) -> None:
    first = run(summation, "job-1")
    assert first.panic == ""
    spent = verify(first.ledger).rounds
    assert len(spent) >= 3
    shutil.rmtree(first.ledger.parent)
    shutil.copytree(old, first.ledger.parent)
    if not guarded:
        monkeypatch.setattr(ChainTail, "follow", lambda self, held: self.head)
    second = run(summation, "job-2", rounds=8)
    charged = verify(second.ledger).rounds
    if not guarded:
        epsilon = epsilon_rdp([GaussianEvent(SIGMA, count=len(spent) + len(charged) - 1)], 1e-5)
        assert epsilon > 1.2 * BUDGET  # two jobs' models are out
        return
    assert len(charged) == 1
    refusals = [(site, why) for task, site, why in second.out if task == "train"]
    assert [site for site, _ in refusals] == [*SITES, *SITES]  # in two rounds, which end the job
    assert all("ledger_head: the ledger ends at line 3, though line" in why for _, why in refusals)
    assert "updates of 0 sites" in second.panic or "nothing was recovered" in second.panic


def test_the_sites_vouch_for_a_jobs_ledger_to_its_last_line(run: Callable[..., KitJob], tmp_path: Path) -> None:
    job = run("masked", "job-1")
    pins = tmp_path / "site-1" / "local" / "ecg_flare.json"
    root = tmp_path / "server" / "startup" / "rootCA.pem"
    copy = tmp_path / "results-job-1" / "ledger.jsonl"
    told = run_cli("privacy", "verify", copy, "--witness", witness_path(copy), "--root", root, "--pins", pins)
    assert told.exit_code == 0, told.output
    lines = len(job.ledger.read_text().splitlines())
    assert f"4 sites vouch for all up to line {lines}: site-1, site-2, site-3, site-4." in told.stdout
    assert "Some site vouches for every round that was released." in told.stdout
    server = tmp_path / "server" / "startup" / "server.crt"
    assert run_cli("privacy", "verify", copy, "--cert", server, "--root", root).exit_code == 0


def test_a_sites_own_ledger_is_signed_with_its_key(run: Callable[..., KitJob], tmp_path: Path) -> None:
    run("masked", "job-1", rounds=1)
    startup = tmp_path / "site-2" / "startup"
    [own] = (tmp_path / "site-2" / "ecg_flare_ledger").glob("*.jsonl")
    assert (
        run_cli("privacy", "verify", own, "--cert", startup / "client.crt", "--root", startup / "rootCA.pem").exit_code
        == 0
    )
    other = tmp_path / "site-1" / "startup" / "client.crt"
    assert "signature is missing or not genuine" in run_cli("privacy", "verify", own, "--cert", other).stderr


def test_an_auditor_gets_each_sites_head_from_the_site(run: Callable[..., KitJob], tmp_path: Path) -> None:
    job = run("plain", "job-1", rounds=1)
    head, signed = verify(job.ledger).head, tmp_path / "site-3.witness"
    assert str(head) in run_cli("site", "head", "--workspace", tmp_path / "site-3").stdout
    told = run_cli("site", "head", "--workspace", tmp_path / "site-3", "--site", "site-3", "-o", signed)
    assert told.exit_code == 0, told.output
    root = tmp_path / "site-3" / "startup" / "rootCA.pem"
    verified = run_cli("privacy", "verify", job.ledger, "--head", head, "--witness", signed, "--root", root)
    assert f"1 site vouches for all up to line {head.lines}: site-3." in verified.stdout
    assert Head.parse(str(head)) == head
    assert set(PINS) == set(SITES)
