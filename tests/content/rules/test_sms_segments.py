import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal.messages.rules import sms_segments
from portal.messages.rules.sms_lookalikes import (
    CharacterReplacement,
    grapheme_clusters,
    strip_accents,
    strip_emoji,
    transliterate,
)
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
def test_size_matches_what_carriers_count(text: str, encoding: str, units: int, segments: int) -> None:
    size = measure_sms(text)
    assert (size.encoding, size.units, size.segments) == (encoding, units, segments)


def test_ucs2_characters_are_listed_once_each() -> None:
    assert measure_sms("It’s 5 o’clock ê").ucs2_characters == ("’", "ê")
    assert measure_sms("It's [5] €").ucs2_characters == ()


@pytest.mark.parametrize(
    ("text", "remaining"),
    [("a" * 150, 10), ("a" * 160, 0), ("a" * 161, 145), ("ê" * 60, 10), ("ê" * 71, 63), ("", 160)],
)
def test_remaining_units_are_those_of_the_last_segment(text: str, remaining: int) -> None:
    assert measure_sms(text).remaining_units == remaining


def test_short_subject_is_unchanged() -> None:
    fitted = fit_one_segment("Your renewal is due in 60 days", LINK)
    assert fitted.text == f"Your renewal is due in 60 days {LINK}"
    assert not fitted.is_shortened


def test_curly_quotes_and_dashes_become_gsm7() -> None:
    fitted = fit_one_segment("Dr. O’Neill’s “renewal” – due\u00a0soon…", LINK)
    assert fitted.text == f"Dr. O'Neill's \"renewal\" - due soon... {LINK}"
    assert fitted.size.encoding == "GSM-7"


def test_long_subject_is_cut_after_a_word() -> None:
    subject = "Your certification as a specialist in environmental engineering " * 4
    fitted = fit_one_segment(subject, LINK)
    cut = fitted.text.removesuffix(f"... {LINK}")
    assert fitted.is_shortened
    assert subject.startswith(cut)
    assert subject[len(cut)] == " "
    assert fitted.size.remaining_units < len("specialist environmental ")


def test_long_word_is_cut() -> None:
    fitted = fit_one_segment("Re: " + "x" * 300, LINK)
    assert fitted.text.startswith("Re: xxxxxxxxxx")
    assert fitted.size.remaining_units == 0


def test_line_break_becomes_a_space() -> None:
    assert fit_one_segment("One\r\ntwo\tthree", LINK).text == f"One two three {LINK}"


def test_link_of_two_segments_is_sent_alone() -> None:
    link = "https://" + "x" * 160
    fitted = fit_one_segment("Subject", link)
    assert fitted.text == link
    assert fitted.size.segments == 2


@pytest.mark.parametrize("subject", ["", "  ", "\u200b"])
def test_empty_subject_leaves_the_link(subject: str) -> None:
    assert fit_one_segment(subject, LINK).text == LINK


def test_very_long_subject_needs_few_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []

    def counting(text: str) -> sms_segments.SmsSize:
        measured.append(len(text))
        return measure_sms(text)

    monkeypatch.setattr(sms_segments, "measure_sms", counting)
    fit_one_segment("word " * 400, LINK)
    assert len(measured) < 500


@given(SUBJECTS | GSM_SUBJECTS, LINKS)
@example("a" * 200, "https://" + "x" * 151)
@example("😀" * 200, "https://" + "x" * 61)
@example("...", "https://" + "x" * 152)
def test_text_keeps_its_link_and_costs_no_extra_segment(subject: str, link: str) -> None:
    fitted = fit_one_segment(subject, link)
    assert fitted.text.endswith(link)
    assert fitted.text == link or fitted.text[-len(link) - 1] == " "
    assert fitted.size == measure_sms(fitted.text)
    assert fitted.size.segments == measure_sms(link).segments


@given(SUBJECTS | GSM_SUBJECTS)
def test_subject_is_cut_only_if_necessary(subject: str) -> None:
    normalized = normalize_text(subject)
    fitted = fit_one_segment(subject, LINK)
    if measure_sms(f"{normalized} {LINK}").segments <= 1:
        assert (fitted.text, fitted.is_shortened) == (f"{normalized} {LINK}".strip(), False)
        return
    assert fitted.is_shortened or fitted.removed_emoji
    whole = strip_emoji(normalized)[0] if fitted.removed_emoji else normalized
    assert whole.startswith(fitted.text.removesuffix(LINK).removesuffix("... ").rstrip())


@given(SUBJECTS)
@example("👨\u200d👩\u200d👧" * 40)
@example("🇺🇸" * 60)
@example("ê\u0301\u0302" * 60)
def test_grapheme_clusters_are_never_cut(subject: str) -> None:
    fitted = fit_one_segment(subject, LINK)
    clusters = grapheme_clusters(fitted.text.removesuffix(LINK).removesuffix("... ").rstrip())
    normalized = normalize_text(subject)
    words = strip_emoji(normalized)[0] if fitted.removed_emoji else normalized
    candidates = [grapheme_clusters(text)[: len(clusters)] for text in (words, strip_accents(words).text)]
    assert clusters in candidates


@given(SUBJECTS)
def test_normalizing_twice_changes_nothing(text: str) -> None:
    assert normalize_text(normalize_text(text)) == normalize_text(text)


@pytest.mark.parametrize(
    ("text", "normalized"),
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
def test_look_alikes_become_gsm7(text: str, normalized: str) -> None:
    assert normalize_text(text) == normalized


def test_replacements_are_listed_once_each() -> None:
    assert transliterate("It’s “a”\u00ad’\u00a0x\nÉ").replacements == (
        CharacterReplacement("’", "'"),
        CharacterReplacement("“", '"'),
        CharacterReplacement("”", '"'),
        CharacterReplacement("soft hyphen", ""),
        CharacterReplacement("no-break space", " "),
    )
    assert transliterate("a\r\nb\n\nc’").text == "a\nb\n\nc'"


LONG_SUBJECT = "Your certification renewal is due: send the form, the fee and both references before January 20, 2027"


@pytest.mark.parametrize("emoji", ["🎉", "👨\u200d👩\u200d👧", "🇺🇸", "❤\ufe0f", "👍🏽"])
@pytest.mark.parametrize("pattern", ["{emoji} {subject}", "{subject} {emoji}"])
def test_emoji_are_removed_before_words(emoji: str, pattern: str) -> None:
    fitted = fit_one_segment(pattern.format(emoji=emoji, subject=LONG_SUBJECT), LINK)
    assert (fitted.text, fitted.is_shortened, fitted.removed_emoji) == (f"{LONG_SUBJECT} {LINK}", False, (emoji,))
    assert fit_one_segment(f"Well done {emoji}", LINK).text == f"Well done {emoji} {LINK}"


def test_emoji_are_removed_even_if_words_are_cut() -> None:
    fitted = fit_one_segment(f"5\ufe0f\u20e3 {LONG_SUBJECT} {LONG_SUBJECT} 🎉", LINK)
    assert fitted.text.startswith(f"5 {LONG_SUBJECT}")
    assert (fitted.is_shortened, fitted.size.encoding) == (True, "GSM-7")


def test_emoji_only_subject_keeps_some() -> None:
    assert fit_one_segment("🎉" * 100, LINK).text.startswith("🎉🎉🎉")
