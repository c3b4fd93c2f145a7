"""Asking for an invitation: the ledger first, the limits kept for everybody at once, refusals that say when."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import handsets
import parts
import pytest
import world
from flask import Flask
from sqlalchemy import select

from portal.actions import content, invitations, phones, settings
from portal.actions.errors import Refused
from portal.actions.invitations import TooMany, WordingChanged
from portal.actions.transaction import transaction
from portal.domain import wording
from portal.extensions import db
from portal.models.communication import Communication, Delivery
from portal.models.consent import ConsentEvent
from portal.models.phone import PhoneNumber

pytestmark = pytest.mark.usefixtures("app")

NOW = world.now_ms()
NUMBER = world.number(0)
MINUTE_MS = handsets.MINUTE_MS
DAY_MS = 24 * 60 * MINUTE_MS


@pytest.fixture
def person(app: Flask) -> int:
    """The id of an account that carries the number."""
    world.open_gateway()
    return handsets.shared(NUMBER, NOW, "A")[0]


def events() -> list[ConsentEvent]:
    db.session.remove()
    return list(db.session.scalars(select(ConsentEvent).order_by(ConsentEvent.id)))


def setting(app: Flask, **changes: object) -> None:
    app.config["PORTAL"] = dataclasses.replace(app.config["PORTAL"], **changes)


def until(ask: Callable[[], object]) -> int:
    """When the refusal says to try again."""
    with pytest.raises(TooMany) as refused:
        ask()
    assert str(refused.value)
    return refused.value.until_ms


def test_the_click_and_the_words_that_were_read_are_written_down_before_the_text_leaves(
    person: int, simulator: parts.Simulator
) -> None:
    shown = content.words_of(wording.PROMPT, NUMBER)
    event_id = handsets.invite(person, NUMBER, NOW)
    (event,) = events()
    assert (event.id, event.kind, event.source, event.number) == (event_id, "invited", "portal", NUMBER)
    assert (event.account_id, event.actor_id, event.ip, event.user_agent) == (
        person,
        person,
        "198.51.100.7",
        "a browser",
    )
    assert (event.words, event.wording, event.wording_version) == (shown.text, wording.PROMPT, shown.version)
    assert simulator.texts() == [], "the ledger comes first"
    text = db.session.scalars(select(Delivery)).one()
    assert (text.address, text.state, text.lane) == (NUMBER, "ready", 0)
    assert text.communication.consent_event_id == event_id
    world.drain_texts()
    (sent,) = simulator.texts()
    assert (sent["to"], sent["body"]) == (NUMBER, content.words_of(wording.INVITATION, NUMBER).text)
    assert "START" in sent["body"]


def test_who_acted_for_somebody_else_is_named(person: int) -> None:
    admin = handsets.account("ADMIN")
    handsets.invite(person, NUMBER, NOW, handsets.asker(admin, by_admin=True))
    (event,) = events()
    assert (event.account_id, event.actor_id) == (person, admin)


def test_five_hundred_at_once_for_one_number_let_one_leave(app: Flask, person: int, simulator: parts.Simulator) -> None:
    phone_id = handsets.phone_id(person, NUMBER)
    version = content.words_of(wording.PROMPT).version

    def ask(turn: int) -> int:
        with app.app_context():
            try:
                invitations.invite(phone_id, handsets.asker(person, ip=f"198.51.100.{turn % 250}"), version, NOW)
            except TooMany as refused:
                return refused.until_ms
            finally:
                db.session.remove()
        return 0

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(500)))
    assert sorted(answers) == [0, *[NOW + 10 * MINUTE_MS] * 499]
    assert len(events()) == 1
    world.drain_texts()
    assert len(simulator.texts()) == 1


def test_a_number_is_invited_once_in_ten_minutes_and_three_times_a_day_whoever_asks(person: int) -> None:
    (other,) = handsets.shared(NUMBER, NOW, "B")
    admin = handsets.asker(handsets.account("ADMIN"), by_admin=True)
    first = NOW + 60_000
    handsets.invite(person, NUMBER, first)
    assert until(lambda: handsets.invite(other, NUMBER, first + 1)) == first + 10 * MINUTE_MS
    assert until(lambda: handsets.invite(person, NUMBER, first + 10 * MINUTE_MS - 1, admin)) == first + 10 * MINUTE_MS
    handsets.invite(other, NUMBER, first + 10 * MINUTE_MS)
    handsets.invite(person, NUMBER, first + 20 * MINUTE_MS, admin)
    assert until(lambda: handsets.invite(person, NUMBER, first + 30 * MINUTE_MS, admin)) == first + DAY_MS
    handsets.invite(person, NUMBER, first + DAY_MS)
    assert len(events()) == 4, "what is refused is not written"


def test_an_account_may_ask_ten_times_a_day(person: int) -> None:
    numbers = [NUMBER, *(world.number(place) for place in range(1, 10))]
    for place, number in enumerate(numbers):
        if number != NUMBER:
            phones.add_number(person, number, "", NOW)
        handsets.invite(person, number, NOW + place * 1_000, handsets.asker(person, ip=f"198.51.100.{place}"))
    later = NOW + 20 * MINUTE_MS
    assert until(lambda: handsets.invite(person, NUMBER, later)) == NOW + DAY_MS
    handsets.invite(person, NUMBER, later, handsets.asker(person, by_admin=True))


def test_twenty_an_hour_may_be_asked_for_from_one_place(person: int) -> None:
    accounts = [handsets.shared(world.number(place), NOW, f"N-{place}")[0] for place in range(1, 22)]
    for place, account_id in enumerate(accounts[:20], 1):
        handsets.invite(account_id, world.number(place), NOW + place)
    assert until(lambda: handsets.invite(accounts[20], world.number(21), NOW + 100)) == NOW + 1 + 60 * MINUTE_MS
    handsets.invite(accounts[20], world.number(21), NOW + 100, handsets.asker(accounts[20], ip="203.0.113.5"))
    handsets.invite(person, NUMBER, NOW + 100, handsets.asker(person, by_admin=True))


def test_the_budget_of_the_day_holds_for_all_together(app: Flask, person: int) -> None:
    setting(app, invitations_a_day=2)
    (other,) = handsets.shared(world.number(1), NOW, "B")
    (third,) = handsets.shared(world.number(2), NOW, "C")
    handsets.invite(person, NUMBER, NOW)
    handsets.invite(other, world.number(1), NOW + 5_000, handsets.asker(other, by_admin=True))
    admin = handsets.asker(third, by_admin=True)
    assert until(lambda: handsets.invite(third, world.number(2), NOW + 6_000, admin)) == NOW + DAY_MS
    handsets.invite(third, world.number(2), NOW + DAY_MS)


def test_numbers_that_cost_their_owner_or_lie_abroad_are_not_invited(app: Flask, person: int) -> None:
    setting(app, sms_countries=("US", "AU"))
    refused = {
        "+19005550123": "premium-rate",
        "+611300123456": "shared-cost",
        "+18765550123": "the United States and Australia only",
        "+33612345678": "the United States and Australia only",
    }
    with transaction() as session:
        session.add_all(PhoneNumber(account_id=person, number=number, created_at_ms=NOW) for number in refused)
    for number, words in refused.items():
        with pytest.raises(Refused, match=words):
            handsets.invite(person, number, NOW)
    assert events() == []


def refusal(account_id: int, at_ms: int = NOW + 60 * MINUTE_MS) -> str:
    with pytest.raises(Refused) as refused:
        handsets.invite(account_id, NUMBER, at_ms)
    assert not isinstance(refused.value, TooMany)
    return str(refused.value)


def test_a_number_that_said_stop_is_told_the_only_way_back(person: int) -> None:
    handsets.says("STOP", NUMBER, NOW)
    assert refusal(person).endswith("text START from that phone to (202) 555-0100.")


def test_a_dead_number_is_confirmed_first_and_one_that_gets_its_texts_needs_no_invitation(person: int) -> None:
    handsets.says("START", NUMBER, NOW)
    assert "already" in refusal(person)
    handsets.carriers_news(person, NUMBER, "30005", NOW + 1_000)
    assert "Confirm it first" in refusal(person)
    phones.confirm_number(handsets.phone_id(person, NUMBER), person, handsets.asker(person), NOW + 2_000)
    assert "already" in refusal(person)


def test_nothing_is_asked_for_while_texts_are_off_or_the_gateway_is_not_set_up(person: int) -> None:
    settings.set_setting("EnableSmsNotifications", "false", None, NOW)
    assert refusal(person) == "Texts are switched off."


def test_what_is_agreed_to_is_what_was_read(person: int) -> None:
    phone_id = handsets.phone_id(person, NUMBER)
    content.save_block(wording.PROMPT, "New words about {{ organisation }}. STOP ends them.", None, NOW)
    with pytest.raises(WordingChanged):
        invitations.invite(phone_id, handsets.asker(person), 0, NOW)
    assert events() == []
    assert db.session.scalars(select(Communication)).all() == []
    invitations.invite(phone_id, handsets.asker(person), 1, NOW)
    assert (events()[0].words, events()[0].wording_version) == (
        "New words about Notification portal. STOP ends them.",
        1,
    )


def test_a_number_that_left_the_account_meanwhile_is_not_invited(person: int) -> None:
    phone_id = handsets.phone_id(person, NUMBER)
    phones.remove_number(phone_id, person, handsets.asker(person), NOW)
    with pytest.raises(Refused, match="no longer"):
        invitations.invite(phone_id, handsets.asker(person), 0, NOW)


def test_a_stop_between_the_click_and_the_text_keeps_the_invitation_back(
    person: int, simulator: parts.Simulator
) -> None:
    handsets.invite(person, NUMBER, NOW)
    handsets.says("STOP", NUMBER, NOW + 10)
    world.drain_texts()
    assert simulator.texts() == []
    assert handsets.texts("invitation") == [(NUMBER, "skipped", "stopped")]
