"""A link to another host is refused beside its field; one that comes with a value is replaced in the text alone."""

from collections.abc import Callable

import pytest

from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.tables.accounts import Account
from portal.content import content_blocks, message_templates
from portal.content.links import TOKEN_LENGTH
from portal.content.message_templates import TemplateDraft
from portal.content.rendering import render_message
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.operations import test_messages
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
WORDS = "See https://bit.ly/3abc"
DRAFT = TemplateDraft("links", "Links", WORDS, "Hello", sms_enabled=True)


def create_template() -> None:
    message_templates.create_template(DRAFT, None, 1)


def save_block() -> None:
    content_blocks.save_block("help-answer", WORDS, None, 1)


def send_test_text() -> None:
    scenario.configure_gateway()
    test_messages.send_test_text("+12025550123", WORDS, 1, 1)


@pytest.mark.parametrize(
    ("write", "field"), [(create_template, "subject"), (save_block, "text"), (send_test_text, "body")]
)
def test_a_link_to_another_host_is_refused(write: Callable[[], object], field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        write()
    assert "bit.ly" in refusal.value.errors[field]


def test_a_link_in_a_name_reaches_the_email_but_not_the_text() -> None:
    account_id = create_account(NewAccount("P-1", "Jo bit.ly/3abc", "jo@example.org", "T"), 1)
    draft = TemplateDraft("due", "Due", "Due, {{ name }}", "Hello", sms_enabled=True)
    message = render_message(draft, db.session.get_one(Account, account_id), {}, "x" * TOKEN_LENGTH)
    assert message.subject == "Due, Jo bit.ly/3abc"
    assert message.text.startswith("Notification portal: Due, Jo (...) http")


def test_an_email_only_template_may_link_anywhere() -> None:
    message_templates.create_template(TemplateDraft("links", "Links", WORDS, "Hello"), None, 1)
