"""Several sending numbers: each at its own pace, people texted from the one they know, none held up by another."""

import itertools
import json
import threading
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import handsets
import parts
import pytest
import queueing
import world
from flask import Flask
from queueing import Lane
from sqlalchemy import insert, select, update

from portal.actions import doctor, harness, inbound, inbound_order, progress, sweep
from portal.actions.errors import Refused
from portal.actions.forecast import traffic
from portal.actions.inbound import Inbound
from portal.actions.receipts import take_receipt
from portal.actions.settings import InvalidSetting, set_setting
from portal.actions.sms_claim import Claimed, cycle
from portal.actions.sms_record import Result
from portal.actions.transaction import transaction
from portal.actions.twilio_api import sending_number
from portal.context import settings
from portal.domain.allotment import Allotment
from portal.domain.forecasting import Standstill
from portal.extensions import db
from portal.gateways.outcomes import Accepted, Misconfigured, Unknown
from portal.models import due
from portal.models.communication import Attempt, Delivery
from portal.models.gateway import Sender, paused_senders
from portal.models.phone import Handset, PhoneNumber, known_number

pytestmark = pytest.mark.usefixtures("app")
OURS = [parts.FROM, "+12025550101", "+12025550102"]


def three_numbers(rate: float = 10, **changes: str) -> None:
    sender = {"FromNumber": OURS[0], "MoreNumbers": OURS[1:], "SegmentsPerSecond": rate}
    world.open_gateway(SmsGatewaySettings=json.dumps(sender), **changes)


@pytest.fixture(autouse=True)
def board(app: Flask) -> None:
    three_numbers()
    world.template()
    sweep.beat("a worker", "worker:sms", world.now_ms() + 3_600_000)


def send_to(total: int, prefix: str = "C") -> int:
    queueing.crowd(total, prefix)
    return world.send(audience={"account_type": prefix})


def slots() -> dict[str, list[int]]:
    """Of each number of ours the slots of its texts, in milliseconds."""
    db.session.rollback()
    found = defaultdict(list)
    for sender, slot_ms in db.session.execute(select(Attempt.sender, Attempt.slot_at_ms).order_by(Attempt.slot_at_ms)):
        found[sender].append(slot_ms)
    return dict(found)


def senders_of() -> dict[str, str]:
    """To whom which number of ours wrote last."""
    db.session.rollback()
    query = select(Attempt.sent_to, Attempt.sender).order_by(Attempt.started_at_ms)
    return dict(db.session.execute(query).all())


def pause(number: str) -> None:
    with transaction() as session:
        session.execute(update(Sender).where(Sender.number == number).values(paused_reason="by hand", paused_at_ms=1))


def knows(person: str, ours: str) -> None:
    with transaction() as session:
        session.merge(Handset(number=person, knows=ours))


def test_each_number_keeps_its_own_pace_and_together_they_are_three_times_as_fast() -> None:
    send_to(300)
    lane = Lane()
    lane.leave(300)
    found = slots()
    assert {number: len(its) for number, its in found.items()} == pytest.approx(dict.fromkeys(OURS, 100), abs=2)
    for its in found.values():
        gaps = [later - earlier for earlier, later in itertools.pairwise(its)]
        assert min(gaps) >= 99, "ten a second, to the millisecond that slots are kept in"
    assert max(lane.slots_us) - min(lane.slots_us) < 10_600_000


def test_everybody_is_texted_from_the_same_number_each_time() -> None:
    queueing.crowd(60, "C")
    lane = Lane()
    for _ in range(2):
        world.send(audience={"account_type": "C"})
        lane.leave(60)
    pairs = db.session.execute(select(Attempt.sent_to, Attempt.sender).distinct()).all()
    assert len(pairs) == 60
    assert len({sender for _, sender in pairs}) == 3


def test_who_said_start_to_a_number_gets_texts_from_it_and_after_another_start_from_the_other() -> None:
    at_ms = world.now_ms() - 600_000
    (account_id,) = handsets.shared(world.number(1), at_ms, "A")
    handsets.invite(account_id, world.number(1), at_ms)
    for place, ours in enumerate((OURS[2], OURS[1]), 1):
        handsets.says("START", world.number(1), at_ms + 1_000 * place, To=ours)
        assert known_number(world.number(1)) == ours
        assert sending_number(world.number(1)).endswith(ours[-4:])
        world.send(audience={"external_ids": ["A"]})
        Lane().run(lambda: not world.states("sms").get("ready"), most_seconds=30)
        assert senders_of()[world.number(1)] == ours


