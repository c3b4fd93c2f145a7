"""A restored database: nothing is resent without evidence, and emails wait for an administrator."""

from collections.abc import Iterator

import pytest

from portal.consent.recording import record
from portal.consent.rules.consent_state import EventKind
from portal.core import audit_log
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery.email_claim import claim_emails
from portal.delivery.email_worker import drain_email
from portal.delivery.restore_guard import check_for_restore, mark_restored
from portal.delivery.sms_worker import drain_sms
from portal.gateways import queue
from portal.messages import lane_control
from portal.messages.restore_check import restore_check_passed
from portal.messages.tables import lane_state
from portal.messages.tables.communications import Attempt, Communication, Delivery
from portal.sends import fan_out, send_control, send_creation
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def five_recipients(app: object, simulator: servers.SimulatorClient) -> Iterator[None]:
    """Redis is shared by the whole test run, so clean up after each test."""
    scenario.configure_gateway()
    scenario.create_accounts(5, with_sms=5)
    scenario.add_template()
    clear_redis_marker()
    yield
    clear_redis_marker()


def clear_redis_marker() -> None:
    with queue.connect_redis(settings().redis_url) as connection:
        connection.delete("portal:restore_guard")


def simulate_restore(hours: float) -> None:
    """Make the database older than Redis says."""
    check_for_restore(scenario.now_ms() - round(hours * 3_600_000))
    queue.store_value(settings().redis_url, "restore_guard", scenario.now_ms())


def test_texts_sent_before_the_restore_are_not_resent(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.create_expanded_send()
    sent = scenario.deliveries("sms")[:3]
    seeds = [{"to": text.address, "body": text.body} for text in sent]
    simulator.call_api("POST", "/simulator/seed", {"messages": seeds})
    simulate_restore(hours=20)
    scenario.run_scheduler_once()
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == 3, "only those sent before"
    scenario.run_scheduler_once(lambda: scenario.now_ms() + 60_000)
    scenario.run_sms_worker(clock_ahead_ms=60_000)
    assert sorted(text["to"] for text in simulator.accepted_texts()) == [
        scenario.phone_number(index) for index in range(5)
    ]
    assert set(scenario.count_states("sms")) <= {"accepted", "sent", "delivered"}


def test_workers_send_nothing_before_the_restore_check(simulator: servers.SimulatorClient) -> None:
    scenario.create_expanded_send()
    simulate_restore(hours=20)
    drain_sms(seconds=1)
    drain_email(seconds=1)
    assert simulator.accepted_texts() == []
    assert scenario.count_states("email") == {"ready": 5}


def test_restored_emails_wait_until_resumed(simulator: servers.SimulatorClient) -> None:
    scenario.create_expanded_send()
    scenario.forget_audit_entries()
    simulate_restore(hours=20)
    scenario.run_scheduler_once()
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"ready": 5}
    assert lane_state.running_lanes("email") == ()
    (entry,) = audit_log.audit_page_before(None, 10)
    assert (entry.action, entry.detail["texts"], entry.detail["mails"]) == ("database_restored", 5, 5)
    lane_control.resume_all_lanes(None, scenario.now_ms())
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 5}


