"""A data set looked over before it trains anything: what is wrong with it, case by case, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from ecg_flare.errors import SiteDataError
from ecg_flare.nnunet.kinds import counting_of
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.raw_files import RawImage
from ecg_flare.task.datasets.case import FileCase, check_case
from ecg_flare.task.datasets.folder import PATIENTS_FILE, NnunetFolder, check_source
from ecg_flare.task.inspection import CaseFacts, Finding, Inspection, too_few_patients

# The raw files, and the image and labels as float32 and int16 at the plan's spacing, compressed little.
_BYTES_PER_VALUE: Final = 8
_SAY_WHOSE: Final = (
    f"give {PATIENTS_FILE} (columns case, patient_id) a row for it, or --patient-pattern; "
    "if each case is of another patient, say --each-case-a-patient"
)
Names = Sequence[str]


def inspect_folder(
    source: NnunetFolder, site: str, plan: Plan, watch: Callable[[Names], Iterable[str]] = lambda names: names
) -> Inspection:
    """Read every case of the site's folder, and say what is wrong.

    `watch` may show how far it is: it gives the names that it is given. Raises SiteDataError where the folder, its
    dataset.json or its table of patients cannot be read at all.
    """
    told, table, names = source.description(site), source.patient_table(site), source.names(site)
    findings: list[Finding] = []
    try:
        check_source(plan, source, site)
    except SiteDataError as error:
        findings.append(Finding("", error.what, error.remedy, stops=True))
    facts: list[CaseFacts] = []
    needed = 0
    for name in watch(names):
        try:
            patient = source.patient(name, table)
            if not patient and not source.cases_are_patients:
                findings.append(Finding(name, "nothing says whose case it is", _SAY_WHOSE, stops=True))
                continue
            case = source.case(site, name, told, table)
            image = check_case(case, told.reader, len(told.plan.channels), told.values)
        except SiteDataError as error:
            findings.append(Finding(name, error.what, error.remedy, stops=True))
            continue
        needed += _prepared_bytes(image, case, plan)
        facts.append(CaseFacts(name, case.patient_id))
    findings += _patients(facts, whole=len(facts) == len(names))
    if table is not None and (absent := sorted(set(table) - set(names))):
        findings.append(
            Finding(
                "",
                f"{PATIENTS_FILE} names {len(absent)} cases that are not there, {absent[0]!r} first",
                "copy them, or strike their rows",
                stops=False,
            )
        )
    return Inspection.of(len(names), facts, findings, needed)


def _prepared_bytes(image: RawImage, case: FileCase, plan: Plan) -> int:
    """What a prepared case takes; nothing for a plan by which cases are counted as they are."""
    if counting_of(plan) is not None:
        return 0
    raw = sum(file.stat().st_size for file in (*case.images, case.labels))
    return raw + int(image.values.size * _volume(image.spacing, plan) * _BYTES_PER_VALUE)


def _volume(spacing: tuple[float, ...], plan: Plan) -> float:
    """How many values of the plan's spacing stand for one of the file's."""
    scale = 1.0
    for own, planned in zip(spacing[-len(plan.spacing) :], plan.spacing, strict=True):
        scale *= own / planned
    return scale


def _patients(cases: Sequence[CaseFacts], *, whole: bool) -> Iterator[Finding]:
    counts = Counter(case.patient_id for case in cases)
    if len(counts) < 2 and (whole or not cases):
        yield too_few_patients(len(counts), "cases")
