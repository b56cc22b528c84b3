"""Commands for a site's engineer: check and prepare pages, a dry run of a job, the ledger's head."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ecg_flare.cli.screen import NOT_ALL, Commands, SiteName, json_option, progress, say_json, tell
from ecg_flare.errors import ConfigError, EcgFlareError

if TYPE_CHECKING:
    from ecg_flare.page.page_list import PageFile
    from ecg_flare.site.preparation import JobNeeds, Preparation
    from ecg_flare.task.inspection import Finding, Inspection
    from ecg_flare.task.traces.page_folder import PageFolder

_USAGE: Final = 2
_MM_PER_INCH: Final = 25.4
_MAX_SHOWN: Final = 20
# The text before an underscore. A name without one names no patient.
_PATTERN: Final = r"^([^_]+)_"
_EACH_ITS_OWN: Final = r"^(.+)$"

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(cls=Commands)
def site() -> None:
    """At a hospital: check and prepare pages, try a job in a dry run, report the ledger's head.

    Exit codes: 0 all is well, 3 something must be fixed first, 2 wrong use.
    """


@site.command()
@click.option("--pages", "folder", type=_FOLDER, help="Folder of page images with masks or truths.")
@click.option(
    "--reviewed",
    type=_FOLDER,
    help="Folder of readings whose confirmed leads are the masks; --pages is then where their pictures lie.",
)
@click.option(
    "--workspace",
    type=_FOLDER,
    metavar="KIT",
    help="The site's unpacked startup kit. Without it, pages are only checked.",
)
@click.option("--job", type=_FOLDER, help="The job's folder, for its plan and unit.")
@click.option("--plan", metavar="NAME", help="The plan, if no job is given.  [default: tiny]")
@click.option("--plan-hash", metavar="HEX", help="The hash of the plan, as the coordinator reports it.")
@click.option("--site", "name", type=SiteName(), help="The site's name.  [default: the kit's]")
@click.option("--dpi", type=click.FloatRange(min=0, min_open=True), help="Resolution of pages that have a mask only.")
@click.option(
    "--patient-pattern", metavar="REGEX", help="Pattern for a page's name; its first group is the patient's id."
)
@click.option("--each-page-a-patient", is_flag=True, help="Each page is of another patient.")
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for prepared pages.  [default: in the kit]",
)
@json_option
@click.pass_context
def prepare(
    ctx: click.Context,
    folder: Path | None,
    reviewed: Path | None,
    workspace: Path | None,
    job: Path | None,
    plan: str | None,
    plan_hash: str | None,
    name: str | None,
    dpi: float | None,
    patient_pattern: str | None,
    each_page_a_patient: bool,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Check pages, prepare them, and name them in the kit.

    Every page is read. Each problem is listed with what to do. The patient of a page is in patients.csv (columns page,
    patient_id), or before the first underscore of the page's name, or where --patient-pattern says.

    Pages that pass are prepared, so that the first round does not wait. local/ecg_flare_pages.json of the kit then
    names the folder, and no job can name another.

    With --reviewed, pages without masks train: the leads that a person confirmed with `ecg-flare review` are drawn as
    masks into FOLDER/confirmed. Leads that nobody confirmed, and stretches marked unreadable, are left out of the loss.

    \b
    Examples:
      ecg-flare site prepare --pages /data/ecg --dpi 200
      ecg-flare site prepare --reviewed read --pages scans --each-page-a-patient --workspace berlin
      ecg-flare site prepare --pages /data/ecg --dpi 200 --workspace berlin --job jobs_eu/fedadam_dp
    """
    try:
        if reviewed is not None:
            from ecg_flare.page.raster import NORMALIZED_PX_PER_MM

            folder, dpi = _confirmed(reviewed, folder), _MM_PER_INCH * NORMALIZED_PX_PER_MM
        if folder is None:
            raise ConfigError(
                "no pages are given: name their folder with --pages, or reviewed readings with --reviewed"
            )
        source = _source(folder, dpi, patient_pattern, each_page_a_patient=each_page_a_patient)
        done = _Prepared(source, workspace, _Wanted(job, plan, plan_hash), name, cache).run()
    except EcgFlareError as error:
        click.echo(f"Error: {error}", err=True)
        ctx.exit(_USAGE)
    if as_json:
        say_json(done.to_json())
    else:
        click.echo("\n".join(done.lines()))
    ctx.exit(0 if done.ready else NOT_ALL)


