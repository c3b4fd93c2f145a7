"""A database put back from a copy: nothing old leaves again without evidence; mail waits for somebody to say so."""

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
from portal.gateways import queue
from portal.messages import lanes
from portal.messages.restore_check import restore_check_passed
from portal.messages.tables import lane_state
from portal.messages.tables.communications import Attempt, Communication, Delivery
from portal.sends import fan_out, send_control, send_creation
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def five_recipients(app: object, simulator: servers.SimulatorClient) -> Iterator[None]:
    """Redis is the whole run's: what one test leaves there is nobody else's business."""
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
    """The copy is older than what Redis remembers."""
    check_for_restore(scenario.now_ms() - round(hours * 3_600_000))
    queue.store_value(settings().redis_url, "restore_guard", scenario.now_ms())


def test_texts_that_had_left_before_the_copy_was_put_back_do_not_leave_again(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.create_expanded_send()
    already = scenario.deliveries("sms")[:3]
    seeds = [{"to": text.address, "body": text.body} for text in already]
    simulator.call_api("POST", "/simulator/seed", {"messages": seeds})
    simulate_restore(hours=20)
    scenario.run_scheduler_once()
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == 3, "nothing but what had left"
    scenario.run_scheduler_once(lambda: scenario.now_ms() + 60_000)
    scenario.run_sms_worker(clock_ahead_ms=60_000)
    assert sorted(text["to"] for text in simulator.accepted_texts()) == [
        scenario.phone_number(place) for place in range(5)
    ]
    assert set(scenario.count_states("sms")) <= {"accepted", "sent", "delivered"}


def test_until_the_scheduler_has_looked_nobody_sends(simulator: servers.SimulatorClient) -> None:
    from portal.delivery.sms_worker import drain_sms

    scenario.create_expanded_send()
    simulate_restore(hours=20)
    drain_sms(seconds=1)
    drain_email(seconds=1)
    assert simulator.accepted_texts() == []
    assert scenario.count_states("email") == {"ready": 5}


def test_mail_of_a_copy_waits_until_somebody_resumes_it(simulator: servers.SimulatorClient) -> None:
    scenario.create_expanded_send()
    simulate_restore(hours=20)
    scenario.run_scheduler_once()
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"ready": 5}
    assert lane_state.running_lanes("email") == ()
    (entry,) = audit_log.audit_page_before(None, 10)
    assert (entry.action, entry.detail["texts"], entry.detail["mails"]) == ("database_restored", 5, 5)
    lanes.resume_all_lanes(None, scenario.now_ms())
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 5}


def test_a_redis_that_forgot_everything_changes_nothing_while_the_database_is_young(
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


def test_a_portal_that_stood_still_for_a_weekend_goes_on_by_itself(simulator: servers.SimulatorClient) -> None:
    scenario.create_expanded_send()
    check_for_restore(scenario.now_ms() - 60 * 3_600_000)
    assert restore_check_passed(scenario.now_ms()), "Redis remembers the same moment"
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == 5


def test_a_young_copy_is_held_back_when_somebody_says_that_it_is_one(simulator: servers.SimulatorClient) -> None:
    """Redis is empty and the copy is of fifty minutes ago: by itself nobody can tell."""
    scenario.create_expanded_send()
    check_for_restore(scenario.now_ms() - 50 * 60_000)
    clear_redis_marker()
    assert restore_check_passed(scenario.now_ms())
    mark_restored()
    assert not restore_check_passed(scenario.now_ms())
    check_for_restore(scenario.now_ms())
    assert scenario.count_states("sms") == {"unknown": 5}
    assert lane_state.running_lanes("email") == ()


def test_a_send_that_was_not_expanded_to_its_end_waits_until_somebody_resumes_it(
    simulator: servers.SimulatorClient,
) -> None:
    send_id = send_creation.create_send("renewal", {"all": True}, {}, None, scenario.now_ms())
    simulate_restore(hours=20)
    scenario.run_scheduler_once()
    fan_out.fan_out_send(send_id, scenario.now_ms)
    scenario.run_sms_worker()
    scenario.run_email_worker()
    assert (scenario.count_states("sms"), scenario.count_states("email")) == ({"paused": 5}, {"paused": 5})
    told = {(entry.action, entry.subject) for entry in audit_log.audit_page_before(None, 10)}
    assert ("send_paused_after_restore", f"send {send_id}") in told
    send_control.resume_send(send_id, None, scenario.now_ms())
    send_control.apply_to_deliveries(send_id, scenario.now_ms)
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == 5


def test_until_the_scheduler_has_looked_at_a_copy_no_worker_makes_anything_of_its_sends() -> None:
    """Whoever starts first: what is made before that would be new, and nobody could tell that it had left."""
    send_id = send_creation.create_send("renewal", {"all": True}, {}, None, scenario.now_ms())
    simulate_restore(hours=20)
    fan_out.fan_out_send(send_id, scenario.now_ms)
    assert (scenario.count_states("sms"), scenario.count_states("email")) == ({}, {})
    scenario.run_scheduler_once()
    fan_out.fan_out_send(send_id, scenario.now_ms)
    assert (scenario.count_states("sms"), scenario.count_states("email")) == ({"paused": 5}, {"paused": 5})


def test_mails_that_were_under_way_in_the_copy_wait_for_somebody_too(simulator: servers.SimulatorClient) -> None:
    scenario.create_expanded_send()
    assert len(claim_emails(scenario.now_ms())) == 5
    simulate_restore(hours=20)
    scenario.run_scheduler_once()
    assert lane_state.running_lanes("email") == ()
    scenario.run_scheduler_once(lambda: scenario.now_ms() + HOUR_MS)
    scenario.run_email_worker()
    assert (scenario.count_states("email"), simulator.received_emails()) == ({"ready": 5}, [])


def test_whoever_said_start_before_the_restore_is_enabled_again_and_not_welcomed_again(
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


def test_when_the_clock_goes_back_nothing_waits_for_the_hour_that_it_was_ahead(
    simulator: servers.SimulatorClient,
) -> None:
    """A host began an hour fast, and was put right in the middle of a send."""
    ahead_ms = scenario.now_ms() + HOUR_MS
    check_for_restore(ahead_ms)
    fan_out.fan_out_send(send_creation.create_send("renewal", {"all": True}, {}, None, ahead_ms), lambda: ahead_ms)
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "429", "retry_after": 30, "count": 1}])
    scenario.run_sms_worker(HOUR_MS, until=scenario.attempts_recorded(3))
    scenario.run_sms_worker()
    assert scenario.count_states("sms")["ready"] in (1, 2, 3), "what waits waits for an hour"
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


def test_a_clock_that_is_set_by_seconds_moves_nothing(simulator: servers.SimulatorClient) -> None:
    check_for_restore(scenario.now_ms() + 30_000)
    scenario.create_expanded_send()
    before = [(row.due_at_ms, row.state_changed_at_ms) for row in scenario.deliveries("sms")]
    check_for_restore(scenario.now_ms())
    assert [(row.due_at_ms, row.state_changed_at_ms) for row in scenario.deliveries("sms")] == before


def test_a_text_that_is_under_way_while_the_clock_is_put_right_keeps_its_slot_and_its_lease() -> None:
    """Its worker has the right time already; taken from it, the text would leave twice."""
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
