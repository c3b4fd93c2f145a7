import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal.domain import sms
from portal.domain.sms import fit, weigh

LINK = "https://portal.example.org/c/Xy7Kp2Qa"
SUBJECTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=250)
GSM_SUBJECTS = st.text("abc XYZ,.-:;é€[]~’“…–\t", max_size=250)
LINKS = st.text("abcdefghij0123456789/-_", min_size=1, max_size=170).map(lambda tail: f"https://{tail}")


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", "GSM-7", 0, 0),
        ("a", "GSM-7", 1, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà", "GSM-7", 42, 1),
        ("line\nbreak\r", "GSM-7", 11, 1),
        ("€", "GSM-7", 2, 1),
        ("^{}\\[~]|€\f", "GSM-7", 20, 1),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        ("a" * 159 + "€", "GSM-7", 161, 2),
        ("a" * 152 + "€" + "a" * 10, "GSM-7", 164, 2),
        ("a" * 152 + "€" + "a" * 151, "GSM-7", 305, 2),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),
        ("€" * 152, "GSM-7", 304, 2),
        ("€" * 153, "GSM-7", 306, 3),
        ("ê", "UCS-2", 1, 1),
        ("ê" * 70, "UCS-2", 70, 1),
        ("ê" * 71, "UCS-2", 71, 2),
        ("ê" * 134, "UCS-2", 134, 2),
        ("ê" * 135, "UCS-2", 135, 3),
        ("a" * 69 + "’", "UCS-2", 70, 1),
        ("a" * 70 + "’", "UCS-2", 71, 2),
        ("€" * 69 + "’", "UCS-2", 70, 1),
        ("`", "UCS-2", 1, 1),
        ("ç", "UCS-2", 1, 1),
        ("\t", "UCS-2", 1, 1),
        ("😀", "UCS-2", 2, 1),
        ("😀" * 35, "UCS-2", 70, 1),
        ("😀" * 36, "UCS-2", 72, 2),
        ("😀" * 66, "UCS-2", 132, 2),
        ("😀" * 67, "UCS-2", 134, 3),
        ("e\u0301", "UCS-2", 2, 1),
    ],
)
def test_a_text_weighs_what_carriers_count(text: str, encoding: str, units: int, segments: int) -> None:
    weight = weigh(text)
    assert (weight.encoding, weight.units, weight.segments) == (encoding, units, segments)


def test_the_characters_that_make_a_text_costly_are_named_once_each() -> None:
    assert weigh("It’s 5 o’clock ê").costly == ("’", "ê")
    assert weigh("It's [5] €").costly == ()


@pytest.mark.parametrize(
    ("text", "room"), [("a" * 150, 10), ("a" * 160, 0), ("a" * 161, 145), ("ê" * 60, 10), ("ê" * 71, 63), ("", 160)]
)
def test_the_room_is_what_is_left_in_the_last_segment(text: str, room: int) -> None:
    assert weigh(text).room == room


def test_a_short_subject_stands_before_the_link_as_it_is() -> None:
    fitted = fit("Your renewal is due in 60 days", LINK)
    assert fitted.text == f"Your renewal is due in 60 days {LINK}"
    assert not fitted.shortened


def test_curly_quotes_and_dashes_are_made_plain_so_that_a_text_stays_cheap() -> None:
    fitted = fit("Dr. O’Neill’s “renewal” – due\u00a0soon…", LINK)
    assert fitted.text == f"Dr. O'Neill's \"renewal\" - due soon... {LINK}"
    assert fitted.weight.encoding == "GSM-7"


def test_a_long_subject_is_cut_after_a_whole_word() -> None:
    subject = "Your certification as a specialist in environmental engineering " * 4
    fitted = fit(subject, LINK)
    words = fitted.text.removesuffix(f"... {LINK}")
    assert fitted.shortened
    assert subject.startswith(words)
    assert subject[len(words)] == " "
    assert fitted.weight.room < len("specialist environmental ")


def test_a_long_word_is_cut_rather_than_lost() -> None:
    fitted = fit("Re: " + "x" * 300, LINK)
    assert fitted.text.startswith("Re: xxxxxxxxxx")
    assert fitted.weight.room == 0


def test_a_line_break_in_a_subject_becomes_a_space() -> None:
    assert fit("One\r\ntwo\tthree", LINK).text == f"One two three {LINK}"


def test_a_link_that_needs_two_segments_travels_alone() -> None:
    link = "https://" + "x" * 160
    fitted = fit("Subject", link)
    assert fitted.text == link
    assert fitted.weight.segments == 2


@pytest.mark.parametrize("subject", ["", "  ", "\u200b"])
def test_an_empty_subject_leaves_the_link_alone(subject: str) -> None:
    assert fit(subject, LINK).text == LINK


def test_a_very_long_subject_is_not_weighed_thousands_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    weighed: list[int] = []

    def counting(text: str) -> sms.Weight:
        weighed.append(len(text))
        return weigh(text)

    monkeypatch.setattr(sms, "weigh", counting)
    fit("word " * 400, LINK)
    assert len(weighed) < 500


@given(SUBJECTS | GSM_SUBJECTS, LINKS)
@example("a" * 200, "https://" + "x" * 151)
@example("😀" * 200, "https://" + "x" * 61)
@example("...", "https://" + "x" * 152)
def test_a_text_keeps_its_whole_link_and_never_costs_more_than_the_link_alone(subject: str, link: str) -> None:
    fitted = fit(subject, link)
    assert fitted.text.endswith(link)
    assert fitted.text == link or fitted.text[-len(link) - 1] == " "
    assert fitted.weight == weigh(fitted.text)
    assert fitted.weight.segments == weigh(link).segments


@given(SUBJECTS | GSM_SUBJECTS)
def test_a_subject_loses_its_end_only_and_only_when_it_must(subject: str) -> None:
    plain = " ".join(subject.translate(sms._LOOK_ALIKES).split())
    fitted = fit(subject, LINK)
    if weigh(f"{plain} {LINK}").segments <= 1:
        assert (fitted.text, fitted.shortened) == (f"{plain} {LINK}".strip(), False)
        return
    assert fitted.shortened
    assert plain.startswith(fitted.text.removesuffix(LINK).removesuffix("... "))