def test_empty_redis_with_a_recent_database_is_not_a_restore(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.create_expanded_send()
    check_for_restore(scenario.now_ms())
    clear_redis_marker()
    assert restore_check_passed(scenario.now_ms() + 60_000)
    scenario.run_scheduler_once()
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == 5
    db.session.rollback()


def test_portal_resumes_by_itself_after_a_weekend(simulator: servers.SimulatorClient) -> None:
    scenario.create_expanded_send()
    check_for_restore(scenario.now_ms() - 60 * 3_600_000)
    assert restore_check_passed(scenario.now_ms()), "Redis has the same time"
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == 5


def test_recent_copy_marked_as_restored_is_held(simulator: servers.SimulatorClient) -> None:
    """Redis is empty and the copy is fifty minutes old, so it is not detected automatically."""
    scenario.create_expanded_send()
    check_for_restore(scenario.now_ms() - 50 * 60_000)
    clear_redis_marker()
    assert restore_check_passed(scenario.now_ms())
    mark_restored()
    assert not restore_check_passed(scenario.now_ms())
    check_for_restore(scenario.now_ms())
    assert scenario.count_states("sms") == {"unknown": 5}
    assert lane_state.running_lanes("email") == ()


def test_restored_send_in_fan_out_waits_until_resumed(
    simulator: servers.SimulatorClient,
) -> None:
    send_id = send_creation.create_send("renewal", {"all": True}, {}, None, scenario.now_ms())
    simulate_restore(hours=20)
    scenario.run_scheduler_once()
    fan_out.fan_out_send(send_id, scenario.now_ms)
    scenario.run_sms_worker()
    scenario.run_email_worker()
    assert (scenario.count_states("sms"), scenario.count_states("email")) == ({"paused": 5}, {"paused": 5})
    entries = {(entry.action, entry.subject) for entry in audit_log.audit_page_before(None, 10)}
    assert ("send_paused_after_restore", f"send {send_id}") in entries
    send_control.resume_send(send_id, None, scenario.now_ms())
    send_control.apply_to_deliveries(send_id, scenario.now_ms)
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == 5


def test_no_fan_out_before_the_restore_check() -> None:
    """Deliveries created before the check would be new, and nobody could tell if they had been sent."""
    send_id = send_creation.create_send("renewal", {"all": True}, {}, None, scenario.now_ms())
    simulate_restore(hours=20)
    fan_out.fan_out_send(send_id, scenario.now_ms)
    assert (scenario.count_states("sms"), scenario.count_states("email")) == ({}, {})
    scenario.run_scheduler_once()
    fan_out.fan_out_send(send_id, scenario.now_ms)
    assert (scenario.count_states("sms"), scenario.count_states("email")) == ({"paused": 5}, {"paused": 5})


def test_restored_emails_in_flight_wait_until_resumed(simulator: servers.SimulatorClient) -> None:
    scenario.create_expanded_send()
    assert len(claim_emails(scenario.now_ms())) == 5
    simulate_restore(hours=20)
    scenario.run_scheduler_once()
    assert lane_state.running_lanes("email") == ()
    scenario.run_scheduler_once(lambda: scenario.now_ms() + HOUR_MS)
    scenario.run_email_worker()
    assert (scenario.count_states("email"), simulator.received_emails()) == ({"ready": 5}, [])


def test_start_from_before_the_restore_gets_no_second_welcome(
    simulator: servers.SimulatorClient,
) -> None:
    simulate_restore(hours=20)
    check_for_restore(scenario.now_ms())
    for phone_number, said_ms in (
        (scenario.phone_number(0), scenario.now_ms() - HOUR_MS),
        (scenario.phone_number(1), scenario.now_ms() + 1_000),
    ):
        with transaction():
            record(phone_number, EventKind.STOP, "handset", said_ms - 2, scenario.now_ms())
            record(phone_number, EventKind.START, "handset", said_ms, scenario.now_ms())
    welcomed = [each.account.external_id for each in db.session.query(Communication).filter_by(kind="welcome")]
    assert welcomed == ["P-1"]
    db.session.rollback()


def test_nothing_waits_for_an_hour_after_the_clock_goes_back(
    simulator: servers.SimulatorClient,
) -> None:
    """A host starts an hour fast, and its clock is corrected during a send."""
    ahead_ms = scenario.now_ms() + HOUR_MS
    check_for_restore(ahead_ms)
    fan_out.fan_out_send(send_creation.create_send("renewal", {"all": True}, {}, None, ahead_ms), lambda: ahead_ms)
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "429", "retry_after": 30, "count": 1}])
    scenario.run_sms_worker(HOUR_MS, until=scenario.attempts_recorded(3))
    scenario.run_sms_worker()
    assert scenario.count_states("sms")["ready"] in (1, 2, 3), "the rest waits for an hour"
    scenario.run_scheduler_once()
    assert not any(
        row.due_at_ms > scenario.now_ms() + 40_000 for row in scenario.deliveries("sms") if row.state == "ready"
    )
    assert not any(row.due_at_ms > scenario.now_ms() + 2_000 for row in scenario.deliveries("email"))
    scenario.run_sms_worker(clock_ahead_ms=60_000)
    assert set(scenario.count_states("sms")) == {"accepted"}
    servers.wait_for(_all_emails_sent, "every mail to leave")
    assert len(simulator.accepted_texts()) == 5


def _all_emails_sent() -> bool:
    scenario.run_email_worker()
    return scenario.count_states("email") == {"handed_off": 5}


def test_small_clock_adjustment_changes_nothing(simulator: servers.SimulatorClient) -> None:
    check_for_restore(scenario.now_ms() + 30_000)
    scenario.create_expanded_send()
    before = [(row.due_at_ms, row.state_changed_at_ms) for row in scenario.deliveries("sms")]
    check_for_restore(scenario.now_ms())
    assert [(row.due_at_ms, row.state_changed_at_ms) for row in scenario.deliveries("sms")] == before


def test_clock_repair_keeps_slot_and_lease_of_a_text_in_flight() -> None:
    """Its worker already has the right time; if it lost the text, the text would be sent twice."""
    scenario.create_expanded_send()
    now_ms, text_id = scenario.now_ms(), scenario.deliveries("sms")[0].id
    with transaction() as session:
        text = session.get_one(Delivery, text_id)
        times = {"started_at_ms": now_ms, "slot_at_ms": now_ms + 500, "lease_until_ms": now_ms + 60_000}
        session.add(Attempt(id="now", delivery_id=text.id, destination=text.address, **times))
        text.state, text.attempt_id, text.state_changed_at_ms = "sending", "now", now_ms
        text.lease_until_ms = now_ms + 60_000
    check_for_restore(now_ms + HOUR_MS)
    check_for_restore(now_ms)
    attempt = db.session.get_one(Attempt, "now")
    assert (attempt.slot_at_ms, attempt.lease_until_ms) == (now_ms + 500, now_ms + 60_000)
    assert scenario.deliveries("sms")[0].lease_until_ms == now_ms + 60_000
    db.session.rollback()
