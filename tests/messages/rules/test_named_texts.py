"""A text says who sends it, once, and leaves the subject as much room as it can."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal.delivery.rules.more_texts import with_more_texts
from portal.messages.rules.named_texts import (
    fit_named_text,
    plain_name,
    says_organisation,
    subject_room,
    with_organisation_name,
)
from portal.messages.rules.sms_segments import measure_sms

LINK = "https://portal.board.example/c/Xy7Kp2Qa"
NAMES = ("NC Nursing", "North Carolina Board of Nursing")
LONG = "Your license expires soon, and you have not renewed it yet, although it is high time to do so. "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Your license expires", "NC Nursing: Your license expires"),
        ("nc nursing: Your license expires", "nc nursing: Your license expires"),
        ("News of the North Carolina Board of Nursing", "News of the North Carolina Board of Nursing"),
        ("NC Nursings", "NC Nursing: NC Nursings"),
        ("NC\u00a0Nursing:\nhello", "NC\u00a0Nursing:\nhello"),
        ("See https://nc-nursing.example/NC Nursing/x", "NC Nursing: See https://nc-nursing.example/NC Nursing/x"),
        ("", "NC Nursing:"),
    ],
)
def test_name_is_said_once(text: str, expected: str) -> None:
    assert with_organisation_name(text, NAMES) == expected


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Colegio de Enfermería", "Colegio de Enfermeria"),
        ("Junta  de\u00a0Ñandú", "Junta de Ñandu"),
        ("Łódź “Board”", 'Łodz "Board"'),
        ("Медицинская палата Северной области", "Медицинская палата"),
        ("北" * 30, "北" * 20),
    ],
)
def test_name_costs_the_subject_no_room_it_can_spare(name: str, plain: str) -> None:
    assert plain_name(name) == plain
    assert says_organisation(f"{plain}: hello", (plain, name))


def test_accents_do_not_hide_a_name() -> None:
    assert says_organisation("COLEGIO DE ENFERMERIA: hola", ("Colegio de Enfermería",))
    assert says_organisation("Jose e hijos: hola", ("José e Hijos",))


def test_typographic_signs_do_not_hide_a_name() -> None:
    assert fit_named_text("O’Neill Board: hello", LINK, ("O’Neill Board",)).text == f"O'Neill Board: hello {LINK}"


def test_accents_that_gsm7_lacks_go_before_words_do() -> None:
    subject = "Su renovación está lista: complétela antes del 3 de mayo de 2027"
    fitted = fit_named_text(subject, LINK, NAMES)
    assert fitted.text == f"NC Nursing: Su renovacion esta lista: complétela antes del 3 de mayo de 2027 {LINK}"
    assert [(row.printable_form, row.replacement) for row in fitted.replacements] == [("ó", "o"), ("á", "a")]
    assert fit_named_text("Está", LINK, NAMES).text == f"NC Nursing: Está {LINK}"


def test_subject_is_cut_before_the_name() -> None:
    fitted = fit_named_text(LONG * 2, LINK, NAMES)
    assert fitted.text.startswith("NC Nursing: Your license expires soon, and")
    assert fitted.text.endswith(f"... {LINK}")
    assert (fitted.is_shortened, fitted.size.segments) == (True, 1)


def test_name_at_the_cut_end_of_a_subject_is_put_in_front() -> None:
    fitted = fit_named_text(f"{LONG * 2}Yours, NC Nursing", LINK, NAMES)
    assert fitted.text.startswith("NC Nursing: Your license")
    assert fitted.size.segments == 1


@pytest.mark.parametrize("host", ["x" * 100, "x" * 140])
@pytest.mark.parametrize("name", ["North Carolina Board of Registered Nursing", "Медицинская палата"])
def test_long_link_costs_a_segment_but_not_the_name(host: str, name: str) -> None:
    link = f"https://{host}/c/Xy7Kp2Qa"
    fitted = fit_named_text("Your license expires", link, (name, name))
    assert fitted.text == f"{name}: {link}"
    assert (fitted.is_shortened, fitted.size) == (True, measure_sms(fitted.text))


@pytest.mark.parametrize("host", ["portal.example", "notifications.board.example.gov", "x" * 50, "x" * 80])
@pytest.mark.parametrize("name", ["NC Nursing", "North Carolina Board of Registered Nursing", "Медицинская палата"])
def test_notice_of_more_texts_costs_neither_name_nor_segment(host: str, name: str) -> None:
    body = fit_named_text("Your license expires", f"https://{host}/c/Xy7Kp2Qa", (name, name))
    named = with_more_texts(body.text, 3, f"https://{host}/h", (name, name))
    assert says_organisation(named.text, (name,))
    assert (named.size.segments <= body.size.segments, named.size) == (True, measure_sms(named.text))


def test_room_for_the_subject_is_what_name_and_link_leave() -> None:
    room = subject_room(LINK, NAMES)
    assert not fit_named_text("x" * room, LINK, NAMES).is_shortened
    assert fit_named_text("x" * (room + 1), LINK, NAMES).is_shortened
    assert subject_room("https://" + "x" * 160, NAMES) == 0


@given(st.text(max_size=300), st.text(min_size=1, max_size=60))
@example(f"{LONG}é NC Nursing", "NC Nursing")
@example("Привет " * 30, "Медицинская палата Северной области")
def test_every_text_has_one_segment_and_says_its_name(subject: str, name: str) -> None:
    fitted = fit_named_text(subject, LINK, (name, name))
    assert fitted.size == measure_sms(fitted.text)
    assert (fitted.size.segments, fitted.text.endswith(LINK)) == (1, True)
    assert not plain_name(name).isalnum() or says_organisation(fitted.text, (plain_name(name), name))
