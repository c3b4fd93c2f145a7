"""After a send: whom it did not reach, and the next round to exactly those people."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.keyset import Keyset
from portal.core.transaction import transaction
from portal.messages.tables.communications import Communication, Delivery
from portal.sends import fan_out, send_control
from portal.sends.next_rounds import UNOPENED_AFTER_DAYS, next_rounds, start_round
from portal.sends.tables import audience, rounds
from portal.sends.tables.rounds import RoundOutcome
from portal.sends.tables.sends import Send
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
OUTCOMES: dict[str, tuple[str, str | None]] = {
    "P-0": ("handed_off", "delivered"),
    "P-1": ("rejected", "delivered"),
    "P-2": ("handed_off", "undelivered"),
    "P-3": ("rejected", "undelivered"),
    "P-4": ("rejected", "sent"),
    "P-5": ("ready", "failed"),
    "P-6": ("rejected", None),
    "P-7": ("expired", "skipped"),
}
"""Of each account: the state of the email and of the text."""
UNREACHED = ["P-3", "P-6", "P-7"]
DAY_MS = 86_400_000


@pytest.fixture
def send_id(app: Flask) -> int:
    scenario.configure_gateway()
    scenario.create_accounts(8, with_sms=8)
    scenario.add_template()
    send_id = scenario.create_expanded_send()
    with transaction():
        for external_id, states in OUTCOMES.items():
            for channel, state in zip(("email", "sms"), states, strict=True):
                _set_state(external_id, channel, state)
    finish(send_id)
    return send_id


def _set_state(external_id: str, channel: str, state: str | None, at_ms: int = 1_000) -> None:
    ids = select(Communication.id).join(Account).where(Account.external_id == external_id)
    of_person = (Delivery.communication_id.in_(ids), Delivery.channel == channel)
    if state is None:
        db.session.query(Delivery).where(*of_person).delete(synchronize_session=False)
    else:
        db.session.execute(update(Delivery).where(*of_person).values(state=state, state_changed_at_ms=at_ms))


def finish(send_id: int) -> None:
    with transaction() as session:
        session.execute(update(Send).where(Send.id == send_id).values(state="done", finished_at_ms=now_ms()))


def recipients(send_id: int) -> list[str]:
    """The account numbers of the audience of a send."""
    db.session.remove()
    stored: dict[str, Any] = db.session.get_one(Send, send_id).audience
    return [recipient.external_id for recipient in audience.recipients_after(stored, 0, 100)]


def start(send_id: int, outcome: RoundOutcome = RoundOutcome.UNREACHED, number: int = 1) -> int:
    return start_round(send_id, outcome, number, 1, now_ms())


def test_only_people_that_nothing_can_reach_any_more_are_listed(send_id: int) -> None:
    page = rounds.unreached_page(send_id, now_ms(), Keyset((Communication.id,), 50))
    assert [row.account.external_id for row in page.rows] == UNREACHED
    assert rounds.count_members(send_id, RoundOutcome.UNREACHED, now_ms()) == 3


def test_export_continues_after_each_batch(send_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "_BATCH_SIZE", 2)
    first = rounds.unreached_after(send_id, now_ms(), 0)
    second = rounds.unreached_after(send_id, now_ms(), first[-1].id)
    assert [row.account.external_id for row in (*first, *second)] == UNREACHED
    assert rounds.unreached_after(send_id, now_ms(), second[-1].id) == []


def test_round_goes_to_exactly_the_people_not_reached(send_id: int) -> None:
    round_id = start(send_id)
    assert recipients(round_id) == UNREACHED
    fan_out.fan_out_send(round_id, now_ms)
    assert db.session.get_one(Send, round_id).recipients == 3


def test_later_events_do_not_change_a_round(send_id: int) -> None:
    round_id = start(send_id)
    with transaction():
        _set_state("P-4", "sms", "failed", now_ms() + 60_000)
    assert recipients(round_id) == UNREACHED
    assert rounds.count_members(send_id, RoundOutcome.UNREACHED, now_ms() + 120_000) == 4


def test_second_click_leads_to_the_same_round(send_id: int) -> None:
    assert start(send_id) == start(send_id)
    rows = next_rounds(db.session.get_one(Send, send_id), now_ms())
    assert [(row.number, row.problem.partition(",")[0]) for row in rows] == [(2, "Send 2")]


def send_round(send_id: int, outcome: RoundOutcome = RoundOutcome.UNREACHED) -> int:
    """The first round, with all its messages waiting."""
    round_id = start(send_id, outcome)
    fan_out.fan_out_send(round_id, now_ms)
    return round_id


def set_round_states(round_id: int, email: str, text: str) -> None:
    """End the round with the same states for everyone."""
    with transaction() as session:
        for channel, state in (("email", email), ("sms", text)):
            of_round = (Delivery.send_id == round_id, Delivery.channel == channel)
            session.execute(update(Delivery).where(*of_round).values(state=state, state_changed_at_ms=1_000))
    finish(round_id)


def next_numbers(send_id: int) -> list[tuple[str, int]]:
    """The recipients of the next rounds."""
    db.session.remove()
    send = db.session.get_one(Send, send_id)
    return [(row.outcome.value, row.recipients) for row in next_rounds(send, now_ms())]


def age(*send_ids: int) -> None:
    """Let the sends have begun so long ago that people may be reminded."""
    days_ago_ms = now_ms() - UNOPENED_AFTER_DAYS * DAY_MS
    with transaction() as session:
        session.execute(update(Send).where(Send.id.in_(send_ids)).values(created_at_ms=days_ago_ms, starts_at_ms=0))


def test_second_round_is_a_send_of_its_own(send_id: int) -> None:
    first = send_round(send_id)
    set_round_states(first, "rejected", "failed")
    second = start(send_id, number=2)
    assert first != second
    assert recipients(second) == UNREACHED
    finish(second)
    with pytest.raises(ActionRefused, match="does not follow"):
        start(send_id, number=4)


@pytest.mark.parametrize(("email", "text"), [("handed_off", "undelivered"), ("rejected", "sent")])
def test_second_round_leaves_out_recipients_that_the_first_reached_or_still_may(
    send_id: int, email: str, text: str
) -> None:
    set_round_states(send_round(send_id), email, text)
    assert next_numbers(send_id) == [("unreached", 0)]
    assert rounds.unreached_after(send_id, now_ms(), 0) == []
    with pytest.raises(ActionRefused, match="Nobody is left in this round"):
        start(send_id, number=2)


def test_canceled_round_does_not_leave_its_people_out(send_id: int) -> None:
    set_round_states(send_round(send_id), "canceled", "canceled")
    assert next_numbers(send_id) == [("unreached", 3)]


@pytest.mark.parametrize("state", ["awaiting_approval", "queued", "sending"])
def test_round_waits_for_the_end_of_an_earlier_one(send_id: int, state: str) -> None:
    first = send_round(send_id)
    with transaction() as session:
        session.execute(update(Send).where(Send.id == first).values(state=state))
    for outcome in RoundOutcome:
        with pytest.raises(ActionRefused, match=f"Send {first}, an earlier round, has not ended yet"):
            start(send_id, outcome, 2)


def test_round_waits_for_the_end_of_the_send(send_id: int) -> None:
    with transaction() as session:
        session.execute(update(Send).where(Send.id == send_id).values(state="sending"))
    assert next_numbers(send_id) == []
    with pytest.raises(ActionRefused, match="This send has not ended yet"):
        start(send_id)


def test_round_of_a_round_is_made_from_the_first_send(send_id: int) -> None:
    first = send_round(send_id)
    set_round_states(first, "rejected", "failed")
    assert next_numbers(first) == []
    with pytest.raises(ActionRefused, match=f"a round of send {send_id}"):
        start(first)


def test_rounds_of_both_kinds_are_numbered_together(send_id: int) -> None:
    age(send_id)
    finish(start(send_id))
    with pytest.raises(ActionRefused, match="does not follow"):
        start(send_id, RoundOutcome.UNOPENED)


def test_reminder_waits_for_some_days_after_the_send_and_its_rounds(send_id: int) -> None:
    with pytest.raises(ActionRefused, match="at most every 3 days"):
        start(send_id, RoundOutcome.UNOPENED)
    age(send_id)
    first = send_round(send_id, RoundOutcome.UNOPENED)
    set_round_states(first, "handed_off", "delivered")
    with pytest.raises(ActionRefused, match="at most every 3 days"):
        start(send_id, RoundOutcome.UNOPENED, 2)
    age(first)
    assert start(send_id, RoundOutcome.UNOPENED, 2)


def test_reminder_leaves_out_whoever_opened_an_earlier_one_or_whose_message_waits(send_id: int) -> None:
    with transaction():
        _set_state("P-0", "sms", "paused")
    age(send_id)
    first = send_round(send_id, RoundOutcome.UNOPENED)
    assert recipients(first) == [f"P-{number}" for number in range(1, 8) if number != 5]
    set_round_states(first, "handed_off", "delivered")
    with transaction() as session:
        opened = select(Account.id).where(Account.external_id == "P-1")
        in_round = (Communication.send_id == first, Communication.account_id.in_(opened))
        session.execute(update(Communication).where(*in_round).values(read_at_ms=1_000))
    age(first)
    assert recipients(start(send_id, RoundOutcome.UNOPENED, 2)) == ["P-2", "P-3", "P-4", "P-6", "P-7"]


def test_round_without_anybody_is_refused(send_id: int) -> None:
    with transaction():
        for external_id in UNREACHED:
            _set_state(external_id, "email", "handed_off")
    with pytest.raises(ActionRefused, match="Nobody is left in this round"):
        start(send_id)


def test_people_who_have_not_opened_it_are_asked_after_some_days(send_id: int) -> None:
    with transaction() as session:
        opened = select(Account.id).where(Account.external_id.in_(["P-0", "P-3"]))
        session.execute(update(Communication).where(Communication.account_id.in_(opened)).values(read_at_ms=1_000))
        marked = update(Communication).where(Communication.account_id.not_in(opened))
        session.execute(marked.values(read_at_ms=1_000, is_only_marked_read=True))
    send = db.session.get_one(Send, send_id)
    before_ms = send.begins_at_ms + UNOPENED_AFTER_DAYS * DAY_MS - 1
    assert [row.outcome for row in next_rounds(send, before_ms)] == ["unreached"]
    assert [(row.outcome, row.recipients) for row in next_rounds(send, before_ms + 1)][1] == ("unopened", 5)
    age(send_id)
    round_id = start(send_id, RoundOutcome.UNOPENED)
    with transaction() as session:
        session.execute(
            update(Communication)
            .where(Communication.opened_at_ms.is_(None))
            .values(read_at_ms=now_ms() + 60_000, is_only_marked_read=False)
        )
    assert recipients(round_id) == ["P-1", "P-2", "P-4", "P-6", "P-7"]


def test_send_that_has_just_begun_has_no_round(app: Flask) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(1)
    scenario.add_template()
    send = db.session.get_one(Send, scenario.create_expanded_send())
    send.state = "fanning_out"
    assert next_rounds(send, now_ms()) == []


def test_archived_send_leaves_the_list_and_returns(send_id: int) -> None:
    send_control.archive_send(send_id, 1, now_ms())
    assert db.session.get_one(Send, send_id).archived_at_ms
    send_control.unarchive_send(send_id, 1, now_ms())
    assert db.session.get_one(Send, send_id).archived_at_ms is None
