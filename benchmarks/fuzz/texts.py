"""Records, tables, truths, profiles, layouts, runs, ledgers, models and a site's own files."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import cv2
import numpy as np
from nvflare.apis.workspace import Workspace

from benchmarks.fuzz.mutation import (
    change_bytes,
    change_json,
    change_json_lines,
    change_lines,
    change_tree,
    change_yaml,
)
from benchmarks.fuzz.runs import Parser, memory_folder
from ecg_flare.ecg.formats.study import read_patients
from ecg_flare.ecg.ptbxl import DATABASE_FILE, read_database
from ecg_flare.ecg.record import read_wfdb, write_wfdb
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.federated.parts import Clipping, Privacy, Roster
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.server.persistor import read_state
from ecg_flare.flare.server.policy import read_server_policy
from ecg_flare.flare.site.admission import check_admission, job_terms, own_code
from ecg_flare.flare.site.heads import SiteHeads
from ecg_flare.flare.site.policy import POLICY_FILE, SitePolicy, read_policy
from ecg_flare.flare.summation.last_sum import LastSum
from ecg_flare.nnunet.export import load_model, save_model
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import parameter_count
from ecg_flare.page.degrade import apply
from ecg_flare.page.files import add_patients, save_page
from ecg_flare.page.layout import parse_layout
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.render import render_page
from ecg_flare.page.site_profile import parse_profile
from ecg_flare.page.style import PageStyle
from ecg_flare.privacy.chain import EMPTY, ChainWriter, read_chain, read_countersigned, read_head
from ecg_flare.privacy.chain_tail import ChainTail
from ecg_flare.privacy.cohort import Cohort, Mechanism
from ecg_flare.privacy.countersignature import Countersignature, read_countersignatures, write_countersignatures
from ecg_flare.privacy.ledger import Ledger, verify
from ecg_flare.privacy.secure_sum.context import Member
from ecg_flare.privacy.secure_sum.memory import FileRoundMemory, Progress, Step
from ecg_flare.privacy.secure_sum.recovered_sums import FileModelMemory, HiddenSum, record_recovery
from ecg_flare.report.build import write_report
from ecg_flare.report.compare import Named, compare
from ecg_flare.report.compare.cautions import cautions
from ecg_flare.report.compare.page import render_comparison
from ecg_flare.report.compare.table import comparison_json
from ecg_flare.report.run import read_run
from ecg_flare.report.table import rounds_table, summary
from ecg_flare.report.watch import look, watch_json, watch_lines
from ecg_flare.site.kit import JobFolder, Kit
from ecg_flare.site.own_pages import OWN_PAGES_FILE, read_own_pages
from ecg_flare.storage import read_arrays, write_arrays
from ecg_flare.task.traces.page_folder import PATIENTS_FILE, PageFolder

Files = dict[str, bytes]
"""Files of one input, by name."""

Change = Callable[[np.random.Generator, bytes], bytes]

_JOBS: Final = Path(__file__).parents[2] / "jobs"
_SITE: Final = "site-1"


def one_of(changes: Mapping[str, Change]) -> Callable[[np.random.Generator, Files], Files]:
    """A change of one of the files, by its ending."""

    def change(rng: np.random.Generator, files: Files) -> Files:
        names = [name for name in files if any(name.endswith(ending) for ending in changes)]
        name = names[int(rng.integers(len(names)))]
        ending = next(ending for ending in changes if name.endswith(ending))
        return {**files, name: changes[ending](rng, files[name])}

    return change


def _written(write: Callable[[Path], object]) -> Files:
    with TemporaryDirectory(dir=memory_folder()) as text:
        folder = Path(text)
        write(folder)
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put(files: Files, folder: Path) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


# --- pages and records --------------------------------------------------------------------------------------------


@cache
def _page() -> Files:
    rng = np.random.default_rng(1)
    recording = synthesize(rng).resampled(40.0)
    page = render_page(recording, PageStyle(dpi=50.0, paper="chart"), rng)
    files = _written(lambda folder: save_page(page, recording, folder, "p"))
    truth = json.loads(files["p.json"])
    for trace in truth["traces"]:
        trace["polyline"] = trace["polyline"][:20]  # so that changes fall elsewhere, too
    return {**files, "p.json": json.dumps(truth).encode()}


@cache
def _records() -> tuple[Files, ...]:
    whole = synthesize(np.random.default_rng(2))
    recording = replace(whole, signal_mv=whole.signal_mv[:3], lead_names=whole.lead_names[:3])
    files = _written(lambda folder: write_wfdb(recording, folder, "r"))
    header = files["r.hea"]
    others = {"212": header.replace(b" 16 ", b" 212 "), "80": header.replace(b" 16 ", b" 80 ")}
    others["outside"] = header.replace(b"r.dat", b"../r.dat")
    return files, files, files, *({**files, "r.hea": each} for each in others.values())


def _read_record(files: Files, folder: Path) -> None:
    put(files, folder)
    read_wfdb(folder / "r.hea").resampled(500.0)


def _read_page(files: Files, folder: Path) -> None:
    put(files, folder)
    source = PageFolder(str(folder))
    source.case(PageFile(folder / "p.png", 1, "p"), None)


@cache
def _masked_page() -> Files:
    whole = _page()
    image = cv2.imdecode(np.frombuffer(whole["p.png"], np.uint8), cv2.IMREAD_COLOR)
    mask = cv2.imdecode(np.frombuffer(whole["p.mask.png"], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None, "save_page wrote the picture"
    assert mask is not None, "save_page wrote the mask"
    small = (image[:90, :120], mask[:90, :120])
    return {
        name: cv2.imencode(".png", each)[1].tobytes() for name, each in zip(("p.png", "p.mask.png"), small, strict=True)
    }


def _read_masked_page(files: Files, folder: Path) -> None:
    put(files, folder)
    PageFolder(str(folder), px_per_mm=4.0).case(PageFile(folder / "p.png", 1, "p"), None)


_PATIENTS: Final = b'page,patient_id\np,anna\nq.png,"bert, b."\nr,carl\n'


def _read_patients(data: bytes, folder: Path) -> None:
    (folder / PATIENTS_FILE).write_bytes(data)
    PageFolder(str(folder)).patient_table("a")
    add_patients(folder, {"new": "dora"})


_STUDIES: Final = b"""file,patient_id,authority,patient_name,birth_date,sex,recorded_at
scan.png,4711,1.2.276.0.76.4.17,Roe^Jane,1950-12-24,F,2019-03-31T14:05:00
photo.jpg,4712,,,,M,
"""


def _read_studies(data: bytes, folder: Path) -> None:
    (folder / "studies.csv").write_bytes(data)
    read_patients(folder / "studies.csv")


_DATABASE: Final = (
    b"ecg_id,patient_id,site,device,strat_fold,scp_codes,filename_hr\n"
    b"1,15709.0,0.0,CS-12   E,3,\"{'NORM': 100.0, 'LVOLT': 0.0, 'SR': 0.0}\",records500/00000/00001_hr\n"
    b"2,13243.0,,AT-6,8,{},records500/00000/00002_hr\n"
)


def _read_database(data: bytes, folder: Path) -> None:
    (folder / DATABASE_FILE).write_bytes(data)
    read_database(folder)


def _packaged(folder: str) -> Callable[[], Sequence[bytes]]:
    @cache
    def samples() -> tuple[bytes, ...]:
        files = resources.files("ecg_flare.page").joinpath(folder).iterdir()
        return tuple(file.read_bytes() for file in sorted(files, key=lambda file: file.name))

    return samples


@cache
def _printed() -> Any:
    rng = np.random.default_rng(1)
    return render_page(synthesize(rng), PageStyle(dpi=50.0), rng)


def _read_profile(data: bytes, _: Path) -> None:
    profile = parse_profile(data.decode("utf-8", "replace"), "mine.yaml", "mine")
    rng = np.random.default_rng(0)
    profile.draw_style(rng)
    for degradation in profile.draw_degradations(rng)[:3]:
        apply(_printed(), degradation)


def _read_layout(data: bytes, folder: Path) -> None:
    layout = parse_layout(data.decode("utf-8", "replace"), "mine.yaml", "mine")
    _ = layout.duration_s, layout.rhythm_rows


# --- runs and ledgers ---------------------------------------------------------------------------------------------

_TERMS: Final = {
    "sites": {
        "weights": {"site-1": 1.0, "site-2": 1.0, "site-3": 1.0},
        "min_sites": 3,
        "hidden": None,
    },
    "rounds": 2,
    "model": {"plan": "tiny", "trained": ["*"]},
    "clipping": {
        "norm": 0.5,
        "adaptive": {"quantile": 0.5, "rate": 0.2, "count_noise": 5.0, "least": 0.1, "most": 10.0},
    },
    "projection": {"size": 100, "seed": 3},
    "privacy": {"noise_multiplier": 1.0, "epsilon_budget": 8.0, "delta": 1e-5},
    "sampling": {"rate": 0.5, "patients": 20, "patients_per_site": 10, "shared_patients": False},
    "summation": "masked",
    "nonce": "",
}


@cache
def _run() -> Files:
    rounds = [
        {
            "round": index,
            "dice": 0.5 + index / 10,
            "pages": "ab" * 32,
            "sites_dice": 0.4,
            "measures": {"snr_db": 12.5},
            "failure": "",
            "update_norm": 0.25 * index,
            "answered": ["site-1"] * (index > 0),
            "missing": ["site-2"] * (index > 0),
            "bytes_down": 3000 * index,
            "bytes_up": 1500 * index,
            "epsilon_rdp": float(index),
            "epsilon_prv": 0.9 * index,
            "seconds_by_step": {"train": 10.0, "aggregate": 1.0, "evaluate": 2.0},
            "site_metrics": {"site-1": {"loss": -0.5, "update_norm": 1.0, "clipped": 1.0}} if index else {},
        }
        for index in range(3)
    ]
    facts = {"job": "j", "version": "0", "aggregator": "FedAdam", "optimizer": {"lr": 0.1}, "started": "2026-01-01"}
    facts |= {"training": {"steps": 5, "momentum": 0.9}, "public_pages": {"path": "p", "args": {"seed": 1}}}
    return {
        "run.json": json.dumps({**facts, "terms": _TERMS}).encode(),
        "metrics.jsonl": "".join(json.dumps(line) + "\n" for line in rounds).encode(),
        "ended.json": json.dumps({"outcome": "finished"}).encode(),
    }


# Of a drawing: a step or a site may be called "inf".
_NO_FIGURE: Final = re.compile(r'\b(?:x|y|x1|x2|y1|y2|cx|cy|r|d|width|height|points)="[^"]*(?:nan|inf)', re.IGNORECASE)


def _read_run(files: Files, folder: Path) -> None:
    put(files, folder)
    watched = look(folder)
    watch_lines(watched)
    json.dumps(watch_json(watched), allow_nan=False).encode()
    run = read_run(folder)
    json.dumps(summary(run), allow_nan=False)
    rounds_table(run)
    html = write_report(run, folder / "report.html", pages=0).read_text(encoding="utf-8")
    compared = compare([Named(run), Named(replace(run, folder=folder / "again"))])
    json.dumps(comparison_json(compared, cautions(compared)), allow_nan=False)
    html += render_comparison(compared)
    if "<script>alert" in html or _NO_FIGURE.search(html):
        raise AssertionError("the report holds markup of the run's, or figures that are none")


@cache
def _ledger() -> Files:
    def write(folder: Path) -> None:
        cohort = Cohort("c", "patient", ("a", "b"), delta=1e-5, epsilon_budget=8.0)
        how: dict[str, Any] = {"weights": {"a": 1.0, "b": 1.0}, "denominator": 20.0, "patients": 20}
        with Ledger(folder / "ledger.jsonl", cohort) as ledger:
            for index in range(2):
                charged = ledger.charge(Mechanism("j", index, 0.5, 5.0, sampling="poisson", unit="patient", **how))
                ledger.release(charged, model_sha256="a" * 64, noised_sum_sha256="b" * 64)

    return _written(write)


def _change_ledger(rng: np.random.Generator, files: Files) -> Files:
    """A change of the files' text, or one of an entry, chained anew so that only what it says is wrong."""
    if rng.random() < 0.5:
        return one_of({".jsonl": change_json_lines, ".head": change_json})(rng, files)

    def write(folder: Path) -> None:
        put(files, folder)
        entries = [line.entry for line in read_chain(folder / "ledger.jsonl").lines]
        at = int(rng.integers(len(entries)))
        (folder / "ledger.jsonl").unlink()
        (folder / "ledger.jsonl.head").unlink()
        with ChainWriter(folder / "ledger.jsonl") as writer:
            for index, entry in enumerate(entries):
                try:
                    writer.append(change_tree(rng, entry) if index == at else entry)
                except (ValueError, TypeError, RecursionError):  # not every change can be written as JSON
                    writer.append(entry)

    return _written(write)


