import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.content.rules import content_block_checks, markdown, merge_fields, text_diff
from portal.content.rules.content_block_checks import (
    BLOCK_FIELDS,
    BLOCKS,
    MOVE_NOTICES,
    find_wording_issues,
    localized_block,
)
from portal.content.rules.merge_fields import MergeError
from portal.content.rules.wording_points import EXAMPLES, PATTERNS
from portal.content.rules.wording_points import missing_points as missing_of_points
from portal.core.translation import LANGUAGES
from portal.messages.rules import sms_segments, unicode_cost

ORGANISATION = "Northfield Certification Board"
VALUES = {
    "organisation": ORGANISATION,
    "sending_number": "(202) 555-0100",
    "phone_number": "(202) 555-0143",
    "portal_url": "https://portal.northfield.example.org",
    "support_contact": "help@northfield.example.org",
}
SMS_BLOCKS = [key for key, block in BLOCKS.items() if block.kind == "sms"]
PAGE_BLOCKS = [key for key, block in BLOCKS.items() if block.kind == "page"]
TEXTS = st.text(st.sampled_from("ab \n.é"), max_size=60)


def filled_in(key: str) -> str:
    render = merge_fields.render_body if BLOCKS[key].kind == "page" else merge_fields.render_text
    return render(BLOCKS[key].default, VALUES)


def missing_points(key: str, text: str, organisation: str = ORGANISATION) -> list[str]:
    render = merge_fields.render_body if BLOCKS[key].kind == "page" else merge_fields.render_text
    rendered = render(text, {**VALUES, "organisation": organisation})
    return [issue.point for issue in content_block_checks.find_wording_issues(key, rendered, organisation)]


def test_source_document_blocks_keep_their_names() -> None:
    assert BLOCKS[content_block_checks.OPT_IN_PROMPT].title == "MyAccount → SMS Opt-in Confirmation Prompt"
    assert BLOCKS[content_block_checks.WELCOME_TEXT].title == "MyAccount → SMS Opt-in Confirmation Text"


def test_block_titles_and_keys_are_unique() -> None:
    assert len({block.title for block in BLOCKS.values()}) == len(BLOCKS) == 10 * len(LANGUAGES)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*(\.es)?", key) for key in BLOCKS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_block_and_point(language: str) -> None:
    for block in BLOCKS.values():
        localized = localized_block(block.key, language)
        assert (localized.base_key, localized.language) == (block.base_key, language)
        assert set(block.required_points) - {"sender"} <= set(PATTERNS[language])
    assert EXAMPLES[language].keys() == EXAMPLES["en"].keys()
    assert all(notices[language] for notices in MOVE_NOTICES.values())


def test_block_without_a_translation_is_in_english() -> None:
    assert localized_block(content_block_checks.WELCOME_TEXT, "fr").key == content_block_checks.WELCOME_TEXT


@pytest.mark.parametrize("key", BLOCKS)
def test_default_blocks_pass_the_wording_check(key: str) -> None:
    merge_fields.check_template(BLOCKS[key].default, tuple(BLOCK_FIELDS))
    assert missing_points(key, filled_in(key)) == []


@pytest.mark.parametrize("key", SMS_BLOCKS)
def test_default_sms_fits_one_segment_with_a_30_character_name(key: str) -> None:
    assert len(ORGANISATION) == 30
    size = sms_segments.measure_sms(filled_in(key))
    assert (size.encoding, size.segments) == ("GSM-7", 1)


def test_default_prompt_reads_well_without_numbers() -> None:
    body = merge_fields.render_body(
        BLOCKS[content_block_checks.OPT_IN_PROMPT].default, {**VALUES, "sending_number": "our number"}
    )
    assert "<strong>Northfield Certification Board</strong> can text you" in markdown.to_html(body)
    assert "our number sends one text to (202) 555-0143" in markdown.to_text(body)


@pytest.mark.parametrize("notices", MOVE_NOTICES.values())
def test_move_notices_need_no_costly_letters(notices: dict[str, str]) -> None:
    assert {sms_segments.measure_sms(notice).encoding for notice in notices.values()} == {"GSM-7"}


def test_empty_prompt_has_all_six_wording_issues() -> None:
    issues = content_block_checks.find_wording_issues(content_block_checks.OPT_IN_PROMPT, "", ORGANISATION)
    assert [issue.point for issue in issues] == [
        "who sends",
        "purpose",
        "frequency",
        "data rates may apply",
        "HELP",
        "STOP",
    ]
    assert all(issue.message.endswith(".") and len(issue.reason) > 20 for issue in issues)


