"""Content blocks: current text, new versions and rejected texts, on both databases."""

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
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.messages.rules import sms_segments
from portal.messages.rules.sms_lookalikes import CharacterReplacement
from portal.settings import setting_changes
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")
PERSON = "+12025550143"
NOW = 1_767_225_600_000


def save_block_text(key: str, text: str, base_version: int | None = None) -> int:
    return content_blocks.save_block(key, text, None, NOW, base_version)


def save_error(key: str, text: str) -> str:
    with pytest.raises(InvalidInput) as rejected:
        save_block_text(key, text)
    assert list(rejected.value.errors) == ["text"]
    assert block_versions(key) == []
    return rejected.value.errors["text"]


def insert_version(key: str, text: str) -> None:
    """A version that validation would reject, as another release may have stored it."""
    with transaction() as session:
        session.add(ContentVersion(key=key, number=1, text=text, created_at_ms=NOW))


def test_block_without_versions_uses_its_default() -> None:
    scenario.configure_gateway()
    block = render_block(WELCOME_TEXT, PERSON)
    assert (block.key, block.version) == (WELCOME_TEXT, 0)
    assert block.text.startswith("Notification portal: notices about your account now come by text.")


@pytest.mark.one_engine
def test_fields_are_filled_in() -> None:
    scenario.configure_gateway()
    save_block_text(WELCOME_TEXT, "{{ organisation }}, {{ sending_number }}, {{ phone_number }}, {{ portal_url }}")
    assert render_block(WELCOME_TEXT, PERSON) == RenderedBlock(
        WELCOME_TEXT, 1, "Notification portal, (202) 555-0100, (202) 555-0143, http://127.0.0.1:9"
    )


@pytest.mark.one_engine
def test_unknown_phone_numbers_become_words() -> None:
    save_block_text(WELCOME_TEXT, "From {{ sending_number }} to {{ phone_number }}.")
    assert render_block(WELCOME_TEXT).text == "Notification portal: From our number to your number."


@pytest.mark.one_engine
def test_unknown_values_are_in_the_language_of_the_block() -> None:
    save_block_text(f"{WELCOME_TEXT}.es", "De {{ sending_number }} a {{ phone_number }}. {{ support_contact }}")
    rendered = render_block(WELCOME_TEXT, language="es")
    assert rendered.text.endswith(": De nuestro teléfono a su teléfono. nuestra oficina")
    assert sms_segments.measure_sms(rendered.text).encoding == "GSM-7"


def test_each_language_has_versions_of_its_own() -> None:
    save_block_text(WELCOME_TEXT, "English one"), save_block_text(WELCOME_TEXT, "English two")
    assert save_block_text(f"{WELCOME_TEXT}.es", "Español", base_version=0) == 1
    texts = [render_block(WELCOME_TEXT, language=code).text for code in ("en", "es", "", "fr")]
    assert [text.rpartition(": ")[2] for text in texts] == ["English two", "Español", "English two", "English two"]
    assert render_block(WELCOME_TEXT, language="es").key == f"{WELCOME_TEXT}.es"
    assert [version.number for version in block_versions(WELCOME_TEXT)] == [2, 1]


def test_changed_wording_leaves_the_other_language_behind() -> None:
    def outdated(key: str) -> list[str]:
        return [block.key for block in content_blocks.outdated_localizations(key, current_block_versions())]

    assert outdated(WELCOME_TEXT) == []
    save_block_text(WELCOME_TEXT, "Changed")
    assert outdated(WELCOME_TEXT) == outdated(f"{WELCOME_TEXT}.es") == [f"{WELCOME_TEXT}.es"]
    save_block_text(f"{WELCOME_TEXT}.es", "Cambiado")
    assert outdated(WELCOME_TEXT) == []
    save_block_text(f"{SIGN_IN_NOTICE}.es", "Cerrado")
    assert outdated(SIGN_IN_NOTICE) == [], "nothing is shown in English, as before"


