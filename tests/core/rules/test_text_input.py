"""What comes in is read without what nobody sees; what means something stays."""

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
def test_what_nobody_sees_is_taken_out(sign: str) -> None:
    assert text_input.clean_line(f"{sign}Jor{sign}dan {sign}Rivera{sign}") == "Jordan Rivera"
    assert text_input.clean_code(f"{sign}V-20{sign}01{sign}") == "V-2001"
    assert text_input.clean_lines(f"a{sign}\nb") == "a\nb"


@pytest.mark.parametrize("sign", SPACES)
def test_an_odd_space_is_read_as_a_space(sign: str) -> None:
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
        pytest.param("👩🏽\u200d🚀 ❤\ufe0f\u200d🔥 🙂\u200d↔\ufe0f", id="emoji with tones and variants"),
        pytest.param("1\ufe0f\u20e3", id="a keycap"),
        pytest.param("葛\U000e0100城", id="a Han character's variant"),
        pytest.param("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", id="the flag of Scotland"),
    ],
)
def test_words_keep_what_means_something(word: str) -> None:
    assert text_input.clean_line(word) == text_input.clean_lines(word) == word


@pytest.mark.parametrize("name", ["Jo\u200drdan", "Jordan\u200c", "\u200dJordan", "Jor\ufe0fdan", "Jordan\U000e0067"])
def test_a_joiner_or_a_variant_that_means_nothing_goes(name: str) -> None:
    assert text_input.clean_line(name) == "Jordan"


def test_a_code_has_no_joiner_anywhere() -> None:
    assert text_input.clean_code("V\u200d-\u200c2001 ❤\ufe0f") == "V-2001 ❤"


def test_lines_keep_their_order_and_their_tabs() -> None:
    assert text_input.clean_lines("\r\na\tb  c\r\nd\re\u2028f") == "\na\tb  c\nd\ne\nf"


def test_a_table_keeps_the_line_ends_that_part_its_rows_only() -> None:
    assert text_input.clean_csv('a,"b\rc"\r\n\ufeffd\u2028e,f\u200b') == 'a,"b\rc"\r\nd e,f'


def test_half_a_character_is_shown_as_a_lost_one() -> None:
    assert text_input.clean_line("Jordan\udce9") == "Jordan\ufffd"


def test_every_space_and_every_unseen_character_of_unicode_is_known() -> None:
    odd = [sign for sign in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(sign)[0] in "ZC"]
    odd = [sign for sign in odd if unicodedata.category(sign) not in ("Co", "Cn")]
    left = {ord(sign) for sign in odd if sign in text_input.clean_code(f"a{sign}b")} - {0x20} - set(HIEROGLYPHS)
    assert left == {number for number in VISIBLE_FORMAT_CHARACTERS if unicodedata.category(chr(number)) == "Cf"}


@given(st.text())
def test_what_was_read_once_reads_the_same_again(text: str) -> None:
    for read in (text_input.clean_line, text_input.clean_lines, text_input.clean_code, text_input.clean_csv):
        assert read(read(text)) == read(text)
