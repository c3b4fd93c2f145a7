"""Every sentence that reviewers of carriers look for is named when it is missing."""

import pytest

from portal.content.rules import merge_fields
from portal.content.rules.content_block_checks import (
    BLOCKS,
    OPT_IN_PAGE,
    PRIVACY,
    PUBLIC_PAGES,
    TERMS,
    find_wording_issues,
)

ORGANISATION = "Board of Example"
VALUES = {
    "organisation": ORGANISATION,
    "portal_url": "https://portal.example.org",
    "sending_number": "(202) 555-0100",
    "phone_number": "(202) 555-0101",
    "support_contact": "help@example.org",
}
SENTENCES = {
    TERMS: {
        "These terms are for": "who sends",
        "**Program:**": "program, text messages",
        "**What we send:**": "what is sent",
        "**How to join:**": "START",
        "**How often:**": "frequency",
        "**Cost:**": "data rates may apply",
        "**To end it:**": "STOP, STOP in bold",
        "**For assistance:**": "HELP, HELP in bold",
        "**Support:**": "support contact",
        "**Complaints:**": "complaints",
        "**Carriers:**": "carriers",
        "**Privacy:**": "link to the privacy policy",
    },
    PRIVACY: {
        "This page says what": "who sends, text messages",
        "**What we collect:**": "what is collected",
        "**No sharing for marketing:**": "no sharing for marketing",
        "**Your agreement:**": "consent is not shared",
        "**To end it:**": "STOP, STOP in bold",
        "**Support:**": "support contact",
        "**Complaints:**": "complaints",
        "**Terms:**": "link to the terms",
    },
    OPT_IN_PAGE: {
        "sends text messages (SMS)": "who sends, text messages",
        "**What we send:**": "what is sent",
        "**How often:**": "frequency",
        "**Cost:**": "data rates may apply",
        "**For assistance:**": "HELP, HELP in bold",
        "**To end it:**": "STOP, STOP in bold",
        "**Your choice:**": "consent is optional",
        "**Your agreement:**": "START",
        "[terms]": "link to the terms",
        "[privacy policy]": "link to the privacy policy",
    },
}
"""By page and part of a sentence: what is missing without the sentence."""
CASES = [(key, part, missing) for key, sentences in SENTENCES.items() for part, missing in sentences.items()]


def _missing(key: str, source: str, values: dict[str, str] = VALUES) -> str:
    issues = find_wording_issues(key, merge_fields.render_body(source, values), ORGANISATION)
    return ", ".join(sorted((issue.point for issue in issues), key=str.casefold))


def without_sentence(key: str, part: str) -> str:
    paragraphs = BLOCKS[key].default.replace("\n- ", "\n\n- ").split("\n\n")
    left = [paragraph for paragraph in paragraphs if part not in paragraph]
    assert len(left) == len(paragraphs) - 1
    return "\n\n".join(left)


@pytest.mark.parametrize("key", PUBLIC_PAGES)
def test_shipped_page_has_every_sentence(key: str) -> None:
    assert _missing(key, BLOCKS[key].default) == ""


@pytest.mark.parametrize(("key", "part", "missing"), CASES)
def test_sentence_that_is_left_out_is_named(key: str, part: str, missing: str) -> None:
    assert _missing(key, without_sentence(key, part)) == ", ".join(sorted(missing.split(", "), key=str.casefold))


@pytest.mark.parametrize("key", PUBLIC_PAGES)
def test_every_required_point_can_be_missing(key: str) -> None:
    named = {point for missing in SENTENCES[key].values() for point in missing.split(", ")}
    assert len(named) == len(BLOCKS[key].required_points)


@pytest.mark.parametrize("word", ["STOP", "HELP"])
def test_instruction_without_bold_print_is_named(word: str) -> None:
    assert _missing(TERMS, BLOCKS[TERMS].default.replace(f"**{word}**", word)) == f"{word} in bold"


def test_page_without_a_support_contact_is_named() -> None:
    assert _missing(TERMS, BLOCKS[TERMS].default, {**VALUES, "support_contact": "our office"}) == "support contact"