def test_start_to_a_number_that_never_was_ours_gives_nothing() -> None:
    (account_id,) = handsets.shared(world.number(1), world.now_ms() - 1_000, "A")
    handsets.invite(account_id, world.number(1), world.now_ms() - 900)
    handsets.says("START", world.number(1), world.now_ms(), To="+12025559999")
    assert known_number(world.number(1)) is None
    assert handsets.standing(world.number(1))[0] is None


def test_what_waits_for_a_number_that_is_taken_holds_up_no_other() -> None:
    """Hundreds at the head of the lane know one number; who comes after them knows another."""
    first = send_to(300, "A")
    for person in [row.address for row in world.deliveries("sms")]:
        knows(person, OURS[0])
    later = send_to(20, "B")
    with transaction() as session:
        session.execute(update(Delivery).where(Delivery.send_id == later).values(turn=10_000_000))
    for person in [row.address for row in world.deliveries("sms") if row.send_id == later]:
        knows(person, OURS[1])
    lane = Lane()
    lane.run(lambda: lane.left.count(later) == 20, most_seconds=4)
    assert lane.left.count(later) == 20
    assert lane.left.count(first) < 60


def test_hundreds_for_a_number_that_is_taken_hide_no_text_for_another() -> None:
    first = send_to(due.HEAD + 100, "A")
    with transaction() as session:
        session.execute(insert(Handset), [{"number": row.address, "knows": OURS[0]} for row in world.deliveries("sms")])
    queueing.crowd(9, "B")
    later = world.send(audience={"account_type": "B"})
    with transaction() as session:
        session.execute(update(Delivery).where(Delivery.send_id == later).values(turn=10_000_000))
    lane = Lane()
    lane.run(lambda: lane.left.count(later) == 6, most_seconds=4)
    assert lane.left.count(later) == 6, "those of the two other numbers"
    assert lane.left.count(first) < 60


def test_where_one_number_lags_behind_a_later_send_takes_turns_there() -> None:
    first = send_to(120, "A")
    with transaction() as session:
        people = [row.address for row in world.deliveries("sms")]
        session.execute(insert(Handset), [{"number": person, "knows": OURS[0]} for person in people[:100]])
    lane = Lane()
    lane.leave(60)
    later = send_to(20, "B")
    for person in [row.address for row in world.deliveries("sms") if row.send_id == later]:
        knows(person, OURS[0])
    lane.left.clear()
    lane.leave(20)
    assert 8 <= lane.left.count(later) <= 12
    assert lane.left.count(first) == 20 - lane.left.count(later)


