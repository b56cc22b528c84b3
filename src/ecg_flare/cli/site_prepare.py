"""What `ecg-flare site prepare` does and prints, for pages, data sets in nnU-Net's raw format, and torch tasks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ecg_flare.cli.screen import progress, tell
from ecg_flare.errors import ConfigError

if TYPE_CHECKING:
    from ecg_flare.nnunet.case import CaseSource
    from ecg_flare.nnunet.learnt import AgreedPlan
    from ecg_flare.site.preparation import JobNeeds, Preparation
    from ecg_flare.task.inspection import Finding, Inspection

_T = TypeVar("_T")
_MM_PER_INCH: Final = 25.4
_MAX_SHOWN: Final = 20
# The text before an underscore. A name without one names no patient.
_PATTERN: Final = r"^([^_]+)_"
_EACH_ITS_OWN: Final = r"^(.+)$"


@dataclass(frozen=True)
class Cases:
    """A site's cases: their source, of which kind of task, the folder if they lie in one, how they are looked over."""

    source: "CaseSource"
    kind: str
    folder: str
    inspect: "Callable[[str, AgreedPlan], Inspection]"


@dataclass(frozen=True)
class Given:
    """What the command was told of the site's cases.

    Attributes:
        folder: of pages; or of the pictures of `reviewed`.
        dataset: in nnU-Net's raw format.
        reviewed: folder of readings.
        source: file that names a case source of a torch task.
        dpi: of pages that have a mask only.
        pattern: for the patient's id.
        each_a_patient: each case is of another patient.
        workspace: the site's kit, which lists the extensions that a source may be of.
    """

    folder: Path | None
    dataset: Path | None
    reviewed: Path | None
    source: Path | None
    dpi: float | None
    pattern: str | None
    each_a_patient: bool
    workspace: Path | None = None

    def cases(self) -> Cases:
        """The cases; raises ConfigError where they are given twice, or not at all."""
        if self.source is not None:
            return self._source(self.source)
        if self.dataset is not None:
            return self._dataset(self.dataset)
        folder, dpi = self.folder, self.dpi
        if self.reviewed is not None:
            from ecg_flare.page.raster import NORMALIZED_PX_PER_MM

            folder, dpi = _confirmed(self.reviewed, folder), _MM_PER_INCH * NORMALIZED_PX_PER_MM
        if folder is None:
            raise ConfigError(
                "no pages are given: name their folder with --pages, reviewed readings with --reviewed, a data set "
                "with --dataset, or the cases of a torch task with --source"
            )
        return self._pages(folder, dpi)

    def _pages(self, folder: Path, dpi: float | None) -> Cases:
        from ecg_flare.task.traces.inspection import inspect_pages
        from ecg_flare.task.traces.page_folder import PATIENTS_FILE, PageFolder
        from ecg_flare.task.traces.plans import KIND_NAME

        self._check_patients(folder / PATIENTS_FILE)
        chosen = _EACH_ITS_OWN if self.each_a_patient else self.pattern or _PATTERN
        px_per_mm = None if dpi is None else dpi / _MM_PER_INCH
        source = PageFolder(str(folder.resolve()), px_per_mm=px_per_mm, patient_pattern=chosen)
        return Cases(source, KIND_NAME, source.folder, lambda site, plan: inspect_pages(source, site, _watched))

    def _dataset(self, folder: Path) -> Cases:
        from ecg_flare.nnunet.kinds import nnunet_plan
        from ecg_flare.task.datasets.folder import PATIENTS_FILE, NnunetFolder
        from ecg_flare.task.datasets.inspection import inspect_folder
        from ecg_flare.task.datasets.plans import KIND_NAME

        self._check_alone("--dataset", {"--pages": self.folder, "--reviewed": self.reviewed, "--dpi": self.dpi})
        self._check_patients(folder / PATIENTS_FILE)
        source = NnunetFolder(
            str(folder.resolve()), patient_pattern=self.pattern or "", cases_are_patients=self.each_a_patient
        )

        def inspect(site: str, plan: "AgreedPlan") -> "Inspection":
            return inspect_folder(source, site, nnunet_plan(plan), _watched)

        return Cases(source, KIND_NAME, source.folder, inspect)

    def _source(self, file: Path) -> Cases:
        from ecg_flare.flare.job.extensions import load_kits_extensions
        from ecg_flare.site.kit import Kit
        from ecg_flare.site.own_pages import read_cases_file
        from ecg_flare.task.modules.inspection import inspect_examples
        from ecg_flare.task.modules.plan import KIND_NAME

        others = {"--pages": self.folder, "--dataset": self.dataset, "--reviewed": self.reviewed, "--dpi": self.dpi}
        self._check_alone("--source", others)
        whose = {"--patient-pattern": self.pattern, "--each-case-a-patient": self.each_a_patient or None}
        if said := [name for name, value in whose.items() if value is not None]:
            raise ConfigError(f"{said[0]} does not go with --source: each case of a source says whose it is")
        if self.workspace is not None:
            load_kits_extensions(self.workspace, Kit(self.workspace).site)
        source = read_cases_file(file, "Name a class and its arguments, as local/ecg_flare_pages.json does.").source

        def watched(cases: Iterable[_T]) -> Iterator[_T]:
            return progress(cases, "reading cases")

        return Cases(source, KIND_NAME, "", lambda site, plan: inspect_examples(source, site, watched))

    def _check_alone(self, option: str, others: Mapping[str, object]) -> None:
        if said := [name for name, value in others.items() if value is not None]:
            raise ConfigError(f"{option} and {said[0]} name cases of different tasks: keep one of them")

    def _check_patients(self, table: Path) -> None:
        said = [
            what
            for what, is_said in (
                (f"{table}", table.exists()),
                ("--patient-pattern", self.pattern is not None),
                ("--each-case-a-patient", self.each_a_patient),
            )
            if is_said
        ]
        if len(said) > 1:
            raise ConfigError(f"{' and '.join(said)} both say whose case it is: keep one of them")


