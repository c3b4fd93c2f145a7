"""Each text that leaves says who sends it, by whatever way it came about, and says it once."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.tables.accounts import find_by_external_id
from portal.consent.reply_answers import AnswerDraft, answer_reply
from portal.consent.tables.inbound_messages import InboundMessage
from portal.content import content_blocks
from portal.content.message_templates import TemplateDraft
from portal.core.extensions import db
from portal.messages.tables.communications import Delivery
from portal.operations import test_messages
from portal.sends.authoring.draft_sending import send_draft
from portal.settings.organisation_changes import save_profile
from tests.support import inbound_helpers, scenario, servers

pytestmark = pytest.mark.usefixtures("app")
NAME, FULL_NAME = "NC Nursing", "North Carolina Board of Nursing"
NUMBER = scenario.phone_number(0)
NOW_MS = scenario.now_ms() - 60_000


@pytest.fixture(autouse=True)
def named_portal(app: Flask) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(1, with_sms=1)
    create_account(NewAccount("ADMIN", "Ada", "ada@example.org", "Staff", "admin"), NOW_MS)
    save_profile(FULL_NAME, "", None, None, NOW_MS, NAME)


def notify() -> None:
    scenario.add_template(subject="Due, {{ first_name }}")
    scenario.create_expanded_send()


def send_own_draft() -> None:
    draft = TemplateDraft("renewal", "Renewal", "Due", "Pay.", sms_enabled=True)
    send_draft(draft, 1, scenario.now_ms(), "form-1")


def send_test_text() -> None:
    test_messages.send_test_text(scenario.phone_number(7), "Is it there?", 1, scenario.now_ms())


def answer() -> None:
    inbound_helpers.receive_text("Is the exam on Friday?", NUMBER, NOW_MS)
    message_id = db.session.scalars(select(func.max(InboundMessage.id))).one()
    admin, account = find_by_external_id("ADMIN"), find_by_external_id("P-0")
    assert admin
    assert account
    draft = AnswerDraft("It is.", account.id, True)
    answer_reply(message_id, draft, inbound_helpers.make_actor(admin.id), scenario.now_ms())


def welcome() -> None:
    content_blocks.save_block("opt-in-text", "Texts are on. Reply STOP to end.", None, NOW_MS)
    inbound_helpers.receive_text("STOP", NUMBER, scenario.now_ms())
    inbound_helpers.receive_text("START", NUMBER, scenario.now_ms() + 200_000)


@pytest.mark.parametrize("cause", [notify, send_own_draft, send_test_text, answer, welcome])
def test_text_begins_with_the_name(simulator: servers.SimulatorClient, cause: Callable[[], None]) -> None:
    cause()
    scenario.run_sms_worker(clock_ahead_ms=300_000)
    (text,) = simulator.accepted_texts()
    assert text["body"].startswith(f"{NAME}: ")
    assert text["body"].count(NAME) == 1
    (stored,) = db.session.scalars(select(Delivery).where(Delivery.channel == "sms", Delivery.body != ""))
    assert (stored.body, str(stored.segments)) == (text["body"], text["num_segments"])


@pytest.mark.parametrize("word", ["STOP", "HELP"])
def test_reply_to_a_keyword_names_the_organization(word: str) -> None:
    scenario.configure_gateway(SmsGatewaySettings='{"FromNumber": "60606"}')  # Twilio leaves the answers to us
    for key in ("stop-answer", "help-answer"):
        content_blocks.save_block(key, "You get no more texts. Call +1 503 555 0100.", None, NOW_MS)
    answer = inbound_helpers.receive_text(word, NUMBER, NOW_MS, To="60606")
    assert answer == f"{NAME}: You get no more texts. Call +1 503 555 0100."


def test_full_name_in_the_words_is_enough(simulator: servers.SimulatorClient) -> None:
    scenario.add_template(subject=f"{FULL_NAME.upper()} has news")
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    (text,) = simulator.accepted_texts()
    assert text["body"].startswith("NORTH CAROLINA BOARD OF NURSING has news http")