def _read_ledger(files: Files, folder: Path) -> None:
    put(files, folder)
    path = folder / "ledger.jsonl"
    read_head(path)
    verify(path)
    with Ledger(path, Cohort("c", "patient", ("a", "b"), delta=1e-5, epsilon_budget=8.0)) as ledger:
        ledger.spent()


# --- models and a site's own files --------------------------------------------------------------------------------


@cache
def _model() -> Files:
    plan = plan_preset("tiny")
    return _written(
        lambda folder: save_model(folder / "m.npz", np.zeros(parameter_count(plan), np.float32), plan, {"a": 1})
    )


@cache
def _arrays() -> Files:
    state = {
        "rounds_done": 1,
        "dice": 0.5,
        "plan_hash": "a",
        "layout_digest": "b",
        "terms_digest": "c",
        "shares": [0.5],
    }
    fields = np.frombuffer(json.dumps(state).encode(), np.uint8)
    arrays: dict[str, np.ndarray] = {"model": np.zeros(50, np.float32), "fields": fields, "optimizer.m": np.zeros(50)}
    return _written(lambda folder: write_arrays(folder / "m.npz", arrays))


def _read_model(files: Files, folder: Path) -> None:
    put(files, folder)
    load_model(folder / "m.npz")


def _read_state(files: Files, folder: Path) -> None:
    put(files, folder)
    read_arrays(folder / "m.npz")
    read_state(folder / "m.npz")


