"""Several things at one moment: two workers hear START, a STOP comes while hundreds of texts leave."""

import contextlib
import dataclasses
import random
import threading
import time
from collections import Counter
from collections.abc import Callable

import consent_cases as cases
import handsets
import parts
import pytest
import world
from flask import Flask
from sqlalchemy import func, select

from portal.actions import consent, consent_by_hand, inbound_order, phones, reconcile
from portal.actions.asker import AT_THE_SHELL
from portal.actions.errors import Refused
from portal.domain.ledger import first_break
from portal.extensions import db
from portal.models import consent as ledger
from portal.models.account import Account
from portal.models.communication import Communication, Delivery
from portal.models.consent import ConsentEvent
from portal.models.phone import PhoneNumber

NOW = world.now_ms()
ROUNDS = 100
"""On each of the two databases, so 200 in all."""


def together(app: Flask, *jobs: Callable[[], None]) -> list[Exception]:
    """Run each in a thread with a connection of its own; what went wrong in any of them."""
    faults: list[Exception] = []

    def work(job: Callable[[], None]) -> None:
        with app.app_context():
            try:
                job()
            except Exception as error:  # told in the thread that can fail the test
                faults.append(error)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def test_two_starts_for_a_shared_number_from_two_workers_leave_one_holder(app: Flask) -> None:
    """Half of the rounds answer one invitation, the others the newer of two."""
    world.open_gateway()
    states = [cases.STATES["B holds, A invited"], cases.STATES["both, both invited"]]
    handsets.open_accounts(ROUNDS)
    handsets.write_down([cases.Story(states[place % 2], NOW - 20 * 86_400_000) for place in range(ROUNDS)])
    begin = threading.Barrier(2)

    def hear() -> None:
        for place in range(ROUNDS):
            begin.wait(30)
            handsets.says("START", world.number(place), NOW)

    assert together(app, hear, hear) == []
    holders = select(PhoneNumber.number, PhoneNumber.account_id).where(PhoneNumber.holds_sms == True)  # noqa: E712
    expected = {world.number(place): handsets.account_id(place, 1 + place % 2) for place in range(ROUNDS)}
    assert sorted(tuple(row) for row in db.session.execute(holders)) == sorted(expected.items())
    assert per_number("start", "handset") == dict.fromkeys(expected, 2)
    welcomes = select(Delivery.address, func.count()).join(Communication).where(Communication.kind == "welcome")
    assert {row[0]: row[1] for row in db.session.execute(welcomes.group_by(Delivery.address))} == dict.fromkeys(
        expected, 1
    )
    assert len(handsets.told("displaced")) == ROUNDS / 2, "the earlier holders, once each"


def per_number(kind: str, source: str) -> dict[str, int]:
    query = select(ConsentEvent.number, func.count()).where(ConsentEvent.kind == kind, ConsentEvent.source == source)
    return {row[0]: row[1] for row in db.session.execute(query.group_by(ConsentEvent.number))}


def test_whatever_happens_at_once_the_tables_hold_what_the_ledger_derives(
    app: Flask, simulator: parts.Simulator
) -> None:
    rules = [{"kind": "reject", "code": 21610, "probability": 0.2}, {"kind": "500_after", "probability": 0.1}]
    simulator.faults(receipts={"final": "none"}, rules=rules)
    world.open_gateway()
    numbers = [world.number(place) for place in range(6)]
    handsets.open_accounts(len(numbers))
    begun = cases.Story(cases.STATES["B holds, A invited"], NOW - 20 * 86_400_000)
    handsets.write_down([begun] * len(numbers))
    world.template()
    for _ in range(4):
        world.send()

    def often(times: int, step: Callable[[random.Random, str, int], None]) -> Callable[[], None]:
        """A worker that does it to one number and one of its accounts after the other, by its own dice."""

        def work() -> None:
            dice = random.Random(f"{step.__name__}")
            for _ in range(times):
                place = dice.randrange(len(numbers))
                with contextlib.suppress(Refused):
                    step(dice, numbers[place], handsets.account_id(place, dice.choice([1, 2])))
                db.session.remove()

        return work

    jobs = [often(30, _say), often(30, _say_more), often(25, _news), often(25, _by_hand), often(6, _sweep)]
    assert together(app, *jobs, lambda: world.drain_texts(seconds=2)) == []
    for number in numbers:
        now = consent.standing_of(number)
        holder = db.session.scalars(select(Account.external_id).where(Account.id == now.holder)).one_or_none()
        assert handsets.standing(number) == (holder, now.stopped_ms is not None, now.unreachable_ms is not None)
    assert first_break(ledger.everything(), ledger.head()[1]) is None


