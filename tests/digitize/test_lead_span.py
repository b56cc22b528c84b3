"""Which of a lead's stretches the recording holds."""

from dataclasses import replace

from ecg_flare.digitize.leads.lead_span import LeadSpan, kept_spans, recorded_spans

SHORT = LeadSpan("V6", 0, 0.0, 100.0, 0.0, 2.5, False)
STRIP = LeadSpan("V6", 1, 0.0, 400.0, 0.0, 10.0, True)
OTHER = LeadSpan("II", 2, 0.0, 100.0, 0.0, 2.5, False)


def test_the_longest_stretch_of_a_lead_is_recorded() -> None:
    assert recorded_spans((STRIP, SHORT, OTHER)) == {"V6": STRIP, "II": OTHER}


def test_a_guessed_strip_is_recorded_only_where_its_lead_stands_nowhere_else() -> None:
    guess = replace(STRIP, guessed=True)
    assert recorded_spans((guess, SHORT, OTHER)) == {"V6": SHORT, "II": OTHER}
    assert kept_spans((guess, OTHER)) == (OTHER, guess)