@pytest.mark.one_engine
def test_notice_without_a_translation_is_shown_in_english() -> None:
    assert render_block(SIGN_IN_NOTICE, language="es").text == ""
    save_block_text(SIGN_IN_NOTICE, "Closed on Sunday")
    assert render_block(SIGN_IN_NOTICE, language="es") == RenderedBlock(SIGN_IN_NOTICE, 1, "Closed on Sunday")
    save_block_text(f"{SIGN_IN_NOTICE}.es", "Domingo cerrado"), save_block_text(f"{SIGN_IN_NOTICE}.es", "")
    assert render_block(SIGN_IN_NOTICE, language="es").text == "", "somebody emptied it"


@pytest.mark.one_engine
def test_sending_number_of_messaging_service_or_short_code() -> None:
    save_block_text(WELCOME_TEXT, "From {{ sending_number }}.")
    scenario.configure_gateway(SmsGatewaySettings=f'{{"MessagingServiceSid": "MG{"0" * 32}"}}')
    assert render_block(WELCOME_TEXT).text == "Notification portal: From our number."
    setting_changes.set_setting("SmsGatewaySettings", '{"FromNumber": "12345"}', None, NOW)
    assert render_block(WELCOME_TEXT).text == "Notification portal: From 12345."


@pytest.mark.one_engine
def test_values_in_a_page_are_not_markdown() -> None:
    scenario.configure_gateway()
    save_block_text(OPT_IN_PROMPT, "**{{ organisation }}** texts {{ phone_number }}")
    block = render_block(OPT_IN_PROMPT, PERSON)
    assert block.text.startswith("**Notification portal** texts (202) 555")
    assert to_html(block.markdown).startswith("<p><strong>Notification portal</strong> texts (202) 555")


def test_block_renders_inside_and_outside_a_transaction() -> None:
    save_block_text(WELCOME_TEXT, "One")
    with transaction():
        assert render_block(WELCOME_TEXT).text == "Notification portal: One"
    assert render_block(WELCOME_TEXT).text == "Notification portal: One"


def test_each_save_adds_a_version() -> None:
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


def test_version_records_author_and_time() -> None:
    create_account(NewAccount("A-1", "Ada Admin", "a@example.org", "Staff", "admin", "UTC"), NOW)
    author = find_by_external_id("A-1")
    assert author
    content_blocks.save_block(SIGN_IN_NOTICE, "Closed on Sunday", author.id, NOW, 0)
    (version,) = block_versions(SIGN_IN_NOTICE)
    assert (version.created_by and version.created_by.name, version.created_at_ms) == ("Ada Admin", NOW)


def test_saving_the_current_text_adds_no_version() -> None:
    assert save_block_text(WELCOME_TEXT, BLOCKS[WELCOME_TEXT].default) == 0
    assert [save_block_text(WELCOME_TEXT, "New"), save_block_text(WELCOME_TEXT, " New\r\n")] == [1, 1]
    assert len(block_versions(WELCOME_TEXT)) == 1


def test_restoring_a_version_adds_a_new_one() -> None:
    save_block_text(WELCOME_TEXT, "One"), save_block_text(WELCOME_TEXT, "Two")
    assert content_blocks.save_block(WELCOME_TEXT, "One", None, NOW, 2, restored_from=1) == 3
    assert [(version.text, version.restored_from) for version in block_versions(WELCOME_TEXT)] == [
        ("One", 1),
        ("Two", None),
        ("One", None),
    ]


def test_reset_adds_a_version_with_the_default() -> None:
    save_block_text(WELCOME_TEXT, "One")
    default = BLOCKS[WELCOME_TEXT].default
    assert content_blocks.save_block(WELCOME_TEXT, default, None, NOW, 1, restored_from=0) == 2
    assert render_block(WELCOME_TEXT).version == 2
    assert block_versions(WELCOME_TEXT)[0].text == BLOCKS[WELCOME_TEXT].default
    assert block_versions(WELCOME_TEXT)[0].restored_from == 0


