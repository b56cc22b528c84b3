"""What the reader of a comparison must know before trusting it: a sentence for each thing that does not compare."""

from collections.abc import Iterator, Sequence

from ecg_flare.report.compare.comparison import Comparison, Entry
from ecg_flare.report.compare.measured import measured_pages, same_pages
from ecg_flare.report.compare.results import Result, promises_differ, results
from ecg_flare.report.compare.settings import differences
from ecg_flare.report.figures import scientific, significant
from ecg_flare.report.names import listed, shown
from ecg_flare.report.run import FINISHED, Run

_MOST = 300


def cautions(comparison: Comparison) -> tuple[str, ...]:
    """The sentences, those on Dice first."""
    return (
        *_same_names(comparison),
        *_other_pages(comparison),
        *_zero_reference(comparison),
        *(one for entry in comparison.entries for one in _unfinished(entry)),
        *_networks(comparison),
        *_repeats(comparison),
        *_missing_steps(comparison),
        *_epsilons(comparison),
    )


def _same_names(comparison: Comparison) -> Iterator[str]:
    alone = [each for each in comparison.entries if len(comparison.of(each.method)) == 1]
    for called in dict.fromkeys(each.called for each in alone):
        names = [each.name for each in alone if each.called == called]
        if len(names) > 1:
            yield f"{len(names)} runs are called {called!r}: they stand as {listed(names)}."


def _other_pages(comparison: Comparison) -> Iterator[str]:
    reference = comparison.reference
    base = measured_pages(reference.run)
    others = [each for each in comparison.entries if each is not reference]
    same = {each.name: same_pages(each.run, reference.run) for each in others}
    for each in others:
        if same[each.name] is False:
            yield (
                f"{each.name} was measured on other public pages ({measured_pages(each.run).text}) than "
                f"{reference.name} ({base.text}): their Dice cannot be compared, and no ratio is given."
            )
    if unknown := [name for name, known in same.items() if known is None]:
        yield (
            f"What {listed([*unknown, reference.name])} record of their public pages does not tell whether these are "
            "the same: their Dice cannot be compared, and no ratio is given."
        )
    if described := [each.name for each in others if same[each.name] and not _by_digest(each.run, reference.run)]:
        yield (
            f"{listed([*described, reference.name])} are taken to have the same public pages by their description: "
            "not all of them recorded a digest of the pages themselves."
        )
    for each in comparison.entries:
        pages = measured_pages(each.run)
        if len(pages.digests) > 1:
            yield (
                f"The public pages of {each.name} changed on the way ({pages.every_text}): its Dice before and after "
                "cannot be compared."
            )


def _by_digest(one: Run, other: Run) -> bool:
    return bool(measured_pages(one).digests and measured_pages(other).digests)


def _zero_reference(comparison: Comparison) -> Iterator[str]:
    if comparison.base <= 0:
        method = comparison.reference.method
        yield f"The last Dice of the reference {method} is {significant(comparison.base)}: no ratio is given."


def _unfinished(entry: Entry) -> Iterator[str]:
    run, name = entry.run, entry.name
    last = f"round {run.final.index} of {run.terms.rounds}"
    if run.outcome not in ("", FINISHED):
        yield f"{name} ended after {last}, whose Dice stands here: {shown(run.outcome, _MOST)}"
    elif run.final.index < run.terms.rounds and run.outcome == FINISHED:
        yield f"{name} stopped after {last}, as a job does whose privacy budget is spent; that Dice stands here."
    elif run.final.index < run.terms.rounds:
        yield (
            f"{name} has come to {last}, whose Dice stands here: it still runs, or its server was killed before it "
            "could say how it ended."
        )
    if failed := [each.index for each in run.rounds if each.failure]:
        which = shown(listed([str(index) for index in failed]))
        yield f"{name} lost {len(failed)} of its rounds ({which}): the model stayed in them."
    if run.cut_short:
        yield f"The last line of metrics.jsonl of {name} was half written and is left out."
    if run.start is not None and run.start.epsilon_rdp:
        yield (
            f"The epsilon of {name} counts earlier jobs, too: its ledger had spent "
            f"{significant(run.start.epsilon_rdp)} before the first round."
        )


def _networks(comparison: Comparison) -> Iterator[str]:
    reference = comparison.reference
    start = _fact(reference.run, "start")
    for each in comparison.entries:
        if _other_plan(each.run, reference.run):
            yield (
                f"{each.name} trains the network of plan {_plan(each.run)}, {reference.name} that of plan "
                f"{_plan(reference.run)}: their gradient steps, bytes and seconds cannot be compared."
            )
        if (mine := _fact(each.run, "start")) != start:
            yield f"{each.name} began from the model {mine}, {reference.name} from {start}: look at round 0 first."


def _other_plan(one: Run, other: Run) -> bool:
    mine, theirs = one.facts.get("plan_hash"), other.facts.get("plan_hash")
    return one.terms.model.plan != other.terms.model.plan or bool(mine and theirs and mine != theirs)


def _plan(run: Run) -> str:
    """The plan's name, and so much of its hash as is recorded."""
    digest = run.facts.get("plan_hash")
    return shown(run.terms.model.plan) + (f" ({shown(digest)[:12]})" if digest else "")


def _fact(run: Run, name: str) -> str:
    return shown(run.facts.get(name) or "that it does not record")


def _repeats(comparison: Comparison) -> Iterator[str]:
    for method in comparison.methods:
        differ = differences(comparison.of(method))
        if differ:
            yield (
                f"The runs called {method} differ in {listed(list(differ))}: they are no repeats of one method, and "
                "their mean says little."
            )


def _missing_steps(comparison: Comparison) -> Iterator[str]:
    without = [each.name for each in comparison.entries if each.steps is None]
    if without:
        yield (
            f"How many gradient steps a round has is not recorded for {listed(without)}: a dash in the table, and no "
            "curve by gradient step."
        )


def _epsilons(comparison: Comparison) -> Iterator[str]:
    rows = results(comparison)
    if promises_differ(rows):
        yield f"The epsilons are of different promises and cannot be compared with each other: {_promises(rows)}."
    for row in rows:
        if row.private and row.epsilon is None:
            yield f"{row.name} added noise, but recorded no epsilon: treat it as not private."
        elif row.epsilon and not row.epsilon.hides:
            yield f"The delta of {row.name}, {scientific(row.epsilon.delta)}, hides nobody: its epsilon says nothing."


def _promises(rows: Sequence[Result]) -> str:
    """The runs by their promise."""
    names: dict[str, list[str]] = {}
    for row in rows:
        if row.epsilon is not None:
            promise = f"delta {scientific(row.epsilon.delta)} for one {row.epsilon.unit}"
            names.setdefault(promise, []).append(row.name)
    return "; ".join(f"{listed(of)} at {promise}" for promise, of in names.items())
