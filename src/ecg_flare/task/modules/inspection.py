"""A site's examples looked over before they train anything: what is wrong with which, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ecg_flare.errors import SiteDataError
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.case_cache import check_name
from ecg_flare.task.inspection import CaseFacts, Finding, Inspection, too_few_patients
from ecg_flare.task.modules.example import Example, check_example

_HEADER_BYTES: Final = 256
"""Of the two files of an example together."""


def inspect_examples(
    source: CaseSource, site: str, watch: Callable[[Iterable[object]], Iterable[object]] = lambda cases: cases
) -> Inspection:
    """Read every example of the site's source, and say what is wrong.

    A source that raises gives no further examples: what it raised is a finding. `watch` may show how far it is: it
    gives the examples that it is given.
    """
    looked = _Looked(site)
    try:
        for given in watch(source.cases(site)):
            looked.at(given)
    except SiteDataError as error:
        looked.stop("", error)
    except Exception as error:  # the source is the hospital's own code, which can fail in any way
        said = f"the source fails after {looked.found} cases: {type(error).__name__}: {error}"
        looked.stop("", SiteDataError(said, "mend the source, or leave the case out"))
    return looked.inspection()


class _Looked:
    """What was found so far."""

    def __init__(self, site: str) -> None:
        self.found = 0
        self._site = site
        self._first: Example | None = None
        self._patients: dict[str, str] = {}
        self._bytes = 0
        self._findings: list[Finding] = []

    def at(self, given: object) -> None:
        """Look at one more case."""
        self.found += 1
        try:
            example = check_example(given, self._site, self._first)
            check_name(example.name, self._patients, self._site)
        except SiteDataError as error:
            self.stop(str(getattr(given, "name", "")), error)
            return
        self._patients[example.name] = example.patient_id
        self._first = self._first or example
        self._bytes += example.inputs.nbytes + example.target.nbytes + _HEADER_BYTES

    def stop(self, case: str, error: SiteDataError) -> None:
        """Note what stops training."""
        self._findings.append(Finding(case, error.what, error.remedy, stops=True))

    def inspection(self) -> Inspection:
        """All of it; that there are too few patients is said only where nothing else is wrong."""
        persons = len(set(self._patients.values()))
        few = [too_few_patients(persons, "cases")] if persons < 2 and not self._findings else []
        facts = [CaseFacts(name, patient) for name, patient in self._patients.items()]
        return Inspection.of(self.found, facts, [*self._findings, *few], self._bytes)