def test_conflicting_save_is_rejected() -> None:
    save_block_text(WELCOME_TEXT, "One", base_version=0)
    with pytest.raises(VersionConflict, match="Somebody saved version 1 in the meantime"):
        save_block_text(WELCOME_TEXT, "Two", base_version=0)
    with pytest.raises(VersionConflict):
        content_blocks.save_block(WELCOME_TEXT, "Two", None, NOW, 0, restored_from=0)
    assert render_block(WELCOME_TEXT).text == "Notification portal: One"


def test_one_of_eight_concurrent_saves_wins(app: Flask) -> None:
    barrier, results = threading.Barrier(8), list[int]()

    def save(index: int) -> None:
        with app.app_context():
            barrier.wait(20)
            try:
                results.append(save_block_text(WELCOME_TEXT, f"From {index}", base_version=0))
            except VersionConflict:
                results.append(0)
            db.session.remove()

    threads = [threading.Thread(target=save, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == [0] * 7 + [1]
    assert len(block_versions(WELCOME_TEXT)) == 1


def test_version_numbers_are_unique() -> None:
    insert_version(WELCOME_TEXT, "One")
    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        insert_version(WELCOME_TEXT, "Another")


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ first_name }}", "there is no merge field “first_name”"),
        ("Hello\n{{ data.x }}", "Line 2: there is no merge field “data.x”"),
        ("{% if organisation %}", "“{% endif %}” is missing."),
        ("{{ organisation ", "Line 1:"),
        ("{% include 'x' %}", "Line 1:"),
        ("{% for n in (1..100000000) %}x{% endfor %}", "does too much"),
        ("", "Enter the text."),
        (" \r\n ", "Enter the text."),
        ("\x00", "Enter the text."),
        ("{% if false %}x{% endif %}", "empty once its fields are filled in"),
        ("ring\x07", "U+0007"),
        ("torn \ud800 pair", "U+D800"),
        ("a\tb", "U+0009"),
        ("x" * 460, "3 segments at most, and this uses 4"),
        ("😀" * 100, "3 segments at most, and this uses 4"),
        ("{{ organisation | append: 'x' }}" * 40, "3 segments"),
        ("x" * 1_000_000, "Use 1,600 characters or fewer. You have used 1,000,000."),
    ],
)
def test_invalid_sms_text_is_rejected(text: str, message: str) -> None:
    assert message in save_error(WELCOME_TEXT, text)


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ nobody }}", "there is no merge field “nobody”"),
        ("{% if %}x{% endif %}", "Line 1:"),
        ("", "Enter the text."),
        ("bell\x07", "U+0007"),
        ("x" * 1_000_000, "Use 10,000 characters or fewer. You have used 1,000,000."),
    ],
)
def test_invalid_page_text_is_rejected(text: str, message: str) -> None:
    assert message in save_error(OPT_IN_PROMPT, text)


@pytest.mark.one_engine
@pytest.mark.parametrize("code", [0x202A, 0x202E, 0x2066, 0x2069, 0x200B, 0x200E, 0x2060, 0xFEFF, 0xAD, 0x61C, 0xE0041])
def test_invisible_characters_are_rejected(code: int) -> None:
    for key in (WELCOME_TEXT, OPT_IN_PROMPT):
        message = save_error(key, f"Reply {chr(code)}POTS")
        assert message.startswith(f"Remove the character U+{code:04X}: invisible characters")
    assert "U+202E" in save_error(OPT_IN_PROMPT, "Reply &#x202E;POTS")


@pytest.mark.one_engine
def test_emoji_joiner_is_allowed() -> None:
    assert save_block_text(WELCOME_TEXT, "Welcome 👩‍🎓") == 1


@pytest.mark.one_engine
@pytest.mark.parametrize("text", ["x" * 438, "😀" * 89, "Two\nlines", "a\x00b"], ids=range(4))
def test_three_segments_are_accepted(text: str) -> None:
    assert save_block_text(WELCOME_TEXT, text) == 1
    assert render_block(WELCOME_TEXT).text == "Notification portal: " + text.replace("\x00", "")


@pytest.mark.one_engine
def test_only_the_sign_in_notice_may_be_empty() -> None:
    save_block_text(SIGN_IN_NOTICE, "Closed on Sunday")
    assert save_block_text(SIGN_IN_NOTICE, "") == 2
    assert render_block(SIGN_IN_NOTICE) == RenderedBlock(SIGN_IN_NOTICE, 2, "")


