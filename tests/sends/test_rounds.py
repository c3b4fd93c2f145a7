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
    assert [row.number for row in next_rounds(db.session.get_one(Send, send_id), now_ms())] == [2]


def test_second_round_is_a_send_of_its_own(send_id: int) -> None:
    first, second = start(send_id), start(send_id, number=2)
    assert first != second
    with pytest.raises(ActionRefused, match="does not follow"):
        start(send_id, number=4)


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
    send = db.session.get_one(Send, send_id)
    before_ms = send.begins_at_ms + UNOPENED_AFTER_DAYS * DAY_MS - 1
    assert [row.outcome for row in next_rounds(send, before_ms)] == ["unreached"]
    assert [(row.outcome, row.recipients) for row in next_rounds(send, before_ms + 1)][1] == ("unopened", 6)
    round_id = start(send_id, RoundOutcome.UNOPENED)
    with transaction() as session:
        session.execute(
            update(Communication).where(Communication.read_at_ms.is_(None)).values(read_at_ms=now_ms() + 60_000)
        )
    assert recipients(round_id) == ["P-1", "P-2", "P-4", "P-5", "P-6", "P-7"]


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