@site.command()
@click.option("--workspace", type=_FOLDER, metavar="KIT", required=True, help="The site's unpacked startup kit.")
@click.option("--job", type=_FOLDER, required=True, help="The job's folder.")
@click.option("--site", "name", type=SiteName(), help="The site's name.  [default: the kit's]")
@click.option("--steps", type=click.IntRange(1), default=1, show_default=True, help="Training steps to try.")
@json_option
@click.pass_context
def check(ctx: click.Context, workspace: Path, job: Path, name: str | None, steps: int, as_json: bool) -> None:
    """Dry run of a job: list what would leave the site.

    One step of the job runs on the site's own pages. The job's own filters and the limits of the kit apply. The server
    and the other sites are simulated in memory. Nothing is sent. If the site would refuse the job, the command says
    why.

    \b
    Example:
      ecg-flare site check --workspace berlin --job jobs_eu/fedadam_dp
    """
    from ecg_flare.cli.site_check import check_json, check_lines
    from ecg_flare.flare.site.dry_run import dry_run
    from ecg_flare.site.kit import JobFolder, Kit

    kit = Kit(workspace)
    try:
        tried = dry_run(JobFolder(job), kit, name or kit.site, steps=steps, log=tell)
    except EcgFlareError as error:
        click.echo(f"Error: {error}", err=True)
        ctx.exit(_USAGE)
    if as_json:
        say_json(check_json(tried))
    else:
        click.echo("\n".join(check_lines(tried)))
    ctx.exit(NOT_ALL if tried.refused else 0)


@site.command()
@click.option("--workspace", type=_FOLDER, metavar="KIT", required=True, help="The site's unpacked startup kit.")
@click.option("--site", "name", type=SiteName(), help="The site's name.  [default: the kit's]")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Sign it with the kit's key.")
@json_option
@click.pass_context
def head(ctx: click.Context, workspace: Path, name: str | None, output: Path | None, as_json: bool) -> None:
    """Report how much of the server's ledger this site has seen.

    An auditor of the ledger gives this to `ecg-flare privacy verify --head`, or the signed file of -o to --witness.
    With more than one ledger, -o signs the one with the most lines.

    \b
    Examples:
      ecg-flare site head --workspace berlin
      ecg-flare site head --workspace berlin -o berlin.witness
    """
    from ecg_flare.flare.site.heads import SiteHeads, sign_held
    from ecg_flare.privacy.countersignature import write_countersignatures
    from ecg_flare.site.kit import Kit

    try:
        held = sorted(SiteHeads(workspace).all(), key=lambda one: -one.head.lines)
        if output is not None:
            if not held:
                raise ConfigError(f"{workspace} has seen no ledger yet: there is nothing to sign")
            write_countersignatures(output, [sign_held(held[0], name or Kit(workspace).site, workspace)])
    except EcgFlareError as error:
        click.echo(f"Error: {error}", err=True)
        ctx.exit(_USAGE)
    if as_json:
        say_json([{"cohort": one.cohort, "ledger": one.ledger, **asdict(one.head)} for one in held])
        return
    for one in held:
        click.echo(f"{one.head}  cohort {one.cohort!r}, ledger {one.ledger}")
    if not held:
        click.echo("This site has seen no ledger yet: it took part in no job with noise.")


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


def _source(folder: Path, dpi: float | None, pattern: str | None, *, each_page_a_patient: bool) -> "PageFolder":
    from ecg_flare.task.traces.page_folder import PATIENTS_FILE, PageFolder

    said = [
        what
        for what, is_said in (
            (f"{folder / PATIENTS_FILE}", (folder / PATIENTS_FILE).exists()),
            ("--patient-pattern", pattern is not None),
            ("--each-page-a-patient", each_page_a_patient),
        )
        if is_said
    ]
    if len(said) > 1:
        raise ConfigError(f"{' and '.join(said)} both say whose page it is: keep one of them")
    chosen = _EACH_ITS_OWN if each_page_a_patient else pattern or _PATTERN
    px_per_mm = None if dpi is None else dpi / _MM_PER_INCH
    return PageFolder(str(folder.resolve()), px_per_mm=px_per_mm, patient_pattern=chosen)