def test_a_reading_that_takes_long_gives_slots_that_can_still_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each text would be past its slot when it is its turn, and be claimed anew for ever."""
    send_to(40)
    now_us, head = [world.now_us() + 1_000_000], due.head

    def slow(*arguments: Any) -> list[due.Candidate]:
        now_us[0] += 700_000
        return head(*arguments)

    monkeypatch.setattr(due, "head", slow)
    found = cycle([], 64, lambda: now_us[0])
    assert found.claimed
    assert min(claimed.slot_us for claimed in found.claimed) >= now_us[0]


def test_an_older_start_that_is_found_later_does_not_change_the_number_that_is_known() -> None:
    at_ms = world.now_ms() - 600_000
    (account_id,) = handsets.shared(world.number(1), at_ms, "A")
    handsets.invite(account_id, world.number(1), at_ms)
    handsets.says("START", world.number(1), at_ms + 300_000, To=OURS[1])
    earlier = Inbound("SM" + "9" * 32, world.number(1), OURS[2], "START", "list", at_ms + 60_000)
    with transaction():
        inbound.take(earlier, world.now_ms())
    assert known_number(world.number(1)) == OURS[1]


def test_yes_to_a_toll_free_number_lifts_no_stop_and_changes_no_number() -> None:
    toll_free = ["+18335550100", "+18335550101"]
    sender = {"FromNumber": toll_free[0], "MoreNumbers": toll_free[1:]}
    world.open_gateway(SmsGatewaySettings=json.dumps(sender))
    at_ms = world.now_ms() - 600_000
    (account_id,) = handsets.shared(world.number(1), at_ms, "A")
    handsets.invite(account_id, world.number(1), at_ms)
    handsets.says("STOP", world.number(1), at_ms + 1_000, To=toll_free[0])
    handsets.says("START", world.number(1), at_ms + 200_000, To=toll_free[1])
    handsets.says("YES", world.number(1), at_ms + 400_000, To=toll_free[0])
    assert known_number(world.number(1)) == toll_free[1]


@pytest.mark.parametrize(("code", "paused"), [("30002", OURS), ("30034", OURS[:1])])
def test_a_fault_of_the_account_told_by_receipt_pauses_every_number_and_one_of_a_number_that_alone(
    code: str, paused: list[str]
) -> None:
    send_to(9)
    now_us = world.now_us() + 1_000_000
    claimed = next(one for one in cycle([], 64, lambda: now_us).claimed if one.sender.key == OURS[0])
    cycle([_accepted(claimed)], 0, lambda: now_us)
    form = {"MessageSid": f"SM{claimed.attempt_id}", "MessageStatus": "failed", "ErrorCode": code}
    take_receipt(form, claimed.attempt_id, now_us // 1000)
    db.session.rollback()
    assert [row.number for row in paused_senders()] == paused


def test_the_second_test_text_to_a_phone_waits_for_its_number_alone_while_texts_are_off() -> None:
    three_numbers(rate=1, EnableSmsNotifications="false")
    account_id = handsets.account("S")
    for words in ("One", "Two"):
        harness.send_test(world.number(1), words, account_id, world.now_ms())
    now_us = world.now_us() + 1_000_000
    assert len(cycle([], 64, lambda: now_us).claimed) == 1
    second = cycle([], 64, lambda: now_us)
    assert not second.claimed
    assert second.next_us is not None


def test_a_lane_with_work_for_one_number_alone_waits_for_it_and_does_not_spin() -> None:
    send_to(40)
    for person in [row.address for row in world.deliveries("sms")]:
        knows(person, OURS[2])
    now_us = world.now_us() + 1_000_000
    first = cycle([], 64, lambda: now_us)
    again = cycle([], 64, lambda: now_us)
    assert first.claimed
    assert not again.claimed
    assert again.next_us is not None
    assert again.next_us > now_us + 200_000


def test_while_one_number_is_paused_the_others_go_on_and_the_forecast_says_so() -> None:
    send_id = send_to(90)
    Lane().leave(3)
    left = len(slots().get(OURS[1], []))
    among = Allotment(tuple(OURS))
    its = [row for row in world.deliveries("sms") if among.key_for(row.address, None) == OURS[1]]
    pause(OURS[1])
    lane = Lane()
    lane.run(lambda: False, most_seconds=30)
    assert world.states("sms")["ready"] == len(its) - left > 20
    assert len(slots().get(OURS[1], [])) == left
    db.session.rollback()
    forecast = progress.report(send_id, world.now_ms()).forecast
    assert forecast is not None
    assert forecast.stands is Standstill.ONE_OF_SENDERS_PAUSED
    found = cycle([], 64, lambda: lane.now_us)
    assert (found.claimed, found.next_us) == ((), None), "who resumes it rings"


def test_a_number_that_is_not_answered_rests_alone() -> None:
    send_to(150)
    silent = OURS[2]
    lane, results = Lane(), list[Result]()
    for _ in range(12):
        found = cycle(results, 64, lambda: lane.now_us)
        results = [_unanswered(one) if one.sender.key == silent else _accepted(one) for one in found.claimed]
        lane.now_us += 400_000
    rests = {row.number: row.rests_until_us > lane.now_us for row in db.session.scalars(select(Sender))}
    assert rests == {OURS[0]: False, OURS[1]: False, silent: True}
    assert len(slots()[OURS[0]]) > len(slots()[silent])


def test_the_forecast_knows_the_pace_of_all_numbers_together() -> None:
    send_id = send_to(300)
    lane = Lane()
    lane.step()
    forecast = progress.report(send_id, lane.now_ms()).forecast
    assert forecast is not None
    assert forecast.rate == pytest.approx(30, rel=0.05)
    lane.leave(300)
    assert forecast.last_text_ms == pytest.approx(max(lane.slots_us) // 1000, abs=400)


def test_the_forecast_follows_the_number_that_nearly_everybody_knows() -> None:
    queueing.crowd(90, "C")
    with transaction() as session:
        people = list(session.scalars(select(PhoneNumber.number)))
        session.execute(insert(Handset), [{"number": person, "knows": OURS[0]} for person in people])
    assert traffic(world.now_ms()).largest_share == 1, "before any text waits, as people are enabled"
    send_id = world.send(audience={"account_type": "C"})
    lane = Lane()
    lane.step()
    forecast = progress.report(send_id, lane.now_ms()).forecast
    assert forecast is not None
    lane.leave(90)
    assert forecast.last_text_ms == pytest.approx(max(lane.slots_us) // 1000, abs=400)


def test_two_workers_that_pause_different_numbers_wait_for_each_other_in_no_circle(app: Flask) -> None:
    send_to(240)
    errors: list[BaseException] = []

    def work(turn: int) -> None:
        with app.app_context():
            results, now_us = list[Result](), world.now_us()
            try:
                for _ in range(15):
                    now_us += 400_000
                    found = cycle(results, 30, lambda now_us=now_us: now_us)
                    results = [_accepted(one) if one.sender.key == OURS[0] else _refused(one) for one in found.claimed]
                    results = results[::turn]
                cycle(results, 0, lambda: now_us)
            except BaseException as error:
                errors.append(error)
            db.session.remove()

    threads = [threading.Thread(target=work, args=(turn,)) for turn in (1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert [row.number for row in paused_senders()] == OURS[1:]


def test_texts_really_leave_from_their_numbers_and_missed_words_are_found_at_each(app: Flask) -> None:
    options = [word for number in OURS for word in ("--from-number", number)]
    with parts.simulator("--latency-ms", "5", *options) as twilio:
        twilio.faults(receipts={"final": "none"})
        app.config["PORTAL"] = replace(settings(), twilio_api_url=twilio.url)
        three_numbers(rate=100)
        world.people(30, with_sms=30)
        world.send()
        world.drain_texts()
        assert Counter(text["from"] for text in twilio.texts()) == Counter(senders_of().values())
        assert len({text["from"] for text in twilio.texts()}) == 3
        stop = {"from": world.number(3), "to": OURS[2], "body": "STOP", "direction": "inbound", "at_ms": world.now_ms()}
        twilio.send("POST", "/simulator/seed", {"messages": [stop]})
        inbound_order.fetch_missed(world.now_ms)
        assert handsets.standing(world.number(3))[1]


def test_the_doctor_looks_at_every_number_and_sets_the_addresses_of_each(app: Flask) -> None:
    with parts.simulator("--from-number", OURS[0], "--from-number", OURS[1]) as twilio:
        app.config["PORTAL"] = replace(settings(), twilio_api_url=twilio.url)
        line = {check.name: check for check in doctor.diagnose(world.now_ms).checks}["Sending number"]
        assert (line.verdict, line.why) == ("failing", "The account does not own +1 ••• 0102.")
        with pytest.raises(Refused, match=r"Set for 2 of the numbers only\. \+1 ••• 0102"):
            doctor.set_webhooks()
        world.open_gateway(SmsGatewaySettings=json.dumps({"FromNumber": OURS[0], "MoreNumbers": OURS[1:2]}))
        assert doctor.set_webhooks() == "Both addresses are set at Twilio."
        found = {check.name: check for check in doctor.diagnose(world.now_ms).checks}
        assert found["Inbound address"].why == "Texts from handsets come to the portal."
        assert found["Sending number"].why.count("is the account's and can text") == 2


def test_no_number_of_ours_can_be_the_override_and_test_mode_has_one_number() -> None:
    with pytest.raises(InvalidSetting, match="must differ from the numbers of SmsGatewaySettings"):
        set_setting("SmsOverrideNumber", OURS[2], None, world.now_ms())
    set_setting("SmsOverrideNumber", "+12025550188", None, world.now_ms())
    override_among_them = json.dumps({"FromNumber": OURS[0], "MoreNumbers": ["+12025550188"]})
    with pytest.raises(InvalidSetting, match='"MoreNumbers" must differ from SmsOverrideNumber') as refused:
        set_setting("SmsGatewaySettings", override_among_them, None, world.now_ms())
    assert list(refused.value.problems) == ["MoreNumbers"]
    several = json.dumps({"FromNumber": "+15005550006", "MoreNumbers": [OURS[1]]})
    with pytest.raises(InvalidSetting, match="in test mode texts come from one number"):
        set_setting("TestSmsGatewaySettings", several, None, world.now_ms())


def _accepted(claimed: Claimed) -> Result:
    return _result(claimed, Accepted(f"SM{claimed.attempt_id}"))


def _unanswered(claimed: Claimed) -> Result:
    return _result(claimed, Unknown("No answer."))


def _refused(claimed: Claimed) -> Result:
    return _result(claimed, Misconfigured("21606", "not allowed to send", 400))


def _result(claimed: Claimed, outcome: Accepted | Misconfigured | Unknown) -> Result:
    return Result(claimed.attempt_id, claimed.delivery_id, claimed.mode, claimed.sender.key, outcome)
