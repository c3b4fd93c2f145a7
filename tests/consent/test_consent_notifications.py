"""Invitations, welcomes and notices that follow events of the ledger: each is sent once."""

import json
from collections import Counter

import pytest
from sqlalchemy import select

from portal.consent import account_phones, manual_consent
from portal.content import content_blocks
from portal.content.rules import content_block_checks
from portal.core.actor import SHELL_ACTOR
from portal.core.extensions import db
from portal.delivery import reconciliation
from portal.messages.tables.communications import Communication, Delivery
from portal.settings import setting_changes
from tests.support import inbound_helpers, scenario, servers

pytestmark = pytest.mark.usefixtures("app")

NUMBER = scenario.phone_number(0)
OVERRIDE = "+14152009999"
MINUTE_MS = inbound_helpers.MINUTE_MS
NOW = scenario.now_ms() - 60 * MINUTE_MS
"""An hour ago: what follows from it is due."""


@pytest.fixture(autouse=True)
def person(app: object) -> int:
    scenario.configure_gateway()
    return inbound_helpers.create_sharing_accounts(NUMBER, NOW, "A")[0]


def reconcile_after(ahead_ms: int = 0) -> None:
    db.session.remove()
    reconciliation.reconcile_unknown_texts(lambda: scenario.now_ms() + ahead_ms)
    db.session.remove()


def bodies(simulator: servers.SimulatorClient) -> list[str]:
    return [text["body"] for text in simulator.accepted_texts()]


def content_block_text(key: str) -> str:
    return content_blocks.render_block(key, NUMBER).text


def test_each_opt_in_gets_one_welcome(person: int, simulator: servers.SimulatorClient) -> None:
    inbound_helpers.invite(person, NUMBER, NOW)
    scenario.run_sms_worker()
    inbound_helpers.receive_text("START", NUMBER, NOW + MINUTE_MS, sid="SM1")
    for minute, body in enumerate(["START", "HELP", "yes", "thanks"], 2):
        inbound_helpers.receive_text(body, NUMBER, NOW + minute * MINUTE_MS)
    inbound_helpers.receive_text("START", NUMBER, NOW + 7 * MINUTE_MS, sid="SM1")
    scenario.run_sms_worker()
    assert bodies(simulator) == [
        content_block_text(content_block_checks.INVITATION_TEXT),
        content_block_text(content_block_checks.WELCOME_TEXT),
    ]
    inbound_helpers.receive_text("STOP", NUMBER, NOW + 10 * MINUTE_MS)
    inbound_helpers.receive_text("START", NUMBER, NOW + 20 * MINUTE_MS)
    scenario.run_sms_worker()
    assert bodies(simulator)[2:] == [content_block_text(content_block_checks.WELCOME_TEXT)]


def test_stop_before_the_welcome_leaves_cancels_it(simulator: servers.SimulatorClient) -> None:
    inbound_helpers.receive_text("START", NUMBER, NOW)
    inbound_helpers.receive_text("STOP", NUMBER, NOW + 3 * MINUTE_MS)
    scenario.run_sms_worker()
    assert simulator.accepted_texts() == []
    assert inbound_helpers.texts_of_kind("welcome") == [(NUMBER, "skipped", "stopped")]


def test_start_counts_while_texts_are_off_but_gets_no_welcome(
    simulator: servers.SimulatorClient,
) -> None:
    setting_changes.set_setting("EnableSmsNotifications", "false", None, NOW)
    inbound_helpers.receive_text("START", NUMBER, NOW)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("A", False, False)
    assert inbound_helpers.texts_of_kind("welcome") == [(NUMBER, "skipped", "feature_off")]
    setting_changes.set_setting("EnableSmsNotifications", "true", None, NOW)
    scenario.run_sms_worker()
    assert simulator.accepted_texts() == []


def test_imported_opt_in_and_manual_move_get_no_welcome(person: int) -> None:
    inbound_helpers.receive_text("START", NUMBER, NOW)
    (other,) = inbound_helpers.create_sharing_accounts(NUMBER, NOW + 1, "B")
    manual_consent.move_texts(NUMBER, other, SHELL_ACTOR, NOW + MINUTE_MS)
    scenario.create_accounts(1, with_sms=0)
    assert len(inbound_helpers.texts_of_kind("welcome")) == 1
    assert inbound_helpers.stored_consent_state(NUMBER)[0] == "B"


