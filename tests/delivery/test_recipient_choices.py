"""What recipients switch off on their pages takes effect at the next claim, for texts that wait already as well."""

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent import account_phones, recording
from portal.consent.rules.consent_state import EventKind, EventSource
from portal.content import topic_management
from portal.content.tables.templates import find_template
from portal.content.tables.topics import topics_off
from portal.core.actor import Actor
from portal.core.audit_log import AuditEntry
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.rules.routing import Reason
from portal.core.transaction import transaction
from tests.support import lane_driver, scenario
from tests.support.lane_driver import LaneDriver

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture
def app(app: Flask) -> Flask:
    app.config["PORTAL"] = replace(app.config["PORTAL"], frequency_cap="")
    scenario.configure_gateway(rate=100)
    lane_driver.create_many_accounts(3, "N")
    return app


def texts() -> list[tuple[str, str]]:
    return sorted((row.state, row.reason) for row in scenario.deliveries("sms"))


def test_texts_that_wait_end_with_their_reason_after_a_stop_in_the_portal() -> None:
    scenario.add_template()
    scenario.create_expanded_send("renewal", {"account_type": "N"})
    phone = db.session.scalars(select(PhoneNumber).order_by(PhoneNumber.id)).first()
    assert phone
    with transaction():
        at_ms, columns = now_ms(), {"account_id": phone.account_id}
        recording.record(phone.number, EventKind.OPT_IN, EventSource.IMPORT, at_ms, at_ms, **columns)
    account_phones.stop_texts(phone.id, phone.account_id, Actor(phone.account_id), now_ms())
    lane = LaneDriver()
    lane.run_until_sent(2)
    lane.claim_once()
    assert texts() == [("accepted", ""), ("accepted", ""), ("skipped", Reason.STOPPED)]


@pytest.mark.parametrize("urgent", [False, True])
def test_topic_switched_off_after_the_fan_out_ends_waiting_texts_unless_they_are_urgent(urgent: bool) -> None:
    scenario.add_template("exams", urgent=urgent)
    scenario.add_template("other", urgent=urgent)
    template, account = find_template("exams"), db.session.scalars(select(Account).order_by(Account.id)).first()
    assert template
    assert account
    topic_id = topic_management.add_topic("Exams", "When your exam is.", [template.id], None, now_ms())
    for key in ("exams", "other"):
        scenario.create_expanded_send(key, {"account_type": "N"})
    topic_management.choose_topics(account.id, [topic_id], [], Actor(account.id), now_ms())
    lane = LaneDriver()
    lane.run_until_sent(6 if urgent else 5)
    lane.claim_once()
    expected = [("accepted", "")] * 6 if urgent else [*[("accepted", "")] * 5, ("skipped", Reason.TOPIC_OFF)]
    assert texts() == expected


def test_choice_of_topics_is_audited_and_leaves_topics_that_were_not_shown() -> None:
    scenario.add_template("exams")
    template, account = find_template("exams"), db.session.scalars(select(Account).order_by(Account.id)).first()
    assert template
    assert account
    account_id, topic_id = (
        account.id,
        topic_management.add_topic("Exams", "When your exam is.", [template.id], None, now_ms()),
    )
    for shown, wanted in (([], []), ([topic_id], []), ([topic_id], []), ([], [topic_id]), ([topic_id], [topic_id])):
        topic_management.choose_topics(account_id, shown, wanted, Actor(account_id), now_ms())
    query = select(AuditEntry).where(AuditEntry.action == "topics_chosen").order_by(AuditEntry.id)
    details = [(entry.actor_id, entry.detail["off"], entry.detail["on"]) for entry in db.session.scalars(query)]
    assert details == [(account_id, ["Exams"], []), (account_id, [], ["Exams"])]
    assert topics_off(account_id) == set()
