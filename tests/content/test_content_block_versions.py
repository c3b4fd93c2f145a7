"""Content blocks: the words in force, new versions of them, and what is refused; on both engines."""

import threading

import pytest
import structlog
from flask import Flask

from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.tables.accounts import find_by_external_id
from portal.content import content_blocks
from portal.content.content_blocks import RenderedBlock, render_block
from portal.content.message_templates import VersionConflict
from portal.content.rules.content_block_checks import (
    BLOCKS,
    HELP_REPLY,
    INVITATION_TEXT,
    OPT_IN_PROMPT,
    SIGN_IN_NOTICE,
    STOP_HELP_INFO,
    STOP_REPLY,
    WELCOME_TEXT,
)
from portal.content.rules.markdown import to_html
from portal.content.tables.content_versions import ContentVersion, block_versions, current_block_versions
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.messages.rules import sms_segments
from portal.messages.rules.sms_lookalikes import CharacterReplacement
from portal.settings import app_settings
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")
PERSON = "+12025550143"
NOW = 1_767_225_600_000


def save_block_text(key: str, text: str, base_version: int | None = None) -> int:
    return content_blocks.save_block(key, text, None, NOW, base_version)


def save_error(key: str, text: str) -> str:
    with pytest.raises(InvalidInput) as refused:
        save_block_text(key, text)
    assert list(refused.value.errors) == ["text"]
    assert block_versions(key) == []
    return refused.value.errors["text"]


def insert_version(key: str, text: str) -> None:
    """Words that no door lets in, as an older release may have left them."""
    with transaction() as session:
        session.add(ContentVersion(key=key, number=1, text=text, created_at_ms=NOW))


def test_without_a_version_a_block_speaks_the_words_that_ship() -> None:
    scenario.configure_gateway()
    found = render_block(WELCOME_TEXT, PERSON)
    assert (found.key, found.version) == (WELCOME_TEXT, 0)
    assert found.text.startswith("Notification portal: notices about your account now come by text.")


@pytest.mark.one_engine
def test_the_fields_are_filled_in() -> None:
    scenario.configure_gateway()
    save_block_text(WELCOME_TEXT, "{{ organisation }}, {{ sending_number }}, {{ phone_number }}, {{ portal_url }}")
    assert render_block(WELCOME_TEXT, PERSON) == RenderedBlock(
        WELCOME_TEXT, 1, "Notification portal, (202) 555-0100, (202) 555-0143, http://127.0.0.1:9"
    )


@pytest.mark.one_engine
def test_what_is_not_known_reads_as_words() -> None:
    save_block_text(WELCOME_TEXT, "From {{ sending_number }} to {{ phone_number }}.")
    assert render_block(WELCOME_TEXT).text == "From our number to your number."


@pytest.mark.one_engine
def test_a_messaging_service_has_no_number_to_name_and_a_short_code_is_its_own_name() -> None:
    save_block_text(WELCOME_TEXT, "From {{ sending_number }}.")
    scenario.configure_gateway(SmsGatewaySettings=f'{{"MessagingServiceSid": "MG{"0" * 32}"}}')
    assert render_block(WELCOME_TEXT).text == "From our number."
    app_settings.set_setting("SmsGatewaySettings", '{"FromNumber": "12345"}', None, NOW)
    assert render_block(WELCOME_TEXT).text == "From 12345."


@pytest.mark.one_engine
def test_a_page_is_markdown_in_which_values_are_only_words() -> None:
    scenario.configure_gateway()
    save_block_text(OPT_IN_PROMPT, "**{{ organisation }}** texts {{ phone_number }}")
    words = render_block(OPT_IN_PROMPT, PERSON)
    assert words.text.startswith("**Notification portal** texts (202) 555")
    assert to_html(words.markdown).startswith("<p><strong>Notification portal</strong> texts (202) 555")


def test_words_are_read_inside_a_transaction_and_out_of_it() -> None:
    save_block_text(WELCOME_TEXT, "One")
    with transaction():
        assert render_block(WELCOME_TEXT).text == "One"
    assert render_block(WELCOME_TEXT).text == "One"


def test_each_saving_makes_a_version_and_none_is_lost() -> None:
    assert [
        save_block_text(INVITATION_TEXT, "First {{ organisation }}"),
        save_block_text(INVITATION_TEXT, "Second"),
    ] == [1, 2]
    assert [(version.number, version.text) for version in block_versions(INVITATION_TEXT)] == [
        (2, "Second"),
        (1, "First {{ organisation }}"),
    ]
    assert render_block(INVITATION_TEXT).version == 2
    assert render_block(WELCOME_TEXT).version == 0


def test_a_version_knows_who_saved_it_and_when() -> None:
    create_account(NewAccount("A-1", "Ada Admin", "a@example.org", "Staff", "admin", "UTC"), NOW)
    author = find_by_external_id("A-1")
    assert author
    content_blocks.save_block(SIGN_IN_NOTICE, "Closed on Sunday", author.id, NOW, 0)
    (found,) = block_versions(SIGN_IN_NOTICE)
    assert (found.created_by and found.created_by.name, found.created_at_ms) == ("Ada Admin", NOW)