@pytest.mark.one_engine
@pytest.mark.parametrize("text", ["{{ retired_field }}", "{% if", "   ", "{% if false %}x{% endif %}"])
def test_unrenderable_version_falls_back_to_the_default(text: str) -> None:
    insert_version(HELP_REPLY, text)
    with structlog.testing.capture_logs() as logs:
        block = render_block(HELP_REPLY, PERSON)
    assert block.version == 0
    assert block.text.startswith("Notification portal: account notices by text.")
    assert [(entry["log_level"], entry["key"], entry["version"]) for entry in logs] == [("error", HELP_REPLY, 1)]
    assert PERSON not in str(logs)
    assert "0143" not in str(logs)


@pytest.mark.one_engine
def test_preview_shows_size_and_wording_issues() -> None:
    preview = content_blocks.preview_block(
        WELCOME_TEXT, "{{ organisation }}: it’s on ê. Msg frequency varies. Reply STOP to end."
    )
    assert preview.text == "Notification portal: it's on ê. Msg frequency varies. Reply STOP to end."
    assert preview.changes == (CharacterReplacement("’", "'"),)
    assert preview.size == sms_segments.measure_sms(preview.text)
    assert preview.costs
    assert preview.costs.ucs2_characters == ("ê",)
    assert [issue.point for issue in preview.wording_issues] == ["purpose", "data rates may apply", "HELP"]
    assert preview.error is None


@pytest.mark.parametrize("key", [WELCOME_TEXT, INVITATION_TEXT, STOP_REPLY, HELP_REPLY])
def test_look_alikes_are_replaced_in_sms_blocks(key: str) -> None:
    save_block_text(key, "It’s “on” –\u00a0{{ organisation }}…\nReply ‘STOP’")
    assert render_block(key).text == "It's \"on\" - Notification portal...\nReply 'STOP'"
    assert sms_segments.measure_sms(render_block(key).text).encoding == "GSM-7"


@pytest.mark.one_engine
def test_wording_issues_do_not_prevent_saving() -> None:
    assert len(content_blocks.preview_block(WELCOME_TEXT, "Hello").wording_issues) == 5
    assert save_block_text(WELCOME_TEXT, "Hello") == 1


@pytest.mark.one_engine
@pytest.mark.parametrize("text", ["{{ nobody }}", "{%", "x" * 2_000_000, "\x00", "\ud800", "{{", ""])
@pytest.mark.parametrize("key", [WELCOME_TEXT, OPT_IN_PROMPT])
def test_preview_reports_errors(key: str, text: str) -> None:
    assert content_blocks.preview_block(key, text).error


@pytest.mark.one_engine
def test_preview_of_a_long_text_shows_its_beginning() -> None:
    preview = content_blocks.preview_block(WELCOME_TEXT, "x" * 2_000_000)
    assert len(preview.text.removeprefix("Notification portal: ")) == 1_600


def test_every_default_passes_with_default_settings() -> None:
    scenario.configure_gateway()
    setting_changes.set_setting("Business", '{"SupportEmail": "help@example.org"}', None, 0)
    for key, block in BLOCKS.items():
        preview = content_blocks.preview_block(key, block.default)
        assert (preview.error, preview.wording_issues) == (None, ())


def test_current_version_of_every_block() -> None:
    save_block_text(WELCOME_TEXT, "One"), save_block_text(WELCOME_TEXT, "Two"), save_block_text(STOP_HELP_INFO, "Three")
    assert {key: version.text for key, version in current_block_versions().items()} == {
        WELCOME_TEXT: "Two",
        STOP_HELP_INFO: "Three",
    }


def test_invalid_setting_does_not_break_a_block() -> None:
    scenario.configure_gateway()
    setting_changes.set_setting("SmsGatewaySettings", f'{{"FromNumber": "{servers.FROM_NUMBER}"}}', None, NOW)
    assert render_block(STOP_HELP_INFO).text.count("555-0100") == 2