def _say(dice: random.Random, number: str, _account_id: int) -> None:
    handsets.says(dice.choice(["START", "STOP", "HELP", "stop please", "who is this?"]), number, world.now_ms())


def _say_more(dice: random.Random, number: str, account_id: int) -> None:
    _say(dice, number, account_id)


def _news(dice: random.Random, number: str, account_id: int) -> None:
    handsets.carriers_news(account_id, number, dice.choice(["", "21610", "30005"]), world.now_ms())


def _by_hand(dice: random.Random, number: str, account_id: int) -> None:
    what = dice.randrange(3)
    if what == 0:
        consent_by_hand.opt_out(number, "phone", "rang us", AT_THE_SHELL, world.now_ms())
    elif what == 1:
        consent_by_hand.move_texts(number, account_id, AT_THE_SHELL, world.now_ms())
    else:
        phones.confirm_number(
            handsets.phone_id(account_id, number), account_id, handsets.asker(account_id), world.now_ms()
        )


def _sweep(_dice: random.Random, _number: str, _account_id: int) -> None:
    inbound_order.order_unsure(world.now_ms)
    reconcile.settle_unknown(world.now_ms)


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("latency_ms", "rate", "many"), [(5, 150, 40), (1_500, 500, 25)], ids=["prompt provider", "slow provider"]
)
def test_no_text_leaves_a_second_after_the_webhook_answered_stop(
    app: Flask, simulator: parts.Simulator, latency_ms: int, rate: int, many: int
) -> None:
    """Also with a slow provider, where texts wait for one of the requests in flight to end."""
    found = {"sms_timeout_seconds": 20.0, "sms_lease_seconds": 60.0, "sms_settle_seconds": 90.0}
    app.config["PORTAL"] = dataclasses.replace(app.config["PORTAL"], **found)
    simulator.faults(receipts={"final": "none"}, latency_ms=latency_ms)
    world.open_gateway(rate=rate)
    _sends_that_all_go_to_one_number_too(many)
    answered: list[float] = []

    def stop() -> None:
        parts.wait_for(lambda: len(left_for(simulator, world.number(0))) > 5, "the first texts to leave")
        handsets.says("STOP", world.number(0), world.now_ms())
        answered.append(time.time() * 1000)

    assert together(app, lambda: world.drain_texts(seconds=30), stop) == []
    stopped = left_for(simulator, world.number(0))
    assert max(stopped) <= answered[0] + 1_000
    assert len(stopped) < many
    states = Counter((row.address == world.number(0), row.state) for row in world.deliveries("sms"))
    assert (states[True, "accepted"], states[True, "skipped"]) == (len(stopped), many - len(stopped))
    assert states[False, "accepted"] == sum(states.values()) - many, "nobody else's texts are held up"


def _sends_that_all_go_to_one_number_too(many: int) -> None:
    """In each of them it comes last, and so its texts are spread evenly among those to others."""
    world.people_more(many // 3)
    world.people(1, with_sms=1)
    world.template()
    for turn in range(many):
        world.send(audience={"external_ids": [*(f"Q-{place}" for place in range(turn // 3)), "P-0"]})


def left_for(simulator: parts.Simulator, number: str) -> list[int]:
    """When texts to the number came to the provider, in milliseconds."""
    log = simulator.get("/simulator/log")["log"]
    return [call["at_ms"] for call in log if call["kind"] == "create" and call["to"] == number]
