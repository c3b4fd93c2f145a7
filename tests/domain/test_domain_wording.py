import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain import costly, difference, markup, merge, sms, wording
from portal.domain.merge import MergeError
from portal.domain.wording import BLOCKS, FIELDS

BOARD = "Northfield Certification Board"
VALUES = {
    "organisation": BOARD,
    "sending_number": "(202) 555-0100",
    "phone_number": "(202) 555-0143",
    "portal_url": "https://portal.northfield.example.org",
}
TEXTS = [key for key, block in BLOCKS.items() if block.kind == "sms"]
PAGES = [key for key, block in BLOCKS.items() if block.kind == "page"]
WORDS = st.text(st.sampled_from("ab \n.é"), max_size=60)


def shown(key: str) -> str:
    render = merge.render_body if BLOCKS[key].kind == "page" else merge.render_text
    return render(BLOCKS[key].default, VALUES)


def points(key: str, text: str, organisation: str = BOARD) -> list[str]:
    return [advice.point for advice in wording.missing(key, text, organisation)]


def test_the_two_blocks_of_the_source_have_its_names() -> None:
    assert wording.title(wording.PROMPT) == "MyAccount → SMS Opt-in Confirmation Prompt"
    assert wording.title(wording.WELCOME) == "MyAccount → SMS Opt-in Confirmation Text"


def test_every_block_has_a_name_and_an_address_of_its_own() -> None:
    assert len({block.title for block in BLOCKS.values()}) == len(BLOCKS) == 7
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", key) for key in BLOCKS)


@pytest.mark.parametrize("key", BLOCKS)
def test_every_default_passes_the_wording_check_filled_in_or_not(key: str) -> None:
    merge.check(BLOCKS[key].default, tuple(FIELDS))
    assert points(key, shown(key)) == []
    assert points(key, BLOCKS[key].default) == []


@pytest.mark.parametrize("key", TEXTS)
def test_every_default_text_fits_one_segment_with_a_name_of_thirty_characters(key: str) -> None:
    assert len(BOARD) == 30
    weight = sms.weigh(shown(key))
    assert (weight.encoding, weight.segments) == ("GSM-7", 1)


def test_the_default_prompt_reads_well_without_numbers() -> None:
    words = merge.render_body(BLOCKS[wording.PROMPT].default, {**VALUES, "sending_number": "our number"})
    assert "<strong>Northfield Certification Board</strong> can text you" in markup.to_html(words)
    assert "our number sends one text to (202) 555-0143" in markup.to_text(words)


def test_of_an_empty_prompt_a_reviewer_misses_all_six_points_each_with_its_reason() -> None:
    found = wording.missing(wording.PROMPT, "", BOARD)
    assert [advice.point for advice in found] == [
        "who sends",
        "purpose",
        "frequency",
        "data rates may apply",
        "HELP",
        "STOP",
    ]
    assert all(advice.words.endswith(".") and len(advice.reason) > 20 for advice in found)


@pytest.mark.parametrize(
    ("point", "gone", "instead"),
    [
        ("who sends", "Northfield Certification Board", "We"),
        ("frequency", "message frequency varies with what happens on your account", "see our terms"),
        ("data rates may apply", "message and data rates may apply", "ask your carrier"),
        ("HELP", "reply HELP to any of our texts", "we are glad to help you"),
        ("STOP", "reply STOP to any of them, at any time", "it never stops"),
    ],
)
def test_what_is_taken_out_of_the_prompt_is_missed(point: str, gone: str, instead: str) -> None:
    words = markup.to_text(shown(wording.PROMPT))
    assert gone in words
    assert points(wording.PROMPT, words.replace(gone, instead)) == [point]


@pytest.mark.parametrize("key", TEXTS)
def test_a_greeting_alone_lacks_every_point_that_is_expected_of_a_text(key: str) -> None:
    assert len(points(key, "Hello there!")) == len(BLOCKS[key].expects) >= 2


@pytest.mark.parametrize(
    "words",
    [
        "Msg&Data Rates May Apply.",
        "Message and data rates may apply",
        "MSG & DATA RATES MAY APPLY",
        "Standard data rates apply",
        "msg and data\nrates may\napply",
    ],
)
def test_the_rates_may_be_told_in_the_usual_ways(words: str) -> None:
    assert "data rates may apply" not in points(wording.WELCOME, words)


@pytest.mark.parametrize("words", ["Msg freq varies", "4 msgs/month", "up to 5 texts", "one message a week", "monthly"])
def test_the_frequency_may_be_told_in_the_usual_ways(words: str) -> None:
    assert "frequency" not in points(wording.WELCOME, words)


