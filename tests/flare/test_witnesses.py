"""The server's side: who counts as a witness, what is kept of them, where the ledger lies and what a copy is."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flare_context import make_context
from kit_job import SITES, KitJob, private
from ledger_orders import new_ledger
from nvflare.apis.shareable import Shareable

from ecg_flare.cli import main
from ecg_flare.errors import LedgerError, LedgerInUseError
from ecg_flare.flare.job.ledger_messages import (
    COUNTERSIGNATURE_HEADER,
    WITNESS,
    countersignature_of,
    tail_of,
    with_countersignature,
)
from ecg_flare.flare.job.messages import TRAIN
from ecg_flare.flare.server import ledger as server_ledger
from ecg_flare.flare.server.ledger import JobPlace, ServerLog, open_server_ledger
from ecg_flare.flare.server.mechanism import GaussianMechanism
from ecg_flare.flare.server.policy import LEDGER_FILE
from ecg_flare.flare.site.heads import HEADS_FOLDER
from ecg_flare.privacy.chain import ChainWriter, Head, head_path, witness_path
from ecg_flare.privacy.cohort import Cohort
from ecg_flare.privacy.countersignature import (
    Countersignature,
    auditor,
    check_on_ledger,
    read_countersignatures,
    write_countersignatures,
)
from ecg_flare.privacy.ledger import Ledger, verify
from ecg_flare.privacy.ledger_copy import copy_ledger
from ecg_flare.privacy.secure_sum.signing import TestSigner, fingerprint
from secure_sum_certs import Authority

Contexts = Callable[..., Any]


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., KitJob]:
    def context(**options: Any) -> Any:
        return make_context(tmp_path / options.get("name", "site-1"), **options)

    def one(summation: str = "plain", name: str = "job-1", **changes: Any) -> KitJob:
        return KitJob(context, private(summation, **({"rounds": 2} | changes)), tmp_path / f"results-{name}", name)

    return one


def lines(path: Path) -> int:
    return len(path.read_bytes().splitlines())


def forgotten(answer: Shareable) -> Shareable:
    answer.set_header(COUNTERSIGNATURE_HEADER, None)
    return answer


def resigned(**changes: Any) -> Callable[[Shareable], Shareable]:
    def change(answer: Shareable) -> Shareable:
        return with_countersignature(answer, replace(countersignature_of("site-4", answer), **changes))

    return change


def by_another(answer: Shareable) -> Shareable:
    """The right head, signed with a key that the CA certified for another site."""
    told = countersignature_of("site-4", answer)
    signed = Countersignature.sign("site-4", told.ledger, told.head, Authority().signer("site-1"))
    return with_countersignature(answer, signed)


@pytest.mark.parametrize("summation", ["plain", "masked"])
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (forgotten, "site-4 did not countersign"),
        (resigned(signature=b"\0" * 256), "not genuine"),
        (resigned(head=Head(1, "0" * 64)), "site-4 countersigned 1:0000"),
        (resigned(ledger="0" * 64), "of ledger 000000000000, expected"),
        (by_another, "made out to"),
    ],
)
def test_a_site_that_does_not_sign_is_out_and_the_others_go_on(
    job: Callable[..., KitJob], summation: str, spoil: Callable[[Shareable], Shareable], why: str
) -> None:
    run = job(summation, rounds=1)
    honest = run.sites["site-4"].answer

    def answer(task: str, message: Shareable) -> Shareable:
        told = honest(task, message)
        return spoil(told) if task in (TRAIN, WITNESS) else told

    run.sites["site-4"].answer = answer  # type: ignore[method-assign]
    run.run()
    assert run.panic == ""
    assert [(task, site) for task, site, _ in run.out if task in (TRAIN, WITNESS)] == [
        (TRAIN, "site-4"),
        (WITNESS, "site-4"),
    ]
    assert [told for task, _, told in run.out if task in (TRAIN, WITNESS) and why not in told] == []
    assert [one.site for one in read_countersignatures(witness_path(run.ledger))] == list(SITES[:3])
    assert verify(run.ledger).rounds[0].released


def test_the_server_counts_pinned_certificates_alone_where_it_pins_any(
    job: Callable[..., KitJob], tmp_path: Path
) -> None:
    run = job(rounds=1)
    policy = tmp_path / "server" / "local" / "ecg_flare.json"
    policy.write_text(json.dumps({**json.loads(policy.read_text()), "pinned": {"site-2": "ab" * 32}}))
    run.run()
    assert {(site, why.split(" that ")[0]) for _, site, why in run.out} == {
        ("site-2", "site-2 countersigned with a certificate")
    }


def test_orders_bring_what_is_new_and_the_whole_to_whom_did_not_answer(
    job: Callable[..., KitJob], tmp_path: Path
) -> None:
    run, sent = job(rounds=2), {site: [] for site in SITES}
    for site in SITES:
        run.sites[site].answer = _recording(run.sites[site].answer, sent[site], fails=site == "site-4")  # type: ignore[method-assign]
    run.run()
    assert sent["site-1"] == [(0, 1), (1, 2), (3, 2)]  # (lines it has, lines it gets): two a round
    assert sent["site-4"] == [(0, 1), (0, 3), (3, 2)]
    second, again = job(name="job-2", rounds=1), {site: [] for site in SITES}
    for site in SITES:
        second.sites[site].answer = _recording(second.sites[site].answer, again[site])  # type: ignore[method-assign]
    shutil.rmtree(tmp_path / "site-2" / HEADS_FOLDER)  # the hospital lost it
    second.run()
    assert second.panic == ""
    assert again["site-2"] == again["site-1"] == [(0, 5), (5, 2)]


def _recording(honest: Any, sent: list[tuple[int, int]], *, fails: bool = False) -> Any:
    def answer(task: str, message: Shareable) -> Shareable:
        if (tail := tail_of(message)) is not None:
            sent.append((tail.base.lines, len(tail.texts)))
            if fails and len(sent) == 1:
                raise LedgerError("the site's disk is full")
        return honest(task, message)

    return answer


def test_two_jobs_of_a_server_share_its_ledger_and_its_budget(job: Callable[..., KitJob], tmp_path: Path) -> None:
    for name in ("job-1", "job-2"):
        run = job(name=name, rounds=2)
        run.run()
        assert run.panic == ""
    told = verify(run.ledger)
    assert [one.mechanism.job for one in told.rounds] == ["job-1", "job-1", "job-2"]  # the budget is for three
    assert run.ledger == tmp_path / "server" / LEDGER_FILE
    copies = [tmp_path / f"results-{name}" / "ledger.jsonl" for name in ("job-1", "job-2")]
    assert [len(verify(copy).rounds) for copy in copies] == [2, 3]


def test_a_job_never_reads_the_copy_of_the_ledger(job: Callable[..., KitJob], tmp_path: Path) -> None:
    first = job(rounds=3)
    first.run()
    shutil.rmtree(tmp_path / "results-job-1")
    again = job(rounds=3)
    again.run()
    assert len(verify(again.ledger).rounds) == 3  # the budget is spent: nothing more
    assert verify(tmp_path / "results-job-1" / "ledger.jsonl").head == verify(again.ledger).head


def test_another_ledger_among_the_results_ends_the_job_and_stays(job: Callable[..., KitJob], tmp_path: Path) -> None:
    own = tmp_path / "results-job-1" / "ledger.jsonl"
    own.parent.mkdir()
    with Ledger(own, Cohort("earlier", "site", SITES, 1e-5, 9.0)):
        before = own.read_bytes()
    run = job()
    run.run()
    assert "is no copy of this server's ledger" in run.panic
    assert own.read_bytes() == before


def test_a_ledger_that_lies_among_the_results_is_not_copied_over_itself(tmp_path: Path) -> None:
    ledger = new_ledger(tmp_path / "ledger.jsonl")
    with ChainWriter(ledger):
        inode = ledger.stat().st_ino
        copy_ledger(ledger, ledger)
        (tmp_path / "results").symlink_to(tmp_path)
        copy_ledger(ledger, tmp_path / "results" / "ledger.jsonl")
        assert ledger.stat().st_ino == inode
        copy_ledger(ledger, tmp_path / "copy.jsonl")
    assert verify(tmp_path / "copy.jsonl").anchored
    assert head_path(tmp_path / "copy.jsonl").read_bytes() == head_path(ledger).read_bytes()


def test_a_job_waits_while_another_has_the_ledger(
    context: Contexts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = context(name="server").get_engine().get_workspace()
    path = new_ledger(tmp_path / "server" / LEDGER_FILE)
    told: list[str] = []

    def opened(aborted: bool) -> Any:
        return open_server_ledger(
            GaussianMechanism(),
            private("plain", weights=dict.fromkeys(SITES[:3], 1.0)),
            JobPlace(workspace, "job-2", tmp_path / "results"),
            ServerLog(told.append, told.append),
            aborted=lambda: aborted,
        )

    other = ChainWriter(path)
    with pytest.raises(LedgerInUseError, match="another job writes"):
        opened(aborted=True)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            other.close()

    monkeypatch.setattr(server_ledger.time, "sleep", sleep)
    ledger = opened(aborted=False)
    ledger.open.close()
    assert len(waited) == 3
    assert sum("this job waits" in line for line in told) == 1


# ── the files of countersignatures ──────────────────────────────────────────────────────────────────────────────────


def sign(path: Path, site: str, signer: Any = None) -> Countersignature:
    first = ChainWriter(path)
    first.close()
    return Countersignature.sign(site, first.lines[0].digest, first.head, signer or Authority().signer(site))


@pytest.fixture
def forked(tmp_path: Path) -> Mapping[str, Path]:
    """Two ledgers with one beginning, each signed by the site that was shown it."""
    trunk = new_ledger(tmp_path / "trunk.jsonl")
    told = {}
    for site, value in (("site-1", 1), ("site-2", 2)):
        path = tmp_path / f"{site}.jsonl"
        shutil.copy(trunk, path)
        with ChainWriter(path) as chain:
            chain.append({"kind": "recovery", "torn_bytes": value})
        write_countersignatures(tmp_path / f"{site}.witness", [sign(path, site)])
        told[site] = path
    (tmp_path / "rootCA.pem").write_bytes(Authority().pem)
    return told


def test_a_ledger_shown_in_two_forms_is_found_by_the_sites_files(forked: Mapping[str, Path], tmp_path: Path) -> None:
    witnesses = [option for site in forked for option in ("--witness", str(tmp_path / f"{site}.witness"))]
    for shown, other in (("site-1", "site-2"), ("site-2", "site-1")):
        arguments = ["privacy", "verify", str(forked[shown]), *witnesses, "--root", str(tmp_path / "rootCA.pem")]
        told = CliRunner().invoke(main, arguments)
        assert told.exit_code == 1
        assert f"line 2: {other} countersigned another line 2: the server showed two ledgers" in told.stderr


def test_who_vouches_for_what_is_counted(tmp_path: Path) -> None:
    ledger = new_ledger(tmp_path / "ledger.jsonl")
    given = [sign(ledger, "site-1")]
    with ChainWriter(ledger) as chain:
        chain.append({"kind": "recovery", "torn_bytes": 1})
    given += [sign(ledger, "site-2"), sign(ledger, "site-3")]
    vouched = check_on_ledger(ledger, given, auditor(None))
    assert vouched.reach == ((2, 2), (1, 3))
    assert vouched.sites(2) == ("site-2", "site-3")
    assert vouched.sites(3) == ()
    assert check_on_ledger(ledger, [*given, sign(ledger, "site-1")], auditor(None)).reach == ((2, 3),)
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(ledger.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(LedgerError, match="line 2: missing, though site-2 countersigned line 2"):
        check_on_ledger(cut, given, auditor(None))


def test_only_the_projects_sites_vouch_where_the_root_is_given(tmp_path: Path) -> None:
    ledger, root = new_ledger(tmp_path / "ledger.jsonl"), tmp_path / "rootCA.pem"
    root.write_bytes(Authority().pem)
    unknown = {
        "was not issued by": Authority("elsewhere").signer("site-1"),
        "made out to": Authority().signer("site-2"),
        "no X.509 certificate": TestSigner(),
    }
    for why, signer in unknown.items():
        with pytest.raises(LedgerError, match=why):
            check_on_ledger(ledger, [sign(ledger, "site-1", signer)], auditor(root))
    expired = sign(ledger, "site-1", Authority().signer("site-1", days=-1))
    assert check_on_ledger(ledger, [expired], auditor(root)).reach == ((1, 1),)  # read long after
    pins = {"site-1": fingerprint(b"another certificate")}
    with pytest.raises(LedgerError, match="not the one pinned"):
        check_on_ledger(ledger, [expired], auditor(root), pins)
    assert check_on_ledger(ledger, [sign(ledger, "site-1", TestSigner())], auditor(None)).reach == ((1, 1),)
    other = new_ledger(tmp_path / "other.jsonl", "south")
    with pytest.raises(LedgerError, match="site-1 countersigned another ledger"):
        check_on_ledger(other, [expired], auditor(root))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"site-1": 3}', '{"site-1": {"lines": 1}}', "[" * 100_000])
def test_a_file_of_another_kind_is_a_ledger_error(tmp_path: Path, text: str) -> None:
    ledger = new_ledger(tmp_path / "ledger.jsonl")
    witness_path(ledger).write_text(text)
    with pytest.raises(LedgerError):
        read_countersignatures(witness_path(ledger))
    for opened in (verify, ChainWriter):
        with pytest.raises(LedgerError):
            opened(ledger)