_POLICY: Final = {
    "summations": ["masked"],
    "min_cohort": 3,
    "min_threshold": 3,
    "max_clipping_norm": 1.0,
    "min_noise_multiplier": 0.8,
    "max_epsilon": 4.0,
    "delta": 1e-5,
    "weights": {"site-1": 1.0, "site-2": 1.0, "site-3": 1.0},
    "pinned": {"site-1": "ab" * 32, "site-2": "cd" * 32},
}
_OWN_PAGES: Final = {
    "source": {"path": "ecg_flare.task.traces.page_folder.PageFolder", "args": {"folder": "/x"}},
    "cache": "/y",
}


@cache
def _three_sites() -> JobTerms:
    roster = Roster({f"site-{index}": 1.0 for index in (1, 2, 3)}, min_sites=3)
    return JobTerms(
        roster, rounds=2, summation="masked", clipping=Clipping(0.5), privacy=Privacy(1.0, epsilon_budget=8.0)
    )


def _read_policy(data: bytes, folder: Path) -> None:
    put({f"local/{POLICY_FILE}": data, "startup/fed_client.json": b"{}"}, folder)
    policy = read_policy(Workspace(str(folder), _SITE))
    _ = policy.fingerprints
    policy.check(_three_sites())


def _read_own_pages(data: bytes, folder: Path) -> None:
    (folder / OWN_PAGES_FILE).write_bytes(data)
    read_own_pages(folder)  # where it leads is not followed: a changed path may be a folder of this machine


