"""The frequency cap: a phone gets at most three texts in 24 hours, and the last one names those that stay behind."""

import threading
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.accounts.tables.accounts import Account
from portal.core.extensions import db
from portal.core.rules.routing import Reason
from portal.core.statements import refresh_statistics
from portal.core.transaction import transaction
from portal.delivery import reconciliation
from portal.delivery.sms_claim import record_and_claim
from portal.messages.rules.sms_segments import measure_sms
from portal.messages.tables.communications import Attempt, Delivery
from portal.sends import send_creation
from portal.sends.tables.sends import Send
from tests.support import lane_driver, scenario, servers
from tests.support.lane_driver import LaneDriver

pytestmark = pytest.mark.usefixtures("app")
DAY_US = 86_400_000_000


@pytest.fixture
def app(app: Flask) -> Flask:
    app.config["PORTAL"] = replace(app.config["PORTAL"], frequency_cap="3")
    scenario.configure_gateway(rate=100)
    scenario.add_template()
    lane_driver.create_many_accounts(1, "N")
    return app


def create_sends(count: int, key: str = "renewal") -> list[int]:
    return [scenario.create_expanded_send(key, {"account_type": "N"}) for _ in range(count)]


def deliver(count: int, lane: LaneDriver | None = None) -> LaneDriver:
    """Claim until so many texts were decided about, and record what became of them."""
    lane = lane or LaneDriver()
    lane.run_until_sent(count)
    lane.claim_once()
    return lane


def texts_of(send_ids: list[int]) -> list[Delivery]:
    query = select(Delivery).where(Delivery.send_id.in_(send_ids), Delivery.channel == "sms").order_by(Delivery.id)
    return list(db.session.scalars(query))


def skipped_reasons() -> Counter[str]:
    return Counter(row.reason for row in scenario.deliveries("sms") if row.state == "skipped")


def test_last_text_names_the_rest_in_the_language_of_its_account() -> None:
    with transaction() as session:
        session.execute(update(Account).where(Account.account_type == "N").values(language="es"))
    send_ids = create_sends(5)
    deliver(5)
    third = texts_of(send_ids)[2]
    assert third.body.endswith("2 por leer en su historial: http://127.0.0.1:9/h")
    assert third.segments == measure_sms(third.body).segments == 1


def test_fourth_text_within_a_day_stays_in_email_and_history() -> None:
    send_ids = create_sends(5)
    deliver(5)
    assert scenario.count_states("sms") == {"accepted": 3, "skipped": 2}
    assert skipped_reasons() == {Reason.FREQUENCY_CAP: 2}
    assert scenario.count_states("email") == {"ready": 5}
    first, second, third = texts_of(send_ids)[:3]
    assert third.body.endswith("2 more in your history: http://127.0.0.1:9/h")
    assert "/c/" in third.body
    assert "more in your history" not in first.body + second.body
    assert third.segments == measure_sms(third.body).segments == 1


def test_last_text_names_nothing_if_nothing_waits() -> None:
    send_ids = create_sends(3)
    deliver(3)
    assert all("history" not in text.body for text in texts_of(send_ids))


def test_long_subject_is_cut_so_that_the_notice_costs_no_segment() -> None:
    scenario.add_template("long", subject="A very long subject " * 12)
    send_ids = create_sends(4, "long")
    deliver(4)
    third = texts_of(send_ids)[2]
    assert third.body.endswith("1 more in your history: http://127.0.0.1:9/h")
    assert (third.segments, measure_sms(third.body).segments) == (1, 1)


def test_next_text_may_go_a_day_after_the_first() -> None:
    create_sends(4)
    lane = deliver(4)
    lane.now_us += DAY_US - 60_000_000
    create_sends(1)
    deliver(1, lane)
    assert skipped_reasons() == {Reason.FREQUENCY_CAP: 2}, "a minute too early"
    lane.now_us += 120_000_000
    create_sends(1)
    deliver(1, lane)
    assert scenario.count_states("sms") == {"accepted": 4, "skipped": 2}


