"""Notifications leave by email and by text: recipients, content, and exactly once."""

import threading
import time
from collections import Counter
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneState
from portal.core.config import Settings
from portal.core.extensions import db
from portal.delivery import maintenance, sms_claim, sms_worker
from portal.delivery.sms_scheduling import ClaimCycle
from portal.gateways import queue
from portal.messages.rules.sms_segments import measure_sms
from portal.messages.tables.communications import Attempt
from portal.sends import fan_out, progress, send_creation
from portal.sends.tables import audience
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")


def test_everyone_gets_an_email_and_sms_users_a_text(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(40, with_sms=25)
    scenario.add_template()
    send_id = scenario.create_expanded_send()
    scenario.run_email_worker()
    scenario.run_sms_worker()
    emails = Counter(address for email in simulator.received_emails() for address in email["to"])
    texts = Counter(text["to"] for text in simulator.accepted_texts())
    assert emails == {f"p{index}@example.org": 1 for index in range(40)}
    assert texts == {scenario.phone_number(index): 1 for index in range(25)}
    report = progress.send_report(send_id, scenario.now_ms())
    assert report.counts == {"email": {"handed_off": 40}, "sms": {"accepted": 25, "skipped": 15}}


def test_text_is_subject_and_link_in_one_segment(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3, with_sms=3)
    scenario.add_template(subject="“Quotes” – and a very long subject " + "that goes on " * 15)
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    for text in simulator.accepted_texts():
        assert "whole story" not in text["body"]
        assert "/c/" in text["body"].split(" ")[-1]
        assert measure_sms(text["body"]).segments == 1
        assert text["num_segments"] == "1"


def test_busy_machine_sends_a_text_after_few_attempts(
    simulator: servers.SimulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time between the claim and the first call exceeds the tolerance of a slot."""

    def claim_slowly(*args: Any) -> ClaimCycle:
        cycle = sms_claim.record_and_claim(*args)
        if cycle.claimed:
            time.sleep(0.08)
        return cycle

    monkeypatch.setattr(sms_worker, "record_and_claim", claim_slowly)
    scenario.configure_gateway(rate=500)
    scenario.create_accounts(1, with_sms=1)
    scenario.add_template()
    scenario.create_expanded_send()
    scenario.run_sms_worker(seconds=5)
    assert scenario.count_states("sms") == {"accepted": 1}
    assert len(list(db.session.scalars(select(Attempt.id)))) <= 3


def test_plan_matches_the_send(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(10, with_sms=4)
    scenario.add_template()
    plan = send_creation.plan_send("renewal", {"all": True}, {}, scenario.now_ms())
    assert (plan.emails, plan.texts, plan.segments) == (10, 4, 4)
    assert dict(plan.reasons) == {"no_number": 6}
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == plan.texts


def test_same_request_key_sends_once() -> None:
    scenario.configure_gateway()
    scenario.create_accounts(2)
    scenario.add_template()
    first = send_creation.create_send("renewal", {"all": True}, {}, None, scenario.now_ms(), "key")
    assert send_creation.create_send("renewal", {"all": True}, {}, None, scenario.now_ms(), "key") == first


def test_crash_during_fan_out_duplicates_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "CHUNK_SIZE", 4)
    scenario.configure_gateway()
    scenario.create_accounts(10, with_sms=10)
    scenario.add_template()
    send_id = send_creation.create_send("renewal", {"all": True}, {}, None, scenario.now_ms())
    ticks = iter([scenario.now_ms()] * 3)
    with pytest.raises(StopIteration):
        fan_out.fan_out_send(send_id, lambda: next(ticks))
    assert len(scenario.deliveries("sms")) == 4
    fan_out.fan_out_send(send_id, scenario.now_ms)
    fan_out.fan_out_send(send_id, scenario.now_ms)
    assert Counter(row.address for row in scenario.deliveries("sms")) == {
        scenario.phone_number(n): 1 for n in range(10)
    }
    assert len(scenario.deliveries("email")) == 10


def test_four_workers_send_each_message_once(app: Flask, simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(60, with_sms=60)
    scenario.add_template()
    scenario.create_expanded_send()
    start = threading.Barrier(4)

    def work() -> None:
        with app.app_context():
            start.wait()
            scenario.run_sms_worker()
            scenario.run_email_worker()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(text["to"] for text in simulator.accepted_texts()) == {
        scenario.phone_number(n): 1 for n in range(60)
    }
    assert len(simulator.received_emails()) == 60


def test_stop_after_the_fan_out_cancels_the_waiting_text(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(2, with_sms=2)
    scenario.add_template()
    scenario.create_expanded_send()
    db.session.rollback()
    db.session.add(PhoneState(number=scenario.phone_number(0), stopped_at_ms=scenario.now_ms()))
    db.session.commit()
    scenario.run_sms_worker()
    assert [text["to"] for text in simulator.accepted_texts()] == [scenario.phone_number(1)]
    assert {row.address: row.reason for row in scenario.deliveries("sms")}[scenario.phone_number(0)] == "stopped"


def test_urgent_text_leaves_before_older_texts(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(rate=10)
    scenario.create_accounts(2, with_sms=2)
    scenario.add_template()
    scenario.add_template("alarm", subject="Alarm", urgent=True)
    scenario.create_expanded_send(audience={"external_ids": ["P-0"]})
    scenario.create_expanded_send("alarm", audience={"external_ids": ["P-1"]})
    scenario.run_sms_worker()
    # compare the assigned slots: a stalled machine may miss a slot, and the text then leaves later
    destinations = db.session.scalars(select(Attempt.destination).order_by(Attempt.slot_at_ms)).all()
    assert destinations[0] == scenario.phone_number(1)
    assert {text["to"] for text in simulator.accepted_texts()} == {scenario.phone_number(0), scenario.phone_number(1)}


def test_with_texts_off_only_emails_leave(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(EnableSmsNotifications="false")
    scenario.create_accounts(2, with_sms=2)
    scenario.add_template()
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    scenario.run_email_worker()
    assert simulator.accepted_texts() == []
    assert len(simulator.received_emails()) == 2
    assert {row.reason for row in scenario.deliveries("sms")} == {"feature_off"}


def test_waiting_texts_leave_when_texts_are_on_again(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(2, with_sms=2)
    scenario.add_template()
    scenario.create_expanded_send()
    scenario.configure_gateway(EnableSmsNotifications="false")
    scenario.run_sms_worker()
    assert scenario.count_states("sms") == {"ready": 2}
    scenario.configure_gateway()
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == 2


def test_override_redirects_every_text(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(EnableSmsOverrideNumber="true", SmsOverrideNumber="+14152009999")
    scenario.create_accounts(3, with_sms=3)
    scenario.add_template()
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    assert {text["to"] for text in simulator.accepted_texts()} == {"+14152009999"}
    assert {row.address for row in scenario.deliveries("sms")} == {scenario.phone_number(n) for n in range(3)}


def test_test_mode_uses_test_credentials_and_simulates_texts(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.configure_gateway(EnableSmsTestMode="true")
    scenario.create_accounts(3, with_sms=3)
    scenario.add_template()
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    assert scenario.count_states("sms") == {"simulated": 3}
    log = [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "create"]
    assert {call["account_sid"] for call in log} == {servers.TEST_CREDENTIALS["AccountSid"]}


def test_render_error_of_one_account_does_not_stop_the_others(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3, with_sms=3)
    scenario.add_template("loop", body="{% for i in (1..external_id) %}x{% endfor %}")
    db.session.rollback()
    db.session.execute(update(Account).where(Account.external_id == "P-1").values(external_id="99999"))
    db.session.commit()
    send_id = scenario.create_expanded_send("loop")
    scenario.run_email_worker()
    scenario.run_sms_worker()
    maintenance.expire_stale_leases(scenario.now_ms())
    report = progress.send_report(send_id, scenario.now_ms())
    assert report.counts == {"email": {"handed_off": 2, "rejected": 1}, "sms": {"accepted": 2, "rejected": 1}}
    assert report.state == "done"


def test_audience_may_exceed_the_sql_parameter_limit(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3)
    scenario.add_template()
    unknown = [f"X-{index}" for index in range(70_000)]
    assert audience.unknown_external_ids([*unknown, "P-1"]) == unknown
    assert audience.count_recipients({"external_ids": [*unknown, "P-1"]}) == 1


def test_concurrent_requests_with_one_key_send_once(app: Flask) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(2)
    scenario.add_template()
    start, send_ids = threading.Barrier(6), list[int]()

    def click() -> None:
        with app.app_context():
            start.wait()
            send_ids.append(send_creation.create_send("renewal", {"all": True}, {}, None, scenario.now_ms(), "one"))
            db.session.remove()

    threads = [threading.Thread(target=click) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(send_ids) == 6
    assert len(set(send_ids)) == 1


def test_lane_that_is_off_enqueues_no_job(settings: Settings) -> None:
    scenario.configure_gateway(EnableSmsNotifications="false")
    scenario.create_accounts(1, with_sms=1)
    scenario.add_template()
    db.session.rollback()
    scenario.configure_gateway()
    scenario.create_expanded_send()
    scenario.configure_gateway(EnableSmsNotifications="false")
    with queue.connect_redis(settings.redis_url) as connection:
        sms_queue = queue.open_queue("sms", connection)
        sms_queue.empty()
        sms_worker.drain_sms(seconds=1)
        assert sms_queue.count == 0