@cache
def _jobs() -> tuple[Files, ...]:
    return tuple(
        {
            name: (_JOBS / job / name).read_bytes()
            for name in ("meta.json", "app/config/config_fed_client.json", "app/config/config_fed_server.json")
        }
        for job in ("fedadam_dp", "fedavg", "fedadam_secure")
    )


def _read_job(files: Files, folder: Path) -> None:
    put(files, folder / "job")
    put({**_KIT_FILES, "local/privacy.json": b"{}"}, folder / "kit")
    job, kit = JobFolder(folder / "job"), Kit(folder / "kit")
    job.carries_code(_SITE)
    terms = job_terms(job, kit.site)
    check_admission(job, kit, _SITE, terms)
    own_code(job, _SITE)


_KIT_FILES: Final = {
    "startup/fed_client.json": b'{"format_version": 2, "client": {"fqsn": "site-1", "ssl_cert": "client.crt"}}',
    "local/resources.json": b'{"components": [{"id": "a", "path": "b", "args": {}}], "allow_log_streaming": false}',
}


def _read_kit(files: Files, folder: Path) -> None:
    from ecg_flare.flare.site.admission import streams_logs

    put(files, folder)
    streams_logs(Kit(folder))
    _ = Kit(folder).site


def _answered(folder: Path) -> None:
    memory = FileRoundMemory(folder / "answered.json")
    memory.update("job", lambda _: Progress(3, 1, Step.MASKED, "ab", (5,), 1))
    memory.update("other", lambda _: Progress(0, 2**255, Step.KEYS, "cd"))


def _read_answered(files: Files, folder: Path) -> None:
    put(files, folder)
    memory = FileRoundMemory(folder / "answered.json")
    memory.load("job")
    memory.update("job", lambda _: Progress(4, 0, Step.KEYS, "ab"))


_RECOVERED_FROM: Final = b"\xab" * 32
_RECOVERED: Final = HiddenSum("job", (Member("site-1", b"f" * 32), Member("site-2", b"g" * 32)), 0.5, noised=True)