def test_urgent_texts_neither_count_nor_are_held_back() -> None:
    scenario.add_template("alarm", urgent=True)
    create_sends(4, "alarm")
    create_sends(3)
    create_sends(1, "alarm")
    deliver(8)
    assert scenario.count_states("sms") == {"accepted": 8}


def test_text_that_was_not_sent_leaves_its_place_to_the_next() -> None:
    create_sends(3)
    lane = deliver(3)
    attempt_id = db.session.scalar(select(func.min(Attempt.id)))
    db.session.execute(update(Attempt).where(Attempt.id == attempt_id).values(outcome="rejected"))
    db.session.commit()
    create_sends(2)
    deliver(2, lane)
    assert scenario.count_states("sms") == {"accepted": 4, "skipped": 1}


def test_override_and_test_mode_know_no_cap() -> None:
    scenario.configure_gateway(rate=100, EnableSmsOverrideNumber="true", SmsOverrideNumber="+14155550199")
    create_sends(5)
    deliver(5)
    assert scenario.count_states("sms") == {"accepted": 5}


def test_text_names_the_rest_once_however_often_it_is_claimed() -> None:
    send_ids = create_sends(5)
    lane = LaneDriver()
    for _ in range(3):
        assert record_and_claim([], 100, lambda: lane.now_us).claimed
        db.session.execute(
            update(Delivery).where(Delivery.state == "sending").values(state="ready", lease_until_ms=None)
        )
        db.session.execute(update(Attempt).values(outcome="released"))
        db.session.commit()
        lane.now_us += 10_000_000
    assert texts_of(send_ids)[2].body.count("more in your history") == 1


def test_workers_together_keep_to_the_cap(app: Flask) -> None:
    """Each claims by itself, as workers of two machines do."""
    create_sends(12)
    now_us, barrier = scenario.now_us() + 5_000_000, threading.Barrier(4)

    def claim() -> None:
        with app.app_context():
            barrier.wait(30)
            for at_us in range(now_us, now_us + 3_000_000, 500_000):
                record_and_claim([], 2, partial(int, at_us))
            db.session.remove()

    db.session.remove()
    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert scenario.count_states("sms") == {"sending": 3, "skipped": 9}


def test_plan_predicts_who_is_beyond_the_cap() -> None:
    """By what was sent, and by what waits."""
    lane_driver.create_many_accounts(4, "M")
    create_sends(2)
    deliver(2)
    everybody = {"all": True}
    assert send_creation.plan_send("renewal", everybody, {}, scenario.now_ms()).reasons == []
    create_sends(1)
    refresh_statistics(Attempt, Delivery, Send)
    plan = send_creation.plan_send("renewal", everybody, {}, scenario.now_ms())
    assert (plan.texts, plan.reasons) == (4, [(Reason.FREQUENCY_CAP, 1)])
    people = send_creation.people_of_plan("renewal", everybody, {}, Reason.FREQUENCY_CAP, 0, 10, scenario.now_ms())
    assert [person.account_type for person in people] == ["N"]
    scenario.create_expanded_send(audience=everybody)
    deliver(6)
    assert skipped_reasons() == {Reason.FREQUENCY_CAP: 1}


@pytest.mark.one_engine
def test_text_that_names_the_rest_is_found_at_the_provider(simulator: servers.SimulatorClient) -> None:
    """No answer came for any of three, and none is sent twice: the link identifies a text whose words were changed."""
    create_sends(5)
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "500_after", "count": 3}])
    scenario.run_sms_worker()
    db.session.remove()
    reconciliation.reconcile_unknown_texts(scenario.now_ms)
    db.session.remove()
    scenario.run_sms_worker(clock_ahead_ms=60_000)
    bodies = [text["body"] for text in simulator.accepted_texts()]
    assert len(bodies) == len(set(bodies)) == 3
    assert sum("2 more in your history" in body for body in bodies) == 1
    assert skipped_reasons() == {Reason.FREQUENCY_CAP: 2}
    assert "unknown" not in scenario.count_states("sms")