def _confirmed(reviewed: Path, pictures: Path | None) -> Path:
    """Draw the masks of confirmed readings; the folder that they are drawn into."""
    from ecg_flare.digitize.options import ReadingOptions
    from ecg_flare.review.confirmed_pages import draw_confirmed
    from ecg_flare.review.folder import ReviewFolder

    opened = ReviewFolder.opened(reviewed, () if pictures is None else (pictures,))
    done = draw_confirmed(opened, ReadingOptions(), lambda pages: progress(pages, "drawing masks"))
    tell(f"{len(done.names)} confirmed pages, {done.drawn} of them drawn now, in {done.folder}")
    for name, why in done.left_out:
        tell(f"! {name} is left out: {why}")
    return done.folder


@dataclass(frozen=True)
class Wanted:
    """What cases are prepared for: a job's folder or the name of a plan, and what the plan's hash should be."""

    job: Path | None
    plan: str | None
    plan_hash: str | None

    def needs(self, site: str) -> "JobNeeds":
        from ecg_flare.site.kit import JobFolder
        from ecg_flare.site.preparation import JobNeeds

        if self.job and self.plan:
            raise ConfigError("--job and --plan both say which plan: keep one of them")
        return JobNeeds.of(JobFolder(self.job), site) if self.job else JobNeeds(self.plan or "tiny")