@pytest.mark.parametrize(
    ("key", "example"),
    [("opt-in-text", "“Message frequency varies” is"), ("opt-in-text.es", "“La frecuencia de los mensajes varía” is")],
)
def test_advice_quotes_a_sentence_in_the_language_of_the_wording(key: str, example: str) -> None:
    (issue,) = [issue for issue in find_wording_issues(key, "", ORGANISATION) if issue.point == "frequency"]
    assert example in issue.explanation


@pytest.mark.parametrize(("language", "examples"), EXAMPLES.items())
def test_quoted_sentence_satisfies_the_check(language: str, examples: dict[str, str]) -> None:
    assert missing_of_points(examples, ". ".join(examples.values()), "", "", language) == ()


@pytest.mark.parametrize(
    ("point", "removed", "replacement"),
    [
        ("who sends", "Northfield Certification Board", "We"),
        ("frequency", "message frequency varies with what happens on your account", "see our terms"),
        ("data rates may apply", "message and data rates may apply", "ask your carrier"),
        ("HELP", "reply HELP to any of our texts", "we are glad to help you"),
        ("STOP", "reply STOP to any of them, at any time", "it never stops"),
    ],
)
def test_point_removed_from_the_prompt_is_reported(point: str, removed: str, replacement: str) -> None:
    text = markdown.to_text(filled_in(content_block_checks.OPT_IN_PROMPT))
    assert removed in text
    assert missing_points(content_block_checks.OPT_IN_PROMPT, text.replace(removed, replacement)) == [point]


@pytest.mark.parametrize(
    ("key", "point", "removed"),
    [
        ("opt-in-prompt.es", "who sends", "Northfield Certification Board"),
        ("opt-in-prompt.es", "frequency", "la frecuencia de los mensajes varía según lo que ocurra en su cuenta"),
        ("opt-in-prompt.es", "data rates may apply", "pueden aplicarse tarifas por mensajes y datos"),
        ("opt-in-prompt.es", "HELP", "responda HELP a cualquiera de nuestros mensajes"),
        ("opt-in-prompt.es", "STOP", "responda STOP a cualquiera de ellos"),
        ("opt-in-text.es", "purpose", "sus avisos ya llegan por SMS"),
        ("opt-in-text.es", "frequency", "Frecuencia variable"),
        ("opt-in-text.es", "data rates may apply", "Puede haber cargos por mensajes y datos"),
        ("opt-in-text.es", "HELP", "HELP para ayuda"),
        ("opt-in-text.es", "STOP", "STOP para cancelar"),
        ("invitation.es", "purpose", "para avisos de su cuenta"),
        ("invitation.es", "START", "START"),
        ("invitation.es", "data rates may apply", "Puede haber cargos por SMS y datos"),
        ("stop-help-information.es", "data rates may apply", "Pueden aplicarse tarifas por mensajes y datos"),
        ("stop-answer.es", "confirmation", "su baja queda confirmada. Ya no enviaremos SMS a este teléfono"),
        ("help-answer.es", "contact", VALUES["portal_url"]),
    ],
)
def test_point_removed_from_a_spanish_block_is_reported(key: str, point: str, removed: str) -> None:
    text = filled_in(key)
    frequency = "Frecuencia:" if removed.startswith("la frecuencia") else removed
    assert removed in text
    assert missing_points(key, text.replace(removed, "").replace(frequency, "")) == [point]


def test_english_wording_in_a_spanish_block_lacks_most_points() -> None:
    assert missing_points("opt-in-text.es", filled_in("opt-in-text")) == [
        "purpose",
        "frequency",
        "data rates may apply",
    ]


@pytest.mark.parametrize("key", SMS_BLOCKS)
def test_greeting_alone_misses_every_required_point(key: str) -> None:
    assert len(missing_points(key, "Hello there!")) == len(BLOCKS[key].required_points) >= 2


@pytest.mark.parametrize(
    "text",
    [
        "Msg&Data Rates May Apply.",
        "Message and data rates may apply",
        "MSG & DATA RATES MAY APPLY",
        "Standard data rates apply",
        "msg and data\nrates may\napply",
    ],
)
def test_usual_rates_phrases_are_accepted(text: str) -> None:
    assert "data rates may apply" not in missing_points(content_block_checks.WELCOME_TEXT, text)


@pytest.mark.parametrize(
    "text",
    [
        "Pueden aplicarse tarifas por mensajes y datos",
        "pueden aplicar cargos por msjs y datos",
        "Podrían aplicarse tarifas de datos",
        "Las tarifas de mensajes y datos pueden aplicarse",
        "Puede haber costos por SMS y datos",
    ],
)
def test_usual_rates_phrases_are_accepted_in_spanish(text: str) -> None:
    assert "data rates may apply" not in missing_points("opt-in-text.es", text)


@pytest.mark.parametrize(
    "text",
    ["La frecuencia de los mensajes varia", "4 msjs/mes", "hasta 5 mensajes", "un mensaje por semana", "mensual"],
)
def test_usual_frequency_phrases_are_accepted_in_spanish(text: str) -> None:
    assert "frequency" not in missing_points("opt-in-text.es", text)


