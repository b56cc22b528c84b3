"""Which of a lead's stretches the recording holds."""

from dataclasses import replace

from ecg_flare.digitize.leads.lead_span import LeadSpan, goes_on, kept_spans, recorded_spans

SHORT = LeadSpan("V6", 0, 0.0, 100.0, 0.0, 2.5, False)
STRIP = LeadSpan("V6", 1, 0.0, 400.0, 0.0, 10.0, True)
OTHER = LeadSpan("II", 2, 0.0, 100.0, 0.0, 2.5, False)


def test_the_longest_stretch_of_a_lead_is_recorded() -> None:
    assert recorded_spans((STRIP, SHORT, OTHER)) == {"V6": STRIP, "II": OTHER}


def test_a_guessed_strip_is_recorded_only_where_its_lead_stands_nowhere_else() -> None:
    guess = replace(STRIP, guessed=True)
    assert recorded_spans((guess, SHORT, OTHER)) == {"V6": SHORT, "II": OTHER}
    assert kept_spans((guess, OTHER)) == (OTHER, guess)


def test_one_lead_goes_on_where_its_stretches_follow_each_other() -> None:
    rows = [LeadSpan("II", row, 0.0, 400.0, 6.0 * row, 6.0 * (row + 1), False) for row in range(3)]
    assert goes_on(rows)
    assert goes_on(rows[::-1])
    assert not goes_on(rows[:1])
    assert not goes_on([*rows, replace(rows[0], row=3)])
    assert not goes_on([*rows, LeadSpan("V1", 3, 0.0, 400.0, 18.0, 24.0, False)])


def test_stretches_meet_where_they_show_the_same_time() -> None:
    assert STRIP.meets(SHORT)
    assert not SHORT.meets(replace(SHORT, start_s=2.5, end_s=5.0))
