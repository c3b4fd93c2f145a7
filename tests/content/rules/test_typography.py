import pytest

from portal.content.rules.analysis.typography import (
    HiddenCharacter,
    direction_problem,
    has_curly_quotes,
    hidden_characters,
    straighten_quotes,
)


def test_curly_quotes_become_straight() -> None:
    assert straighten_quotes("“It’s ‘due’” „low‚ ‛x‟") == "\"It's 'due'\" \"low' 'x\""


def test_straightened_text_has_no_curly_quotes() -> None:
    assert has_curly_quotes("plain", "it’s")
    assert not has_curly_quotes("plain", straighten_quotes("it’s"))


@pytest.mark.parametrize("character", ["\u202a", "\u202e", "\u2066", "\u2069"])
def test_characters_that_change_the_reading_direction_are_named_with_their_line(character: str) -> None:
    problem = str(direction_problem(f"one\ntwo {character}gpj.exe"))
    assert problem.startswith(f"Line 2: remove the character U+{ord(character):04X}.")


@pytest.mark.parametrize("text", ["plain", "שלום", "مرحبا", "می\u200cخواهم", "👩\u200d🚒"])
def test_writing_from_right_to_left_is_no_problem(text: str) -> None:
    assert direction_problem(text) is None
    assert hidden_characters(text) == []


def test_hidden_characters_have_a_name_and_a_place() -> None:
    assert hidden_characters("one\nt\u200bwo\u2060") == [
        HiddenCharacter("zero width space", 2, 2),
        HiddenCharacter("word joiner", 2, 5),
    ]