def test_the_words_in_force_make_no_version_again() -> None:
    assert save_block_text(WELCOME_TEXT, BLOCKS[WELCOME_TEXT].default) == 0
    assert [save_block_text(WELCOME_TEXT, "New"), save_block_text(WELCOME_TEXT, " New\r\n")] == [1, 1]
    assert len(block_versions(WELCOME_TEXT)) == 1


def test_an_older_version_is_restored_as_a_new_one() -> None:
    save_block_text(WELCOME_TEXT, "One"), save_block_text(WELCOME_TEXT, "Two")
    assert content_blocks.restore_version(WELCOME_TEXT, 1, None, NOW, 2) == 3
    assert [(found.text, found.restored_from) for found in block_versions(WELCOME_TEXT)] == [
        ("One", 1),
        ("Two", None),
        ("One", None),
    ]


def test_reset_brings_the_default_back_as_a_new_version() -> None:
    save_block_text(WELCOME_TEXT, "One")
    assert content_blocks.reset_block(WELCOME_TEXT, None, NOW, 1) == 2
    assert render_block(WELCOME_TEXT).version == 2
    assert block_versions(WELCOME_TEXT)[0].text == BLOCKS[WELCOME_TEXT].default
    assert block_versions(WELCOME_TEXT)[0].restored_from == 0


def test_what_never_was_cannot_be_saved_or_restored() -> None:
    for key, number in ((WELCOME_TEXT, 7), (WELCOME_TEXT, -1), (WELCOME_TEXT, 10**30), ("nothing", 0)):
        with pytest.raises(ActionRefused, match="There is no such"):
            content_blocks.restore_version(key, number, None, NOW)
    with pytest.raises(ActionRefused, match="There is no such content block"):
        save_block_text("nothing", "Hello")


def test_whoever_was_overtaken_is_told_and_nothing_is_written() -> None:
    save_block_text(WELCOME_TEXT, "One", base_version=0)
    with pytest.raises(VersionConflict, match="Version 1 was saved meanwhile"):
        save_block_text(WELCOME_TEXT, "Two", base_version=0)
    with pytest.raises(VersionConflict):
        content_blocks.reset_block(WELCOME_TEXT, None, NOW, 0)
    assert render_block(WELCOME_TEXT).text == "One"


def test_of_eight_who_save_at_once_one_is_first_and_the_others_are_told(app: Flask) -> None:
    together, ends = threading.Barrier(8), []

    def one(place: int) -> None:
        with app.app_context():
            together.wait(20)
            try:
                ends.append(save_block_text(WELCOME_TEXT, f"From {place}", base_version=0))
            except VersionConflict:
                ends.append(0)
            db.session.remove()

    threads = [threading.Thread(target=one, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(ends) == [0] * 7 + [1]
    assert len(block_versions(WELCOME_TEXT)) == 1


def test_two_rows_of_the_same_number_cannot_be() -> None:
    insert_version(WELCOME_TEXT, "One")
    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        insert_version(WELCOME_TEXT, "Another")


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ first_name }}", "there is no merge field “first_name”"),
        ("Hello\n{{ data.x }}", "Line 2: there is no merge field “data.x”"),
        ("{% if organisation %}", "“{% endif %}” is missing."),
        ("{{ organisation ", "Line 1:"),
        ("{% include 'x' %}", "Line 1:"),
        ("{% for n in (1..100000000) %}x{% endfor %}", "does too much"),
        ("", "Write the words."),
        (" \r\n ", "Write the words."),
        ("\x00", "Write the words."),
        ("{% if false %}x{% endif %}", "nothing is left to send"),
        ("ring\x07", "U+0007"),
        ("torn \ud800 pair", "U+D800"),
        ("a\tb", "U+0009"),
        ("x" * 460, "3 segments, and this takes 4"),
        ("😀" * 100, "3 segments, and this takes 4"),
        ("{{ organisation | append: 'x' }}" * 40, "3 segments"),
        ("x" * 1_000_000, "Keep it to 1,600 characters; this has 1,000,000."),
    ],
)
def test_a_text_that_cannot_be_sent_is_refused_at_its_field(text: str, words: str) -> None:
    assert words in save_error(WELCOME_TEXT, text)


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ nobody }}", "there is no merge field “nobody”"),
        ("{% if %}x{% endif %}", "Line 1:"),
        ("", "Write the words."),
        ("bell\x07", "U+0007"),
        ("x" * 1_000_000, "Keep it to 10,000 characters; this has 1,000,000."),
    ],
)
def test_a_page_that_cannot_be_shown_is_refused_at_its_field(text: str, words: str) -> None:
    assert words in save_error(OPT_IN_PROMPT, text)


@pytest.mark.one_engine
@pytest.mark.parametrize("code", [0x202A, 0x202E, 0x2066, 0x2069, 0x200B, 0x200E, 0x2060, 0xFEFF, 0xAD, 0x61C, 0xE0041])
def test_characters_that_nobody_sees_are_refused_in_texts_and_pages(code: int) -> None:
    for key in (WELCOME_TEXT, OPT_IN_PROMPT):
        said = save_error(key, f"Reply {chr(code)}POTS")
        assert said.startswith(f"Take out the character U+{code:04X}: characters that nobody sees")
    assert "U+202E" in save_error(OPT_IN_PROMPT, "Reply &#x202E;POTS")


