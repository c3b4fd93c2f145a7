"""Text input: invisible characters are removed unless they carry meaning."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.rules import text_input

INVISIBLE = "\u200b\u200e\u202a\u2066\u00ad\ufeff\u2060\u061c\x00\x07\x7f\U000e0041\ufffc\u034f"
SPACES = "\u00a0\u202f\u2007\u3000\u2009\u1680\u2028\t\n\x85\u2800\u3164"
VISIBLE_FORMAT_CHARACTERS = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
HIEROGLYPHS = range(0x13430, 0x13456)


@pytest.mark.parametrize("sign", INVISIBLE)
def test_invisible_character_is_removed(sign: str) -> None:
    assert text_input.clean_line(f"{sign}Jor{sign}dan {sign}Rivera{sign}") == "Jordan Rivera"
    assert text_input.clean_code(f"{sign}V-20{sign}01{sign}") == "V-2001"
    assert text_input.clean_lines(f"a{sign}\nb") == "a\nb"


@pytest.mark.parametrize("sign", SPACES)
def test_unusual_space_becomes_a_space(sign: str) -> None:
    assert text_input.clean_line(f"{sign}Jordan{sign} {sign}Rivera{sign}") == "Jordan Rivera"
    assert text_input.clean_code(f"{sign}(202) 555{sign}0100") == "(202) 555 0100"


def test_letters_are_composed() -> None:
    assert text_input.clean_line("Rene\u0301e") == text_input.clean_code("Rene\u0301e") == "Ren\u00e9e"


@pytest.mark.parametrize(
    "word",
    [
        pytest.param("محمد\u200cرضا", id="a Persian name"),
        pytest.param("മോഹന\u0d4d\u200d", id="a Malayalam name that ends in a chillu"),
        pytest.param("ක\u0dca\u200dර", id="a Sinhala conjunct"),
        pytest.param("क\u094d\u200cष", id="a Hindi word without the ligature"),
        pytest.param("👨\u200d👩\u200d👧", id="a family"),
        pytest.param("👩🏽\u200d🚀 ❤\ufe0f\u200d🔥 🙂\u200d↔\ufe0f", id="emoji with skin tones and variants"),
        pytest.param("1\ufe0f\u20e3", id="a keycap"),
        pytest.param("葛\U000e0100城", id="a Han variation sequence"),
        pytest.param("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", id="the flag of Scotland"),
    ],
)
def test_meaningful_joiners_and_variants_are_kept(word: str) -> None:
    assert text_input.clean_line(word) == text_input.clean_lines(word) == word


@pytest.mark.parametrize("name", ["Jo\u200drdan", "Jordan\u200c", "\u200dJordan", "Jor\ufe0fdan", "Jordan\U000e0067"])
def test_meaningless_joiner_or_variant_is_removed(name: str) -> None:
    assert text_input.clean_line(name) == "Jordan"


def test_joiners_are_removed_from_codes() -> None:
    assert text_input.clean_code("V\u200d-\u200c2001 ❤\ufe0f") == "V-2001 ❤"


def test_lines_keep_tabs_and_end_in_line_feeds() -> None:
    assert text_input.clean_lines("\r\na\tb  c\r\nd\re\u2028f") == "\na\tb  c\nd\ne\nf"


def test_csv_keeps_only_its_line_endings() -> None:
    assert text_input.clean_csv('a,"b\rc"\r\n\ufeffd\u2028e,f\u200b') == 'a,"b\rc"\r\nd e,f'


def test_surrogate_becomes_a_replacement_character() -> None:
    assert text_input.clean_line("Jordan\udce9") == "Jordan\ufffd"


def test_all_unicode_spaces_and_invisible_characters_are_handled() -> None:
    characters = [char for char in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(char)[0] in "ZC"]
    characters = [char for char in characters if unicodedata.category(char) not in ("Co", "Cn")]
    visible = (
        {ord(char) for char in characters if char in text_input.clean_code(f"a{char}b")} - {0x20} - set(HIEROGLYPHS)
    )
    assert visible == {code for code in VISIBLE_FORMAT_CHARACTERS if unicodedata.category(chr(code)) == "Cf"}


@given(st.text())
def test_cleaning_is_idempotent(text: str) -> None:
    for clean in (text_input.clean_line, text_input.clean_lines, text_input.clean_code, text_input.clean_csv):
        assert clean(clean(text)) == clean(text)