def test_displaced_account_gets_one_email(person: int, simulator: servers.SimulatorClient) -> None:
    inbound_helpers.receive_text("START", NUMBER, NOW)
    (other,) = inbound_helpers.create_sharing_accounts(NUMBER, NOW + 1, "B")
    inbound_helpers.invite(other, NUMBER, NOW + MINUTE_MS)
    inbound_helpers.receive_text("START", NUMBER, NOW + 5 * MINUTE_MS)
    inbound_helpers.receive_text("START", NUMBER, NOW + 9 * MINUTE_MS)
    inbound_helpers.receive_text("HELP", NUMBER, NOW + 12 * MINUTE_MS)
    assert inbound_helpers.notified_accounts("displaced") == ["A"]
    assert inbound_helpers.notified_accounts("welcome") == ["A", "B"]
    scenario.run_email_worker()
    (mail,) = simulator.received_emails()
    assert mail["to"] == ["a@example.org"]
    assert "(415) 200-0000" in mail["text"]
    assert "B" not in mail["text"].split(), "the email does not name the new account"


def test_removing_a_number_sends_no_email(person: int) -> None:
    inbound_helpers.receive_text("START", NUMBER, NOW)
    account_phones.remove_number(
        inbound_helpers.phone_id(person, NUMBER), person, inbound_helpers.make_actor(person), NOW + MINUTE_MS
    )
    assert inbound_helpers.notified_accounts("displaced") == []


@pytest.mark.parametrize("kind", ["500_after", "reset_after"])
def test_unknown_text_is_matched_by_number_text_and_time(
    person: int, simulator: servers.SimulatorClient, kind: str
) -> None:
    inbound_helpers.invite(person, NUMBER, NOW)
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": kind, "count": 1}])
    scenario.run_sms_worker()
    assert inbound_helpers.texts_of_kind("invitation") == [(NUMBER, "unknown", "")]
    reconcile_after()
    assert inbound_helpers.texts_of_kind("invitation")[0][1] in ("accepted", "sent")
    scenario.run_sms_worker(clock_ahead_ms=60_000)
    assert len(simulator.accepted_texts()) == 1


def test_text_missing_at_the_provider_is_sent_again(person: int, simulator: servers.SimulatorClient) -> None:
    inbound_helpers.receive_text("START", NUMBER, NOW)
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "500_before", "count": 1}])
    scenario.run_sms_worker()
    reconcile_after()
    assert inbound_helpers.texts_of_kind("welcome") == [(NUMBER, "unknown", "")], "too early to tell"
    reconcile_after(ahead_ms=30_000)
    scenario.run_sms_worker(clock_ahead_ms=60_000)
    assert bodies(simulator) == [content_block_text(content_block_checks.WELCOME_TEXT)]


def test_older_identical_text_is_not_a_match(person: int, simulator: servers.SimulatorClient) -> None:
    message = {
        "to": NUMBER,
        "body": content_block_text(content_block_checks.WELCOME_TEXT),
        "at_ms": scenario.now_ms() - 5 * MINUTE_MS,
    }
    simulator.call_api("POST", "/simulator/seed", {"messages": [message]})
    inbound_helpers.receive_text("START", NUMBER, NOW)
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "500_before", "count": 1}])
    scenario.run_sms_worker()
    reconcile_after(ahead_ms=30_000)
    assert inbound_helpers.texts_of_kind("welcome") == [(NUMBER, "ready", "")]


def test_different_text_to_the_same_number_is_not_a_match(person: int, simulator: servers.SimulatorClient) -> None:
    message = {"to": NUMBER, "body": f"{content_block_text(content_block_checks.WELCOME_TEXT)} And more."}
    inbound_helpers.receive_text("START", NUMBER, NOW)
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "500_before", "count": 1}])
    scenario.run_sms_worker()
    simulator.call_api("POST", "/simulator/seed", {"messages": [message]})
    reconcile_after(ahead_ms=30_000)
    assert inbound_helpers.texts_of_kind("welcome") == [(NUMBER, "ready", "")]


