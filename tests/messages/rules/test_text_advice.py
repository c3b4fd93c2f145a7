from hypothesis import given
from hypothesis import strategies as st

from portal.messages.rules.named_texts import fit_named_text
from portal.messages.rules.sms_segments import measure_sms, normalize_text
from portal.messages.rules.text_advice import text_advice

NAMES = ("Board", "Board of Nursing")
LINK = "https://portal.example.org/c/Xy7Kp2Qa"
SUBJECTS = st.text("abc XYZ.’“€[]ł😀", min_size=1, max_size=250)


def test_characters_that_force_ucs2_have_a_position_and_a_name() -> None:
    advice = text_advice("Pay “Żółw” soon", LINK, NAMES)
    assert advice.forces_ucs2
    assert [(row.printable_form, row.name, row.position) for row in advice.costly] == [
        ("Ż", "latin capital letter z with dot above", 6),
        ("ó", "latin small letter o with acute", 7),
        ("ł", "latin small letter l with stroke", 8),
    ]


def test_characters_that_count_twice_are_listed_if_nothing_forces_ucs2() -> None:
    advice = text_advice("Pay 5 € [now]", LINK, NAMES)
    assert not advice.forces_ucs2
    assert [row.printable_form for row in advice.costly] == ["€", "[", "]"]


def test_look_alikes_that_the_text_replaces_cost_nothing() -> None:
    assert text_advice("It’s “due” – soon…", LINK, NAMES).costly == ()


def test_removing_the_costly_characters_saves_a_segment() -> None:
    advice = text_advice("The renewal of your license is due on January 20 ł", LINK, NAMES)
    assert (advice.segments, advice.segments_without) == (2, 1)


def test_text_that_fits_has_no_excess() -> None:
    advice = text_advice("Your renewal is due", LINK, NAMES)
    assert (advice.segments, advice.excess_units, advice.costly) == (1, 0, ())


@given(SUBJECTS)
def test_excess_is_what_must_go_to_fit_one_segment(subject: str) -> None:
    advice = text_advice(subject, LINK, NAMES)
    size = measure_sms(f"Board: {normalize_text(subject)}".strip() + f" {LINK}")
    assert (advice.excess_units > 0) == (size.segments > 1) == (advice.segments > 1)
    assert advice.segments_without <= advice.segments
    if fit_named_text(subject, LINK, NAMES).is_shortened:
        assert advice.excess_units > 0
