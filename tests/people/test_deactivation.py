"""A deactivated account gets nothing, whenever it was deactivated, and every count says so."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts import password_reset
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import phones_of
from portal.consent import invitations
from portal.core.actor import SHELL_ACTOR
from portal.core.audit_log import entries_about
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.routing import Reason
from portal.core.transaction import transaction
from portal.messages.tables import transitions
from portal.messages.tables.communications import Communication, Delivery
from portal.messages.timeline import describe_state
from portal.people.deactivation import deactivate_account, reactivate_account
from portal.sends import fan_out, send_control, send_creation
from portal.sends.send_creation import plan_send
from tests.support import scenario, servers
from tests.support.inbound_helpers import receive_text

EVERYBODY = {"all": True}
NOW_MS = scenario.now_ms()


@pytest.fixture(autouse=True)
def three_people(app: Flask) -> None:
    """Accounts 1, 2 and 3, who all get texts."""
    scenario.configure_gateway()
    scenario.create_accounts(3, with_sms=3)
    scenario.add_template()


def outcomes() -> dict[tuple[str, str], str]:
    """State and reason of each delivery, by email address or phone number."""
    db.session.remove()
    return {
        (row.channel, row.address): f"{row.state} {row.reason}".strip() for row in db.session.scalars(select(Delivery))
    }


def test_deactivated_account_is_in_no_audience_and_in_a_count_of_its_own() -> None:
    deactivate_account(2, None, NOW_MS)
    plan = plan_send("renewal", EVERYBODY, {}, NOW_MS)
    assert (plan.emails, plan.texts, plan.deactivated) == (2, 2, 1)
    listed = plan_send("renewal", {"external_ids": ["P-0", "P-1"]}, {}, NOW_MS)
    assert (listed.emails, listed.deactivated) == (1, 1)


def test_waiting_messages_of_a_deactivated_account_end_with_the_reason() -> None:
    scenario.create_expanded_send()
    assert deactivate_account(2, None, NOW_MS) == 2
    ended = {address: outcome for (_channel, address), outcome in outcomes().items() if "account" in outcome}
    assert ended == dict.fromkeys(("p1@example.org", scenario.phone_number(1)), "skipped account_deactivated")
    delivery = db.session.scalars(select(Delivery).where(Delivery.reason == Reason.ACCOUNT_DEACTIVATED)).first()
    assert delivery
    assert describe_state(delivery) == ("Not sent", "off", "The account is deactivated.")


def pause(send_id: int) -> None:
    send_control.pause_send(send_id, None, NOW_MS)


def defer(send_id: int) -> None:
    with transaction() as session:
        texts = (
            select(Delivery.id).join(Communication).where(Communication.send_id == send_id, Delivery.channel == "sms")
        )
        transitions.defer(session.scalars(texts).all(), NOW_MS + 3_600_000, scenario.now_ms())


@pytest.mark.parametrize("hold_back", [pause, defer])
def test_messages_that_are_held_back_end_too(hold_back: Callable[[int], None]) -> None:
    hold_back(scenario.create_expanded_send())
    deactivate_account(2, None, NOW_MS)
    assert outcomes()["sms", scenario.phone_number(1)] == "skipped account_deactivated"


def test_claims_skip_what_a_fan_out_made_meanwhile(simulator: servers.SimulatorClient) -> None:
    """As if the account had been deactivated between the reading of the audience and the rows of the fan-out."""
    scenario.create_expanded_send()
    with transaction() as session:
        session.execute(update(Account).where(Account.id == 2).values(active=False, deactivated_at_ms=NOW_MS))
    scenario.run_sms_worker()
    scenario.run_email_worker()
    assert {text["to"] for text in simulator.accepted_texts()} == {scenario.phone_number(n) for n in (0, 2)}
    assert sorted(mail["to"][0] for mail in simulator.received_emails()) == ["p0@example.org", "p2@example.org"]
    found = outcomes()
    assert found["sms", scenario.phone_number(1)] == found["email", "p1@example.org"] == "skipped account_deactivated"
    assert found["email", "p0@example.org"] == "handed_off"


def test_welcome_is_not_sent_to_a_deactivated_account() -> None:
    at_ms = scenario.now_ms()
    deactivate_account(2, None, at_ms)
    receive_text("STOP", scenario.phone_number(1), at_ms + 1)
    receive_text("START", scenario.phone_number(1), at_ms + 600_000)
    assert outcomes() == {("sms", scenario.phone_number(1)): "skipped account_deactivated"}


def test_nobody_asks_for_texts_of_a_deactivated_account() -> None:
    deactivate_account(2, None, NOW_MS)
    phone = phones_of(2)[0]
    fingerprint = invitations.opt_in_prompt(phone.number).fingerprint
    with pytest.raises(ActionRefused, match="This account is deactivated"):
        invitations.invite(phone.id, SHELL_ACTOR, fingerprint, NOW_MS)


def test_deactivated_account_gets_no_password_link() -> None:
    deactivate_account(2, None, NOW_MS)
    assert password_reset.accounts_to_reset("p1@example.org", NOW_MS) == []


def test_reactivated_account_gets_the_next_send_but_nothing_of_the_time_before() -> None:
    scenario.create_expanded_send()
    deactivate_account(2, None, NOW_MS)
    reactivate_account(2, None, NOW_MS + 1)
    assert outcomes()["email", "p1@example.org"] == "skipped account_deactivated"
    send_id = send_creation.create_send("renewal", EVERYBODY, {}, None, NOW_MS)
    fan_out.fan_out_send(send_id, scenario.now_ms)
    assert outcomes()["email", "p1@example.org"] == "ready"


def test_audit_log_names_who_deactivated_an_account() -> None:
    with transaction() as session:
        session.get_one(Account, 1).role = "admin"
    deactivate_account(2, 1, NOW_MS)
    reactivate_account(2, 1, NOW_MS)
    entries = entries_about("account P-1", ["account_deactivated", "account_reactivated"])
    assert [(entry.action, entry.actor_id) for entry in entries] == [
        ("account_deactivated", 1),
        ("account_reactivated", 1),
    ]


def test_sessions_end_with_the_account() -> None:
    before = db.session.get_one(Account, 2).fs_uniquifier
    deactivate_account(2, None, NOW_MS)
    reactivate_account(2, None, NOW_MS)
    assert db.session.get_one(Account, 2).fs_uniquifier != before


def test_the_only_system_administrator_stays() -> None:
    with transaction() as session:
        session.execute(update(Account).where(Account.id.in_([1, 2])).values(role="sysadmin"))
    deactivate_account(1, 2, NOW_MS)
    with pytest.raises(ActionRefused, match="only active system administrator"):
        deactivate_account(2, None, NOW_MS)
    with pytest.raises(ActionRefused, match="cannot deactivate your own account"):
        deactivate_account(2, 2, NOW_MS)
    assert db.session.get_one(Account, 2).active


def test_two_system_administrators_cannot_remove_each_other(app: Flask) -> None:
    with transaction() as session:
        session.execute(update(Account).where(Account.id.in_([1, 2])).values(role="sysadmin"))

    def remove(account_id: int, actor_id: int) -> str:
        with app.app_context():
            try:
                deactivate_account(account_id, actor_id, NOW_MS)
            except ActionRefused as error:
                return type(error).__name__
            finally:
                db.session.remove()
        return "done"

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(remove, [1, 2], [2, 1]))
    assert outcomes.count("done") == 1
    assert len([account for account in (1, 2) if db.session.get_one(Account, account).active]) == 1
