"""A database put back from a copy: nothing old leaves again without evidence; mail waits for somebody to say so."""

from collections.abc import Iterator

import parts
import pytest
import world

from portal.actions import lanes, sweep
from portal.actions.email_drain import drain_email
from portal.actions.tide import is_known_to_be_young, keep_time
from portal.context import settings
from portal.extensions import db
from portal.gateways import queue
from portal.models import audit_log, lane

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture(autouse=True)
def five_people(app: object, simulator: parts.Simulator) -> Iterator[None]:
    """Redis is the whole run's: what one test leaves there is nobody else's business."""
    world.open_gateway()
    world.people(5, with_sms=5)
    world.template()
    forget()
    yield
    forget()


def forget() -> None:
    with queue.connect(settings().redis_url) as connection:
        connection.delete("portal:tide")


def put_back(hours: float) -> None:
    """The copy is older than what Redis remembers."""
    keep_time(world.now_ms() - round(hours * 3_600_000))
    queue.remember(settings().redis_url, "tide", world.now_ms())


def test_texts_that_had_left_before_the_copy_was_put_back_do_not_leave_again(simulator: parts.Simulator) -> None:
    world.send()
    already = world.deliveries("sms")[:3]
    seeds = [{"to": text.address, "body": text.body} for text in already]
    simulator.send("POST", "/simulator/seed", {"messages": seeds})
    put_back(hours=20)
    sweep.sweep()
    world.drain_texts()
    assert len(simulator.texts()) == 3, "nothing but what had left"
    sweep.sweep(lambda: world.now_ms() + 60_000)
    world.drain_texts(ahead_ms=60_000)
    assert sorted(text["to"] for text in simulator.texts()) == [world.number(place) for place in range(5)]
    assert set(world.states("sms")) <= {"accepted", "sent", "delivered"}


def test_until_the_scheduler_has_looked_nobody_sends(simulator: parts.Simulator) -> None:
    from portal.actions.sms_drain import drain_sms

    world.send()
    put_back(hours=20)
    drain_sms(seconds=1)
    drain_email(seconds=1)
    assert simulator.texts() == []
    assert world.states("email") == {"ready": 5}


def test_mail_of_a_copy_waits_until_somebody_resumes_it(simulator: parts.Simulator) -> None:
    world.send()
    put_back(hours=20)
    sweep.sweep()
    world.drain_mails()
    assert world.states("email") == {"ready": 5}
    assert lane.running("email") == ()
    (entry,) = audit_log.page_before(None, 10)
    assert (entry.action, entry.detail["texts"], entry.detail["mails"]) == ("database_restored", 5, 5)
    lanes.resume_everything(None, world.now_ms())
    world.drain_mails()
    assert world.states("email") == {"mailed": 5}


def test_a_redis_that_forgot_everything_changes_nothing_while_the_database_is_young(simulator: parts.Simulator) -> None:
    world.send()
    keep_time(world.now_ms())
    forget()
    assert is_known_to_be_young(world.now_ms() + 60_000)
    sweep.sweep()
    world.drain_texts()
    assert len(simulator.texts()) == 5
    db.session.rollback()


def test_a_portal_that_stood_still_for_a_weekend_goes_on_by_itself(simulator: parts.Simulator) -> None:
    world.send()
    keep_time(world.now_ms() - 60 * 3_600_000)
    assert is_known_to_be_young(world.now_ms()), "Redis remembers the same moment"
    world.drain_texts()
    assert len(simulator.texts()) == 5