class Prepared:
    """What `prepare` does and prints."""

    def __init__(
        self, cases: Cases, workspace: Path | None, wanted: Wanted, name: str | None, cache: Path | None
    ) -> None:
        from ecg_flare.nnunet.kinds import cases_kind, counting_of, plan_of, verified_plan
        from ecg_flare.site.kit import Kit
        from ecg_flare.site.own_pages import CACHE_FOLDER

        self._cases = cases
        self._kit = Kit(workspace) if workspace else None
        self.site = name or (self._kit.site if self._kit else cases.folder)
        if not self.site:
            raise ConfigError("a source gives each site its own cases: say whose by --site, or give --workspace")
        self._needs = needs = wanted.needs(self.site)
        expected = wanted.plan_hash
        self.plan = (
            verified_plan(needs.plan, expected, needs.document) if expected else plan_of(needs.plan, needs.document)
        )
        if cases_kind(self.plan) != cases.kind:
            raise ConfigError(
                f"the plan {self.plan.name!r} is for a task of kind {self.plan.kind!r}, the cases are of kind "
                f"{cases.kind!r}: give the right --job"
            )
        self._counts = counting_of(self.plan) is not None
        self._cache = str(cache.resolve()) if cache else ""
        self.cache = Path(self._cache) if cache else workspace / CACHE_FOLDER if workspace else None
        self.inspection: Inspection
        self.machine: list[Finding] = []
        self.preparation: Preparation | None = None
        self.file: Path | None = None

    @property
    def ready(self) -> bool:
        return not any(finding.stops for finding in self.findings)

    @property
    def findings(self) -> "tuple[Finding, ...]":
        return (*self.machine, *self.inspection.findings)

    def run(self) -> "Prepared":
        from ecg_flare.nnunet.learnt import SiteCases
        from ecg_flare.site.own_pages import OwnPages, write_own_pages
        from ecg_flare.site.preparation import check_disk, check_memory, prepare_cases

        if not self._counts:
            self.machine += check_memory(self.plan, self._needs)
        self.inspection = self._cases.inspect(self.site, self.plan)
        if self.cache is not None:
            self.machine += check_disk(self.cache, self.inspection.cache_bytes)
        if self.ready and self._kit is not None and self.cache is not None:
            if not self._counts:
                tell(f"preparing {self.inspection.found} cases ...")
                cases = SiteCases(self._cases.source, self.site, self.plan, self.cache)
                self.preparation = prepare_cases(cases, self._needs, log=tell)
            self.file = write_own_pages(self._kit.local, OwnPages(self._cases.source, self._cache))
        return self

    def to_json(self) -> dict[str, Any]:
        counts = sorted(self.inspection.cases_by_patient.values())
        return {
            "ready": self.ready,
            "site": self.site,
            "plan": self.plan.name,
            "plan_hash": self.plan.hash,
            "cases_found": self.inspection.found,
            "cases_read": len(self.inspection.cases),
            "patients": len(counts),
            "max_cases_of_a_patient": max(counts, default=0),
            "findings": [asdict(finding) for finding in self.findings],
            "cache_bytes_needed": self.inspection.cache_bytes,
            "prepared": None if self.preparation is None else asdict(self.preparation) | _folder(self.preparation),
            "written": None if self.file is None else str(self.file),
        }

    def lines(self) -> Iterator[str]:
        counts = sorted(self.inspection.cases_by_patient.values())
        median = counts[len(counts) // 2] if counts else 0
        yield f"site      {self.site}"
        yield f"plan      {self.plan.name}, hash {self.plan.hash}"
        yield f"cases     {len(self.inspection.cases)} of {self.inspection.found} can be read"
        yield f"patients  {len(counts)}, with {median} cases at the median and {max(counts, default=0)} at most"
        yield f"disk      about {self.inspection.cache_bytes / 1e6:.0f} MB for prepared cases"
        yield from _finding_lines(self.findings)
        if not self.ready:
            yield "NOT READY: fix what is marked with x, and run this again."
        elif self._counts and self.file is not None:
            yield f"READY: {self.file} names these cases to every job. They are counted as they are."
        elif self.preparation is None:
            yield "The cases are in order. Give --workspace to prepare them."
        else:
            done = self.preparation
            how = "were prepared before" if done.reused else f"prepared in {done.seconds:.0f} s"
            yield f"prepared  {done.train} cases for training and {done.val} for validation {how}, "
            yield f"          {done.size_bytes / 1e6:.0f} MB in {done.folder}"
            yield f"READY: {self.file} names these cases to every job."


def _folder(preparation: "Preparation") -> dict[str, str]:
    return {"folder": str(preparation.folder)}


def _watched(cases: Sequence[_T]) -> Iterator[_T]:
    return progress(cases, "reading cases", len(cases))


def _finding_lines(findings: "Sequence[Finding]") -> Iterator[str]:
    for finding in findings[:_MAX_SHOWN]:
        mark = "x" if finding.stops else "!"
        yield f"{mark} {finding.case or 'the folder'}: {finding.what}"
        if finding.remedy:
            yield f"    -> {finding.remedy}"
    if len(findings) > _MAX_SHOWN:
        rest = findings[_MAX_SHOWN:]
        yield f"  ... and {len(rest)} more; --json has all of them"
        if stopping := dict.fromkeys(finding.case or "the folder" for finding in rest if finding.stops):
            yield f"  x {', '.join(stopping)}"