@dataclass(frozen=True)
class _Wanted:
    """What pages are prepared for: a job's folder or the name of a plan, and what the plan's hash should be."""

    job: Path | None
    plan: str | None
    plan_hash: str | None

    def needs(self, site: str) -> "JobNeeds":
        from ecg_flare.site.kit import JobFolder
        from ecg_flare.site.preparation import JobNeeds

        if self.job and self.plan:
            raise ConfigError("--job and --plan both say which plan: keep one of them")
        return JobNeeds.of(JobFolder(self.job), site) if self.job else JobNeeds(self.plan or "tiny")


class _Prepared:
    """What `prepare` does and prints."""

    def __init__(
        self, source: "PageFolder", workspace: Path | None, wanted: _Wanted, name: str | None, cache: Path | None
    ) -> None:
        from ecg_flare.nnunet.kinds import plan_preset, verified_plan
        from ecg_flare.site.kit import Kit
        from ecg_flare.site.own_pages import CACHE_FOLDER

        self._source = source
        self._kit = Kit(workspace) if workspace else None
        self.site = name or (self._kit.site if self._kit else source.folder)
        self._needs = wanted.needs(self.site)
        name_of_plan, expected = self._needs.plan, wanted.plan_hash
        self.plan = verified_plan(name_of_plan, expected) if expected else plan_preset(name_of_plan)
        self._cache = str(cache.resolve()) if cache else ""
        self.cache = Path(self._cache) if cache else workspace / CACHE_FOLDER if workspace else None
        self.inspection: Inspection
        self.disk: Finding | None = None
        self.preparation: Preparation | None = None
        self.file: Path | None = None

    @property
    def ready(self) -> bool:
        return self.inspection.ready and self.disk is None

    @property
    def findings(self) -> "tuple[Finding, ...]":
        return (*([self.disk] if self.disk else []), *self.inspection.findings)

    def run(self) -> "_Prepared":
        from ecg_flare.nnunet.dataset import SiteCases
        from ecg_flare.site.own_pages import OwnPages, write_own_pages
        from ecg_flare.site.preparation import check_disk, prepare_cases
        from ecg_flare.task.traces.inspection import inspect_pages

        self.inspection = inspect_pages(self._source, self.site, _watched)
        if self.cache is not None:
            self.disk = check_disk(self.cache, self.inspection.cache_bytes)
        if self.ready and self._kit is not None and self.cache is not None:
            tell(f"preparing {self.inspection.found} pages ...")
            pages = SiteCases(self._source, self.site, self.plan, self.cache)
            self.preparation = prepare_cases(pages, self._needs, log=tell)
            self.file = write_own_pages(self._kit.local, OwnPages(self._source, self._cache))
        return self

    def to_json(self) -> dict[str, Any]:
        counts = sorted(self.inspection.cases_by_patient.values())
        return {
            "ready": self.ready,
            "site": self.site,
            "plan": self.plan.name,
            "plan_hash": self.plan.hash,
            "page_files": self.inspection.found,
            "pages_read": len(self.inspection.cases),
            "patients": len(counts),
            "max_pages_of_a_patient": max(counts, default=0),
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
        yield f"pages     {len(self.inspection.cases)} of {self.inspection.found} can be read"
        yield f"patients  {len(counts)}, with {median} pages at the median and {max(counts, default=0)} at most"
        yield f"disk      about {self.inspection.cache_bytes / 1e6:.0f} MB for prepared pages"
        yield from _finding_lines(self.findings)
        if not self.ready:
            yield "NOT READY: fix what is marked with x, and run this again."
        elif self.preparation is None:
            yield "The pages are in order. Give --workspace to prepare them."
        else:
            done = self.preparation
            how = "were prepared before" if done.reused else f"prepared in {done.seconds:.0f} s"
            yield f"prepared  {done.train} pages for training and {done.val} for validation {how}, "
            yield f"          {done.size_bytes / 1e6:.0f} MB in {done.folder}"
            yield f"READY: {self.file} names these pages to every job."


def _folder(preparation: "Preparation") -> dict[str, str]:
    return {"folder": str(preparation.folder)}


def _watched(pages: "Sequence[PageFile]") -> "Iterator[PageFile]":
    return progress(pages, "reading pages", len(pages))


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