@pytest.mark.parametrize("text", ["Msg freq varies", "4 msgs/month", "up to 5 texts", "one message a week", "monthly"])
def test_usual_frequency_phrases_are_accepted(text: str) -> None:
    assert "frequency" not in missing_points(content_block_checks.WELCOME_TEXT, text)


@pytest.mark.parametrize(
    ("text", "is_missing"),
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
def test_stop_counts_only_as_a_keyword(text: str, is_missing: bool) -> None:
    assert ("STOP" in missing_points(content_block_checks.WELCOME_TEXT, text)) is is_missing


def test_sender_name_is_found_in_any_case_and_spacing() -> None:
    name = "St. Mary's  Board (North)"
    text = merge_fields.render_body("**{{ organisation }}** can text you", {"organisation": name})
    assert "who sends" not in missing_points(content_block_checks.OPT_IN_PROMPT, text, name)
    assert "who sends" not in missing_points(
        content_block_checks.OPT_IN_PROMPT, "st. mary's board\n(north) can text you", name
    )
    assert "who sends" in missing_points(content_block_checks.OPT_IN_PROMPT, "St. Mary's can text you", name)


def test_required_points_differ_for_invitation_and_welcome() -> None:
    welcome = filled_in(content_block_checks.WELCOME_TEXT).replace(
        "notices about your account now come by text", "welcome"
    )
    assert missing_points(content_block_checks.WELCOME_TEXT, welcome) == ["purpose"]
    invitation = filled_in(content_block_checks.INVITATION_TEXT).replace("Msg frequency varies. ", "")
    assert missing_points(content_block_checks.INVITATION_TEXT, invitation) == ["frequency"]


def test_organisation_name_does_not_count_as_purpose() -> None:
    name = "Renewals and Deadlines"
    assert "purpose" in missing_points(content_block_checks.INVITATION_TEXT, f"{name}: reply START", name)
    assert "purpose" not in missing_points(
        content_block_checks.INVITATION_TEXT, f"{name}: reply START for reminders", name
    )


def test_wording_check_reads_rendered_markdown() -> None:
    assert "STOP" not in missing_points(content_block_checks.OPT_IN_PROMPT, "Reply `STOP` to end")
    assert "STOP" in missing_points(content_block_checks.OPT_IN_PROMPT, "[we end it](https://example.org)")


def test_unknown_field_error_names_line_and_known_fields() -> None:
    with pytest.raises(MergeError, match=r"Line 2: there is no merge field “first_name”\. Use one of organisation, "):
        merge_fields.check_template("Hello\n{{ first_name }}", tuple(BLOCK_FIELDS))
    with pytest.raises(MergeError, match=r"there is no merge field “data.x”"):
        merge_fields.check_template("{{ data.x }}", tuple(BLOCK_FIELDS))


def test_block_fields_are_unknown_in_templates() -> None:
    with pytest.raises(MergeError, match=r"“organisation”.*data\.something"):
        merge_fields.check_template("{{ organisation }}")


@given(TEXTS, TEXTS)
def test_diff_reproduces_both_texts(before: str, after: str) -> None:
    parts = text_diff.diff_words(before, after)
    assert "".join(part.text for part in parts if part.kind != "added") == before
    assert "".join(part.text for part in parts if part.kind != "removed") == after
    assert all(part.text for part in parts)


def test_diff_marks_whole_words_only() -> None:
    parts = text_diff.diff_words("reply STOP to end\nbye", "reply STOP to leave\nbye")
    assert [(part.kind, part.text) for part in parts] == [
        ("unchanged", "reply STOP to "),
        ("removed", "end"),
        ("added", "leave"),
        ("unchanged", "\nbye"),
    ]


def test_equal_texts_have_no_diff() -> None:
    assert {part.kind for part in text_diff.diff_words("the same text", "the same text")} == {"unchanged"}
    assert text_diff.diff_words("", "") == ()


def test_ucs2_characters_are_listed_in_printable_form() -> None:
    costs = unicode_cost.encoding_cost("It’s due… 😀\u00a0soon\u200b")
    assert costs.ucs2_characters == ("’", "…", "😀", "no-break space", "zero width space")


def test_cost_includes_the_segments_in_plain_characters() -> None:
    text = "x" * 100 + "’"
    assert sms_segments.measure_sms(text).segments == 2
    assert unicode_cost.encoding_cost(text).plain_segments == 1


def test_two_septet_characters_are_listed_for_gsm7_only() -> None:
    assert unicode_cost.encoding_cost("[a] €[").two_septet_characters == ("[", "]", "€")
    assert unicode_cost.encoding_cost("[a]’").two_septet_characters == ()