def _recovered(folder: Path) -> None:
    record_recovery(FileModelMemory(folder), _RECOVERED_FROM, _RECOVERED, "unnoised")


def _read_recovered(files: Files, folder: Path) -> None:
    put(files, folder)
    record_recovery(FileModelMemory(folder), _RECOVERED_FROM, _RECOVERED, "unnoised")


@cache
def _witness() -> Files:
    """A ledger's head as a site holds it, as sites signed it, and the lines that a request brings of it."""

    def write(folder: Path) -> None:
        put(_ledger(), folder)
        tail = ChainTail.read(folder / "ledger.jsonl")
        held = SiteHeads(folder / "site").advance(tail, SitePolicy())
        signed = Countersignature(_SITE, held.ledger, held.head, b"certificate", b"signature")
        write_countersignatures(folder / "ledger.jsonl.witness", [signed])
        LastSum(folder).record(_RECOVERED_FROM, (_SITE, "site-2"))

    return _written(write)


def _read_witness(files: Files, folder: Path) -> None:
    put(files, folder)
    ledger = folder / "ledger.jsonl"
    read_countersignatures(folder / "ledger.jsonl.witness")
    read_countersigned(ledger)
    LastSum(folder).sites(_RECOVERED_FROM)
    texts = tuple(ledger.read_bytes().split(b"\n")[:-1])
    identity = next(iter(SiteHeads(folder / "site").all())).ledger
    SiteHeads(folder / "site").advance(ChainTail(identity, EMPTY, texts), SitePolicy())


_SERVER: Final = {
    "ledger": "ledger.jsonl",
    "cohort": "north",
    "unit": "patient",
    "delta": 1e-5,
    "epsilon_budget": 8.0,
    "pinned": {"site-1": "ab" * 32},
    "results_folders": ["/srv/ecg"],
}


def _read_server_policy(data: bytes, folder: Path) -> None:
    put({f"local/{POLICY_FILE}": data, "startup/fed_server.json": b"{}"}, folder)
    workspace = Workspace(str(folder), "server")
    policy = read_server_policy(workspace)
    _ = policy.fingerprints, read_policy(workspace)
    policy.cohort_of(_three_sites(), folder / "none.jsonl")


TEXTS: Final = (
    Parser("wfdb", _records, one_of({".hea": change_lines, ".dat": change_bytes}), _read_record),
    Parser("page and truth", lambda: [_page()], one_of({"p.json": change_json}), _read_page),
    Parser("page and mask", lambda: [_masked_page()], one_of({".png": change_bytes}), _read_masked_page),
    Parser("patients.csv", lambda: [_PATIENTS], change_lines, _read_patients),
    Parser("patients of pages", lambda: [_STUDIES], change_lines, _read_studies),
    Parser("ptbxl_database.csv", lambda: [_DATABASE], change_lines, _read_database),
    Parser("profile", _packaged("profiles"), change_yaml, _read_profile),
    Parser("layout", _packaged("layouts"), change_yaml, _read_layout),
    Parser("metrics.jsonl", lambda: [_run()], one_of({".jsonl": change_json_lines}), _read_run),
    Parser("run.json", lambda: [_run()], one_of({"run.json": change_json, "ended.json": change_json}), _read_run),
    Parser("ledger", lambda: [_ledger()], _change_ledger, _read_ledger),
    Parser("model", lambda: [_model()], one_of({".npz": change_bytes}), _read_model),
    Parser("state", lambda: [_arrays()], one_of({".npz": change_bytes}), _read_state),
    Parser(POLICY_FILE, lambda: [json.dumps(_POLICY).encode()], change_json, _read_policy),
    Parser(OWN_PAGES_FILE, lambda: [json.dumps(_OWN_PAGES).encode()], change_json, _read_own_pages),
    Parser("job", _jobs, one_of({".json": change_json}), _read_job),
    Parser("kit", lambda: [_KIT_FILES], one_of({".json": change_json}), _read_kit),
    Parser("answered rounds", lambda: [_written(_answered)], one_of({".json": change_json}), _read_answered),
    Parser("recovered sums", lambda: [_written(_recovered)], one_of({".json": change_json}), _read_recovered),
    Parser("witness", lambda: [_witness()], one_of({".json": change_json, ".witness": change_json}), _read_witness),
    Parser("request's ledger", lambda: [_witness()], one_of({".jsonl": change_json_lines}), _read_witness),
    Parser("server policy", lambda: [json.dumps(_SERVER).encode()], change_json, _read_server_policy),
)
