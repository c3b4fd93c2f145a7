import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal.messages.rules import sms_segments
from portal.messages.rules.sms_lookalikes import CharacterReplacement, grapheme_clusters, strip_emoji, transliterate
from portal.messages.rules.sms_segments import fit_one_segment, measure_sms, normalize_text

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
    weight = measure_sms(text)
    assert (weight.encoding, weight.units, weight.segments) == (encoding, units, segments)


def test_the_characters_that_make_a_text_costly_are_named_once_each() -> None:
    assert measure_sms("It’s 5 o’clock ê").ucs2_characters == ("’", "ê")
    assert measure_sms("It's [5] €").ucs2_characters == ()


@pytest.mark.parametrize(
    ("text", "room"), [("a" * 150, 10), ("a" * 160, 0), ("a" * 161, 145), ("ê" * 60, 10), ("ê" * 71, 63), ("", 160)]
)
def test_the_room_is_what_is_left_in_the_last_segment(text: str, room: int) -> None:
    assert measure_sms(text).remaining_units == room


def test_a_short_subject_stands_before_the_link_as_it_is() -> None:
    fitted = fit_one_segment("Your renewal is due in 60 days", LINK)
    assert fitted.text == f"Your renewal is due in 60 days {LINK}"
    assert not fitted.is_shortened


def test_curly_quotes_and_dashes_are_made_plain_so_that_a_text_stays_cheap() -> None:
    fitted = fit_one_segment("Dr. O’Neill’s “renewal” – due\u00a0soon…", LINK)
    assert fitted.text == f"Dr. O'Neill's \"renewal\" - due soon... {LINK}"
    assert fitted.size.encoding == "GSM-7"


def test_a_long_subject_is_cut_after_a_whole_word() -> None:
    subject = "Your certification as a specialist in environmental engineering " * 4
    fitted = fit_one_segment(subject, LINK)
    words = fitted.text.removesuffix(f"... {LINK}")
    assert fitted.is_shortened
    assert subject.startswith(words)
    assert subject[len(words)] == " "
    assert fitted.size.remaining_units < len("specialist environmental ")


def test_a_long_word_is_cut_rather_than_lost() -> None:
    fitted = fit_one_segment("Re: " + "x" * 300, LINK)
    assert fitted.text.startswith("Re: xxxxxxxxxx")
    assert fitted.size.remaining_units == 0


def test_a_line_break_in_a_subject_becomes_a_space() -> None:
    assert fit_one_segment("One\r\ntwo\tthree", LINK).text == f"One two three {LINK}"


def test_a_link_that_needs_two_segments_travels_alone() -> None:
    link = "https://" + "x" * 160
    fitted = fit_one_segment("Subject", link)
    assert fitted.text == link
    assert fitted.size.segments == 2


@pytest.mark.parametrize("subject", ["", "  ", "\u200b"])
def test_an_empty_subject_leaves_the_link_alone(subject: str) -> None:
    assert fit_one_segment(subject, LINK).text == LINK


def test_a_very_long_subject_is_not_weighed_thousands_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    weighed: list[int] = []

    def counting(text: str) -> sms_segments.SmsSize:
        weighed.append(len(text))
        return measure_sms(text)

    monkeypatch.setattr(sms_segments, "measure_sms", counting)
    fit_one_segment("word " * 400, LINK)
    assert len(weighed) < 500


@given(SUBJECTS | GSM_SUBJECTS, LINKS)
@example("a" * 200, "https://" + "x" * 151)
@example("😀" * 200, "https://" + "x" * 61)
@example("...", "https://" + "x" * 152)
def test_a_text_keeps_its_whole_link_and_never_costs_more_than_the_link_alone(subject: str, link: str) -> None:
    fitted = fit_one_segment(subject, link)
    assert fitted.text.endswith(link)
    assert fitted.text == link or fitted.text[-len(link) - 1] == " "
    assert fitted.size == measure_sms(fitted.text)
    assert fitted.size.segments == measure_sms(link).segments


@given(SUBJECTS | GSM_SUBJECTS)
def test_a_subject_loses_its_end_only_and_only_when_it_must(subject: str) -> None:
    words = normalize_text(subject)
    fitted = fit_one_segment(subject, LINK)
    if measure_sms(f"{words} {LINK}").segments <= 1:
        assert (fitted.text, fitted.is_shortened) == (f"{words} {LINK}".strip(), False)
        return
    assert fitted.is_shortened or fitted.removed_emoji
    begun = strip_emoji(words)[0] if fitted.removed_emoji else words
    assert begun.startswith(fitted.text.removesuffix(LINK).removesuffix("... ").rstrip())