@pytest.mark.one_engine
def test_the_joiner_of_emoji_is_allowed() -> None:
    assert save_block_text(WELCOME_TEXT, "Welcome 👩‍🎓") == 1


@pytest.mark.one_engine
@pytest.mark.parametrize("text", ["x" * 459, "😀" * 99, "Two\nlines", "a\x00b"], ids=range(4))
def test_what_fits_three_segments_is_a_text(text: str) -> None:
    assert save_block_text(WELCOME_TEXT, text) == 1
    assert render_block(WELCOME_TEXT).text == text.replace("\x00", "")


@pytest.mark.one_engine
def test_only_a_block_that_ships_empty_may_be_empty() -> None:
    save_block_text(SIGN_IN_NOTICE, "Closed on Sunday")
    assert save_block_text(SIGN_IN_NOTICE, "") == 2
    assert render_block(SIGN_IN_NOTICE) == RenderedBlock(SIGN_IN_NOTICE, 2, "")


@pytest.mark.one_engine
@pytest.mark.parametrize("text", ["{{ retired_field }}", "{% if", "   ", "{% if false %}x{% endif %}"])
def test_words_that_cannot_be_filled_in_any_more_give_way_to_the_default_and_the_log_says_so(text: str) -> None:
    insert_version(HELP_REPLY, text)
    with structlog.testing.capture_logs() as logs:
        found = render_block(HELP_REPLY, PERSON)
    assert found.version == 0
    assert found.text.startswith("Notification portal: account notices by text.")
    assert [(entry["log_level"], entry["key"], entry["version"]) for entry in logs] == [("error", HELP_REPLY, 1)]
    assert PERSON not in str(logs)
    assert "0143" not in str(logs)


@pytest.mark.one_engine
def test_a_preview_shows_what_it_weighs_and_what_a_reviewer_would_miss() -> None:
    found = content_blocks.preview_block(
        WELCOME_TEXT, "{{ organisation }}: it’s on ê. Msg frequency varies. Reply STOP to end."
    )
    assert found.text == "Notification portal: it's on ê. Msg frequency varies. Reply STOP to end."
    assert found.changes == (CharacterReplacement("’", "'"),)
    assert found.size == sms_segments.measure_sms(found.text)
    assert found.costs
    assert [costly.printable_form for costly in found.costs.ucs2_characters] == ["ê"]
    assert [advice.point for advice in found.wording_issues] == ["purpose", "data rates may apply", "HELP"]
    assert found.error is None


@pytest.mark.parametrize("key", [WELCOME_TEXT, INVITATION_TEXT, STOP_REPLY, HELP_REPLY])
def test_a_text_of_the_portal_leaves_with_its_look_alikes_made_plain(key: str) -> None:
    save_block_text(key, "It’s “on” –\u00a0{{ organisation }}…\nReply ‘STOP’")
    assert render_block(key).text == "It's \"on\" - Notification portal...\nReply 'STOP'"
    assert sms_segments.measure_sms(render_block(key).text).encoding == "GSM-7"


@pytest.mark.one_engine
def test_advice_is_no_lock() -> None:
    assert len(content_blocks.preview_block(WELCOME_TEXT, "Hello").wording_issues) == 6
    assert save_block_text(WELCOME_TEXT, "Hello") == 1


@pytest.mark.one_engine
@pytest.mark.parametrize("text", ["{{ nobody }}", "{%", "x" * 2_000_000, "\x00", "\ud800", "{{", ""])
@pytest.mark.parametrize("key", [WELCOME_TEXT, OPT_IN_PROMPT])
def test_a_preview_names_what_is_wrong_and_never_breaks(key: str, text: str) -> None:
    assert content_blocks.preview_block(key, text).error


@pytest.mark.one_engine
def test_a_preview_of_far_too_much_shows_its_beginning() -> None:
    assert len(content_blocks.preview_block(WELCOME_TEXT, "x" * 2_000_000).text) == 1_600


def test_every_default_passes_with_the_portals_own_settings() -> None:
    scenario.configure_gateway()
    for key, block in BLOCKS.items():
        found = content_blocks.preview_block(key, block.default)
        assert (found.error, found.wording_issues) == (None, ())


def test_the_current_version_of_every_block_is_found_at_once() -> None:
    save_block_text(WELCOME_TEXT, "One"), save_block_text(WELCOME_TEXT, "Two"), save_block_text(STOP_HELP_INFO, "Three")
    assert {key: version.text for key, version in current_block_versions().items()} == {
        WELCOME_TEXT: "Two",
        STOP_HELP_INFO: "Three",
    }


def test_a_broken_setting_stops_no_words() -> None:
    scenario.configure_gateway()
    app_settings.set_setting("SmsGatewaySettings", f'{{"FromNumber": "{servers.FROM_NUMBER}"}}', None, NOW)
    assert render_block(STOP_HELP_INFO).text.count("555-0100") == 2