@pytest.mark.parametrize(
    ("words", "missed"),
    [
        ("Reply STOP to end", False),
        ("text “stop” to leave", False),
        ("Stop by our office", True),
        ("nonSTOPping", True),
        ("Texts come NON-STOP", True),
        ("Texts come NON STOP, non-stop, NON‑STOP and nonstop", True),
        ("Alerts non-stop. Reply STOP to end", False),
        ("NON-STOP alerts: text STOP to end", False),
    ],
)
def test_stop_counts_as_a_keyword_only(words: str, missed: bool) -> None:
    assert ("STOP" in points(wording.WELCOME, words)) is missed


def test_the_name_of_the_sender_is_found_whatever_its_case_blanks_and_punctuation() -> None:
    name = "St. Mary's  Board (North)"
    words = merge.render_body("**{{ organisation }}** can text you", {"organisation": name})
    assert "who sends" not in points(wording.PROMPT, words, name)
    assert "who sends" not in points(wording.PROMPT, "st. mary's board\n(north) can text you", name)
    assert "who sends" in points(wording.PROMPT, "St. Mary's can text you", name)


def test_an_invitation_says_how_often_and_a_welcome_says_what_about() -> None:
    welcome = shown(wording.WELCOME).replace("notices about your account now come by text", "welcome")
    assert points(wording.WELCOME, welcome) == ["purpose"]
    invitation = shown(wording.INVITATION).replace("Msg frequency varies. ", "")
    assert points(wording.INVITATION, invitation) == ["frequency"]


def test_a_name_that_speaks_of_renewals_is_no_purpose() -> None:
    name = "Renewals and Deadlines"
    assert "purpose" in points(wording.INVITATION, f"{name}: reply START", name)
    assert "purpose" not in points(wording.INVITATION, f"{name}: reply START for reminders", name)


def test_words_in_code_or_links_of_a_page_are_read_as_a_person_reads_them() -> None:
    assert "STOP" not in points(wording.PROMPT, "Reply `STOP` to end")
    assert "STOP" in points(wording.PROMPT, "[we end it](https://example.org)")


def test_a_field_that_no_block_has_is_named_with_its_line_and_those_there_are() -> None:
    with pytest.raises(MergeError, match=r"Line 2: there is no merge field “first_name”\. Use one of organisation, "):
        merge.check("Hello\n{{ first_name }}", tuple(FIELDS))
    with pytest.raises(MergeError, match=r"there is no merge field “data.x”"):
        merge.check("{{ data.x }}", tuple(FIELDS))


def test_the_fields_of_a_block_are_none_of_a_template() -> None:
    with pytest.raises(MergeError, match=r"“organisation”.*data\.something"):
        merge.check("{{ organisation }}")


@given(WORDS, WORDS)
def test_a_difference_read_either_way_gives_both_texts(before: str, after: str) -> None:
    pieces = difference.between(before, after)
    assert "".join(piece.text for piece in pieces if piece.kind != "new") == before
    assert "".join(piece.text for piece in pieces if piece.kind != "gone") == after
    assert all(piece.text for piece in pieces)


def test_a_difference_shows_whole_words_and_leaves_the_rest() -> None:
    pieces = difference.between("reply STOP to end\nbye", "reply STOP to leave\nbye")
    assert [(piece.kind, piece.text) for piece in pieces] == [
        ("same", "reply STOP to "),
        ("gone", "end"),
        ("new", "leave"),
        ("same", "\nbye"),
    ]


def test_equal_texts_have_no_difference() -> None:
    assert {piece.kind for piece in difference.between("the same words", "the same words")} == {"same"}
    assert difference.between("", "") == ()


def test_costly_characters_are_named_with_a_plain_one_to_write_instead() -> None:
    costs = costly.costs_of("It’s due… 😀\u00a0soon\u200b")
    assert [(found.shown, found.plain) for found in costs.forcing] == [
        ("’", "'"),
        ("…", "..."),
        ("😀", ""),
        ("no-break space", ""),
        ("zero width space", ""),
    ]


def test_it_is_told_what_a_text_would_take_in_plain_characters() -> None:
    long = "x" * 100
    assert (sms.weigh(f"{long}’").segments, costly.costs_of(f"{long}’").plain_segments) == (2, 1)


def test_characters_that_count_twice_are_told_only_where_they_do() -> None:
    assert costly.costs_of("[a] €[").doubled == ("[", "]", "€")
    assert costly.costs_of("[a]’").doubled == ()