@given(SUBJECTS)
@example("👨\u200d👩\u200d👧" * 40)
@example("🇺🇸" * 60)
@example("ê\u0301\u0302" * 60)
def test_what_is_read_as_one_character_is_never_cut(subject: str) -> None:
    fitted = fit_one_segment(subject, LINK)
    kept = grapheme_clusters(fitted.text.removesuffix(LINK).removesuffix("... ").rstrip())
    begun = grapheme_clusters(
        strip_emoji(normalize_text(subject))[0] if fitted.removed_emoji else normalize_text(subject)
    )
    assert kept == begun[: len(kept)]


@given(SUBJECTS)
def test_making_a_text_plain_twice_changes_nothing_more(text: str) -> None:
    assert normalize_text(normalize_text(text)) == normalize_text(text)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("a\u200cb\u00adc\u200b\ufeff\u2060\u200e", "abc"),
        ("O´Neill Oʼ Oʻ O’ O‘ O′ O` O‛", "O'Neill O' O' O' O' O' O' O'"),
        ("“a” „b‟ «c» ‹d› ″", '"a" "b" "c" \'d\' "'),
        ("a–b—c―d−e‐f‑g…", "a-b-c-d-e-f-g..."),
        ("a\u00a0b\u2009c\u202fd\u3000e\tf\u2028g", "a b c d e f g"),
        ("Cafe\u0301 man\u0303ana U\u0308", "Café mañana Ü"),
        ("Ｆｕｌｌ！ ﬁne 𝐁𝐨𝐥𝐝 Ⅳ", "Full! fine Bold IV"),
        ("∆ \u2126 \u212b 2×3 ½ m²", "Δ Ω Å 2x3 ½ m²"),
        ("a\x07b\x1bc", "abc"),
        ("é ê ç 日本 e\u0302", "é ê ç 日本 ê"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👨\u200d👩\u200d👧 ❤\ufe0f 1\ufe0f\u20e3 🇺🇸", "👨\u200d👩\u200d👧 ❤\ufe0f 1\ufe0f\u20e3 🇺🇸"),
    ],
)
def test_look_alikes_become_gsm_7_and_the_rest_stays(text: str, made: str) -> None:
    assert normalize_text(text) == made


def test_what_was_made_plain_is_named_once_each() -> None:
    assert transliterate("It’s “a”\u00ad’\u00a0x\nÉ").replacements == (
        CharacterReplacement("’", "'"),
        CharacterReplacement("“", '"'),
        CharacterReplacement("”", '"'),
        CharacterReplacement("soft hyphen", ""),
        CharacterReplacement("no-break space", " "),
    )
    assert transliterate("a\r\nb\n\nc’").text == "a\nb\n\nc'"


WORDY = "Your certification renewal is due: send the form, the fee and both references before January 20, 2027"


@pytest.mark.parametrize("picture", ["🎉", "👨\u200d👩\u200d👧", "🇺🇸", "❤\ufe0f", "👍🏽"])
@pytest.mark.parametrize("place", ["{picture} {words}", "{words} {picture}"])
def test_an_emoji_gives_way_before_words_are_lost(picture: str, place: str) -> None:
    fitted = fit_one_segment(place.format(picture=picture, message=WORDY), LINK)
    assert (fitted.text, fitted.is_shortened, fitted.removed_emoji) == (f"{WORDY} {LINK}", False, (picture,))
    assert fit_one_segment(f"Well done {picture}", LINK).text == f"Well done {picture} {LINK}"


def test_an_emoji_gives_way_where_words_are_lost_all_the_same() -> None:
    fitted = fit_one_segment(f"5\ufe0f\u20e3 {WORDY} {WORDY} 🎉", LINK)
    assert fitted.text.startswith(f"5 {WORDY}")
    assert (fitted.is_shortened, fitted.size.encoding) == (True, "GSM-7")


def test_a_subject_of_nothing_but_emoji_keeps_some() -> None:
    assert fit_one_segment("🎉" * 100, LINK).text.startswith("🎉🎉🎉")