def test_smart_encoded_text_is_matched(person: int, simulator: servers.SimulatorClient) -> None:
    """With smart encoding, Twilio lists the text with plain quotes and dashes."""
    content_blocks.save_block(
        content_block_checks.WELCOME_TEXT, "The board’s “notices” – now by text… STOP ends them.", None, NOW
    )
    plain = 'Notification portal: The board\'s "notices" - now by text... STOP ends them.'
    inbound_helpers.receive_text("START", NUMBER, NOW)
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "500_before", "count": 1}])
    scenario.run_sms_worker()
    simulator.call_api("POST", "/simulator/seed", {"messages": [{"to": NUMBER, "body": plain}]})
    reconcile_after(ahead_ms=30_000)
    assert inbound_helpers.texts_of_kind("welcome")[0][1] in ("accepted", "sent", "delivered")


def test_identical_text_waits_until_the_first_is_resolved(person: int, simulator: servers.SimulatorClient) -> None:
    inbound_helpers.invite(person, NUMBER, NOW)
    inbound_helpers.invite(person, NUMBER, NOW + 11 * MINUTE_MS)
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "500_after", "count": 1}])
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    assert [state for _number, state, _why in inbound_helpers.texts_of_kind("invitation")] == ["unknown", "ready"]
    reconcile_after()
    scenario.run_sms_worker(clock_ahead_ms=5_000)
    assert len(simulator.accepted_texts()) == 2
    sids = set(db.session.scalars(select(Delivery.provider_id)))
    assert sids == {text["sid"] for text in simulator.accepted_texts()}, "each has a message of its own"


def test_unknown_text_of_a_former_account_holds_up_nothing(person: int, simulator: servers.SimulatorClient) -> None:
    """What the new account sends is never taken for it: it stands in another list."""
    inbound_helpers.invite(person, NUMBER, NOW)
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "500_before", "count": 1}])
    scenario.run_sms_worker()
    other = {"AccountSid": "AC" + "f" * 32, "AuthToken": "another account's"}
    scenario.configure_gateway(SmsGatewayAuthentication=json.dumps(other))
    inbound_helpers.invite(person, NUMBER, NOW + 11 * MINUTE_MS)
    reconcile_after(ahead_ms=3_600_000)
    assert inbound_helpers.texts_of_kind("invitation")[0][1] == "unknown"
    scenario.run_sms_worker()
    made = [call["account_sid"] for call in simulator.get("/simulator/log")["log"] if call["kind"] == "create"]
    assert made == [servers.LIVE_CREDENTIALS["AccountSid"], other["AccountSid"]]


def test_override_number_gets_all_concurrent_invitations(simulator: servers.SimulatorClient) -> None:
    """Alike in number and words: one of them is out at a time, and none is taken for another."""
    scenario.configure_gateway(EnableSmsOverrideNumber="true", SmsOverrideNumber=OVERRIDE)
    for index in range(1, 9):
        (account_id,) = inbound_helpers.create_sharing_accounts(scenario.phone_number(index), NOW, f"N-{index}")
        inbound_helpers.invite(account_id, scenario.phone_number(index), NOW + index)
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "500_after", "count": 1}])
    for second in range(60):
        # never so far ahead of the simulator's clock that its list would seem to tell of older texts
        ahead_ms = min(second * 2_000, 20_000)
        scenario.run_sms_worker(clock_ahead_ms=ahead_ms, until=scenario.attempts_recorded(1))
        reconcile_after(ahead_ms=ahead_ms)
        if all(
            state not in ("ready", "sending", "unknown")
            for _number, state, _why in inbound_helpers.texts_of_kind("invitation")
        ):
            break
    assert Counter(text["to"] for text in simulator.accepted_texts()) == {OVERRIDE: 8}
    assert Counter(state for _number, state, _why in inbound_helpers.texts_of_kind("invitation")) <= Counter(
        accepted=8, sent=8
    )
    assert len(set(db.session.scalars(select(Delivery.provider_id)))) == 8


def test_recomputing_does_not_repeat_notifications(person: int) -> None:
    inbound_helpers.receive_text("START", NUMBER, NOW)
    for minute in range(1, 6):
        account_phones.confirm_number(
            inbound_helpers.phone_id(person, NUMBER),
            person,
            inbound_helpers.make_actor(person),
            NOW + minute * MINUTE_MS,
        )
    kinds = list(db.session.scalars(select(Communication.kind)))
    assert kinds == ["welcome"]
