"""A notification leaves by email and by text: whom it reaches, what it says, and that it goes once."""

import threading
import time
from collections import Counter
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneState
from portal.core.config import Settings
from portal.core.extensions import db
from portal.delivery import maintenance, sms_claim, sms_worker
from portal.gateways import queue
from portal.messages.rules.sms_segments import measure_sms
from portal.messages.tables.communications import Attempt
from portal.sends import fan_out, progress, send_creation
from portal.sends.tables import audience
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")


def test_forty_people_get_forty_mails_and_the_twenty_five_with_sms_one_text_each(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(40, with_sms=25)
    scenario.add_template()
    send_id = scenario.create_expanded_send()
    scenario.run_email_worker()
    scenario.run_sms_worker()
    mails = Counter(address for mail in simulator.received_emails() for address in mail["to"])
    texts = Counter(text["to"] for text in simulator.accepted_texts())
    assert mails == {f"p{place}@example.org": 1 for place in range(40)}
    assert texts == {scenario.phone_number(place): 1 for place in range(25)}
    send_report = progress.send_report(send_id, scenario.now_ms())
    assert send_report.counts == {"email": {"handed_off": 40}, "sms": {"accepted": 25, "skipped": 15}}


def test_a_text_is_subject_and_link_in_one_segment_and_never_the_body(simulator: servers.SimulatorClient) -> None:
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


def test_a_machine_too_busy_for_the_rate_still_sends_each_text_after_a_try_or_two(
    simulator: servers.SimulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a claim to its first call a busy machine needs longer than a text may be late."""
    claim = sms_worker.record_and_claim

    def claim_slowly(*how: Any) -> sms_claim.ClaimCycle:
        found = claim(*how)
        if found.claimed:
            time.sleep(0.08)
        return found

    monkeypatch.setattr(sms_worker, "record_and_claim", claim_slowly)
    scenario.configure_gateway(rate=500)
    scenario.create_accounts(1, with_sms=1)
    scenario.add_template()
    scenario.create_expanded_send()
    scenario.run_sms_worker(seconds=5)
    assert scenario.count_states("sms") == {"accepted": 1}
    assert len(list(db.session.scalars(select(Attempt.id)))) <= 3


def test_the_plan_says_what_the_send_then_does(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(10, with_sms=4)
    scenario.add_template()
    plan = send_creation.plan_send("renewal", {"all": True}, {}, scenario.now_ms())
    assert (plan.emails, plan.texts, plan.segments) == (10, 4, 4)
    assert dict(plan.reasons) == {"no_number": 6}
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == plan.texts


def test_the_same_request_key_sends_once() -> None:
    scenario.configure_gateway()
    scenario.create_accounts(2)
    scenario.add_template()
    first = send_creation.create_send("renewal", {"all": True}, {}, None, scenario.now_ms(), "key")
    assert send_creation.create_send("renewal", {"all": True}, {}, None, scenario.now_ms(), "key") == first


def test_a_crash_in_the_middle_of_the_fan_out_and_a_second_run_double_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_four_workers_at_once_send_each_text_and_each_mail_once(app: Flask, simulator: servers.SimulatorClient) -> None:
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


def test_a_stop_after_the_fan_out_wins_over_the_text_that_waits(simulator: servers.SimulatorClient) -> None:
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


def test_urgent_texts_leave_before_those_that_waited_longer(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(rate=10)
    scenario.create_accounts(2, with_sms=2)
    scenario.add_template()
    scenario.add_template("alarm", subject="Alarm", urgent=True)
    scenario.create_expanded_send(audience={"external_ids": ["P-0"]})
    scenario.create_expanded_send("alarm", audience={"external_ids": ["P-1"]})
    scenario.run_sms_worker()
    # by the slots that were given: a machine that stalls may miss one, and then the text takes a later turn
    slots = db.session.scalars(select(Attempt.destination).order_by(Attempt.slot_at_ms)).all()
    assert slots[0] == scenario.phone_number(1)
    assert {text["to"] for text in simulator.accepted_texts()} == {scenario.phone_number(0), scenario.phone_number(1)}


def test_with_the_feature_off_nothing_is_texted_and_the_mail_still_goes(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(EnableSmsNotifications="false")
    scenario.create_accounts(2, with_sms=2)
    scenario.add_template()
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    scenario.run_email_worker()
    assert simulator.accepted_texts() == []
    assert len(simulator.received_emails()) == 2
    assert {row.reason for row in scenario.deliveries("sms")} == {"feature_off"}


def test_switching_the_feature_off_holds_texts_that_wait_until_it_is_on_again(
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


def test_with_the_override_on_every_text_goes_to_the_override_number(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(EnableSmsOverrideNumber="true", SmsOverrideNumber="+14152009999")
    scenario.create_accounts(3, with_sms=3)
    scenario.add_template()
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    assert {text["to"] for text in simulator.accepted_texts()} == {"+14152009999"}
    assert {row.address for row in scenario.deliveries("sms")} == {scenario.phone_number(n) for n in range(3)}


def test_in_test_mode_nothing_uses_the_live_credentials_and_texts_end_as_simulated(
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


def test_one_account_that_cannot_be_written_to_holds_up_nobody_else(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3, with_sms=3)
    scenario.add_template("loop", body="{% for i in (1..external_id) %}x{% endfor %}")
    db.session.rollback()
    db.session.execute(Account.__table__.update().where(Account.external_id == "P-1").values(external_id="99999"))
    db.session.commit()
    send_id = scenario.create_expanded_send("loop")
    scenario.run_email_worker()
    scenario.run_sms_worker()
    maintenance.expire_stale_leases(scenario.now_ms())
    send_report = progress.send_report(send_id, scenario.now_ms())
    assert send_report.counts == {"email": {"handed_off": 2, "rejected": 1}, "sms": {"accepted": 2, "rejected": 1}}
    assert send_report.state == "done"


def test_an_audience_of_more_account_numbers_than_a_database_takes_parameters(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3)
    scenario.add_template()
    nobody = [f"X-{place}" for place in range(70_000)]
    assert audience.unknown_external_ids([*nobody, "P-1"]) == nobody
    assert audience.count_recipients({"external_ids": [*nobody, "P-1"]}) == 1


def test_a_double_click_from_six_windows_at_once_sends_once(app: Flask) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(2)
    scenario.add_template()
    start, found = threading.Barrier(6), []

    def click() -> None:
        with app.app_context():
            start.wait()
            found.append(send_creation.create_send("renewal", {"all": True}, {}, None, scenario.now_ms(), "one"))
            db.session.remove()

    threads = [threading.Thread(target=click) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1


def test_a_lane_that_is_paused_or_off_rings_no_bell(settings: Settings) -> None:
    scenario.configure_gateway(EnableSmsNotifications="false")
    scenario.create_accounts(1, with_sms=1)
    scenario.add_template()
    db.session.rollback()
    scenario.configure_gateway()
    scenario.create_expanded_send()
    scenario.configure_gateway(EnableSmsNotifications="false")
    with queue.connect_redis(settings.redis_url) as connection:
        bell = queue.open_queue("sms", connection)
        bell.empty()
        sms_worker.drain_sms(seconds=1)
        assert bell.count == 0
