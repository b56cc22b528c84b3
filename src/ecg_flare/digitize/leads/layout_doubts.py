"""Why a layout is in doubt, in a sentence: what speaks against it first, then what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ecg_flare.digitize.confidence import LIMBS_AGREE_DB, LayoutEvidence
from ecg_flare.digitize.leads.lead_span import LeadSpan


def layout_doubt(layout: str, evidence: LayoutEvidence) -> str:
    """Return the warning of a layout whose confidence is low."""
    reasons = list(_against(evidence)) or list(_missing(evidence)) or ["another layout fits nearly as well"]
    return f"Layout {layout} is uncertain: {'; '.join(reasons)}; check it, or give the layout by option."


def guess_doubt(spans: Sequence[LeadSpan]) -> tuple[str, ...]:
    """Return the warning that names the leads whose names are guesses; none without such a lead."""
    guessed = [f"{span.lead} (row {span.row + 1})" for span in spans if span.guessed]
    if not guessed:
        return ()
    one = len(guessed) == 1
    return (
        f"the {'name' if one else 'names'} of {', '.join(guessed)} {'is a guess' if one else 'are guesses'}: no label "
        f"could be read there, and no other lead of the page says it",
    )


def _against(evidence: LayoutEvidence) -> Iterator[str]:
    if evidence.apart:
        yield "its rows do not beat at the same times"
    if evidence.crowded:
        yield "two of its rows stand at nearly one height, as one row that was found twice"
    if evidence.columns_agree is False:
        yield "the beats of a row change where one lead should go on, or go on where the next lead should begin"
    if evidence.imitated:
        yield "the rows taken as chest leads obey the identities of limb leads, as if these went on"
    if evidence.labels_against:
        yield _labels(evidence)
    if evidence.limbs_against:
        yield f"the limb leads contradict each other (they agree to {evidence.limb_db:.0f} dB)"
    if evidence.strips_against:
        yield f"a rhythm strip repeats no short lead (the best to {evidence.strip_db:.0f} dB)"


def _missing(evidence: LayoutEvidence) -> Iterator[str]:
    if evidence.unwitnessed:
        columns = "a column" if evidence.unwitnessed == 1 else f"{evidence.unwitnessed} columns"
        yield f"nothing on the page shows that {columns} of it begin{'s' if evidence.unwitnessed == 1 else ''} there"
    if not evidence.times_known:
        yield "the beats do not say surely whether its columns go on in time or all begin at once"
    if not evidence.many_labels:
        yield _labels(evidence)
    if evidence.limb_db is None:
        yield "the limb leads cannot be checked"
    elif evidence.limb_db < LIMBS_AGREE_DB:
        yield f"the limb leads agree to {evidence.limb_db:.0f} dB only"


def _labels(evidence: LayoutEvidence) -> str:
    read, agreeing = evidence.labels_read, evidence.labels_agreeing
    if not read:
        return "no lead label could be read"
    if agreeing == read:
        return f"only {read} of its {evidence.places} lead labels could be read"
    return f"{agreeing} of {read} labels that were read agree"
