"""The draft that an author sends to themselves: once, marked as a test, and texted only if the rules allow it."""

import pytest
from flask import Flask

from portal.accounts.tables.accounts import find_by_external_id
from portal.accounts.tables.phone_numbers import PhoneState
from portal.content.message_templates import TemplateDraft
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.rules.routing import Reason
from portal.messages.tables.communications import Communication, Delivery
from portal.sends.authoring.draft_sending import SentDraft, send_draft
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")
DRAFT = TemplateDraft("renewal", "Renewal", "Due, {{ first_name }}", "Pay {{ data.fee }}.", sms_enabled=True)


@pytest.fixture(autouse=True)
def gateway_and_author(app: Flask) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(2, with_sms=1)


def send(external_id: str = "P-0", request_key: str = "form-1", draft: TemplateDraft = DRAFT) -> SentDraft:
    author = find_by_external_id(external_id)
    assert author
    return send_draft(draft, author.id, scenario.now_ms(), request_key)


def test_author_gets_one_email_and_one_text(simulator: servers.SimulatorClient) -> None:
    for _click in range(2):
        send()
    scenario.run_email_worker()
    scenario.run_sms_worker()
    assert [email["to"] for email in simulator.received_emails()] == [["p0@example.org"]]
    (text,) = simulator.accepted_texts()
    assert text["to"] == scenario.phone_number(0)
    assert text["body"].startswith("Notification portal: [Test] Due, Person ")


def test_message_says_that_it_is_a_test() -> None:
    communication = db.session.get_one(Communication, send().communication_id)
    assert communication.subject == "[Test] Due, Person"
    assert "A test of the draft of" in communication.body
    assert communication.send_id is None


def test_same_request_is_sent_once() -> None:
    assert send().communication_id == send().communication_id
    assert send(request_key="form-2").communication_id != send().communication_id
    assert db.session.query(Communication).count() == 2


def test_author_without_texts_gets_only_the_email() -> None:
    sent = send("P-1")
    assert sent.routing.reason == Reason.NO_NUMBER
    states = {row.channel: (row.state, row.reason) for row in _deliveries(sent)}
    assert states == {"email": ("ready", ""), "sms": ("skipped", Reason.NO_NUMBER)}


def test_author_who_replied_stop_is_not_texted() -> None:
    stop()
    assert send().routing.reason == Reason.STOPPED


def test_stop_after_the_request_wins(simulator: servers.SimulatorClient) -> None:
    sent = send()
    stop()
    scenario.run_sms_worker()
    assert simulator.accepted_texts() == []
    assert {row.channel: row.state for row in _deliveries(sent)}["sms"] == "skipped"


def test_invalid_draft_is_not_sent() -> None:
    with pytest.raises(InvalidInput) as refused:
        send(draft=TemplateDraft("renewal", "Renewal", "Due {{ nobody }}", "Body"))
    assert list(refused.value.errors) == ["subject"]
    assert db.session.query(Communication).count() == 0


def stop() -> None:
    db.session.add(PhoneState(number=scenario.phone_number(0), stopped_at_ms=scenario.now_ms()))
    db.session.commit()


def _deliveries(sent: SentDraft) -> list[Delivery]:
    db.session.expire_all()
    return db.session.get_one(Communication, sent.communication_id).deliveries
