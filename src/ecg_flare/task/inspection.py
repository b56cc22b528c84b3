"""A site's cases looked over before they train anything: what is wrong with which, and what to do."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something wrong: at a case (or '' for the folder), what was found, what to do, and whether it stops training."""

    case: str
    what: str
    remedy: str
    stops: bool


def too_few_patients(patients: int, cases: str) -> Finding:
    """Return that the `cases` of so few patients, in the task's word for them, cannot be divided for validation."""
    return Finding(
        "",
        f"the {cases} that can be read are of {patients} patients",
        "two at least are needed: validation is on others than training; check how patients are distinguished",
        stops=True,
    )


@dataclass(frozen=True)
class CaseFacts:
    """A case that can be read: its name, and whose it is."""

    name: str
    patient_id: str


@dataclass(frozen=True)
class Inspection:
    """What was found in a folder.

    Attributes:
        found: how many cases there are.
        cases: those that can be read.
        findings: what is wrong or was left out, what stops training first.
        cache_bytes: disk that the prepared cases take, with some to spare.
    """

    found: int
    cases: tuple[CaseFacts, ...]
    findings: tuple[Finding, ...]
    cache_bytes: int

    @classmethod
    def of(cls, found: int, cases: Sequence[CaseFacts], findings: Iterable[Finding], cache_bytes: int) -> "Inspection":
        """The findings in order, what stops training first."""
        ordered = sorted(findings, key=lambda finding: not finding.stops)
        return cls(found, tuple(cases), tuple(ordered), cache_bytes)

    @property
    def ready(self) -> bool:
        """Whether nothing stops training."""
        return not any(finding.stops for finding in self.findings)

    @property
    def cases_by_patient(self) -> Counter[str]:
        """How many cases each patient has."""
        return Counter(case.patient_id for case in self.cases)
