"""Opt-ins that come with imported accounts: evidence always, texts only where nothing that was said is against it."""

import handsets
import pytest
import world
from sqlalchemy import select

from portal.actions import accounts, consent, phones
from portal.extensions import db
from portal.models.account import Account
from portal.models.consent import ConsentEvent
from portal.models.phone import PhoneNumber

pytestmark = pytest.mark.usefixtures("app")

NOW = world.now_ms()
DAY_MS = 86_400_000
NUMBER = world.number(0)


@pytest.fixture(autouse=True)
def gateway(app: object) -> None:
    world.open_gateway()


def bring(*rows: tuple[str, str, str]) -> None:
    """Accounts with a number and the day they opted in on paper."""
    lines = [
        f"{external_id},Somebody,x@example.org,Practitioner,user,UTC,{number},{day},form"
        for external_id, number, day in rows
    ]
    accounts.import_accounts("\n".join([world.HEADER, *lines]).encode(), NOW)


def evidence() -> list[tuple[str, str]]:
    """Whose paper it is, and what it did."""
    query = select(Account.external_id, ConsentEvent.kind).join(Account, Account.id == ConsentEvent.account_id)
    rows = db.session.execute(query.where(ConsentEvent.source == "import").order_by(ConsentEvent.id))
    return [(row.external_id, row.kind) for row in rows]


def test_the_tables_hold_what_the_ledger_derives() -> None:
    handsets.says("STOP", world.number(1), NOW - DAY_MS)
    handsets.shared(world.number(2), NOW - 60 * DAY_MS, "H")
    handsets.says("START", world.number(2), NOW - 30 * DAY_MS)
    bring(("P", NUMBER, "2026-01-02"), ("Q", NUMBER, "2026-03-04"), ("R", NUMBER, "2026-02-03"))
    bring(("S", world.number(1), "2026-01-02"), ("T", world.number(2), "2026-01-02"), ("U", NUMBER, "2026-05-06"))
    assert evidence() == [
        ("P", "evidence"),
        ("Q", "opt_in"),
        ("R", "evidence"),
        ("S", "evidence"),
        ("T", "evidence"),
        ("U", "evidence"),
    ]
    for number, holder in ((NUMBER, "Q"), (world.number(1), None), (world.number(2), "H")):
        assert handsets.standing(number)[0] == holder
        assert_derived(number)


def test_paper_older_than_what_the_handset_said_since_is_kept_as_evidence_only() -> None:
    """A START answered another account's invitation, and that account is gone: the texts are nobody's."""
    (other,) = handsets.shared(NUMBER, NOW - 60 * DAY_MS, "A")
    handsets.invite(other, NUMBER, NOW - 40 * DAY_MS)
    handsets.says("START", NUMBER, NOW - 30 * DAY_MS)
    phones.remove_number(handsets.phone_id(other, NUMBER), other, handsets.asker(other), NOW - 20 * DAY_MS)
    bring(("B", NUMBER, "2026-01-02"))
    assert evidence() == [("B", "evidence")]
    assert handsets.standing(NUMBER) == (None, False, False)
    assert_derived(NUMBER)


def test_paper_newer_than_all_that_was_said_brings_the_texts() -> None:
    (other,) = handsets.shared(NUMBER, NOW - 60 * DAY_MS, "A")
    handsets.says("START", NUMBER, NOW - 30 * DAY_MS)
    phones.remove_number(handsets.phone_id(other, NUMBER), other, handsets.asker(other), NOW - 20 * DAY_MS)
    bring(("B", NUMBER, handsets.iso(NOW - 10 * DAY_MS)))
    assert evidence() == [("B", "opt_in")]
    assert handsets.standing(NUMBER) == ("B", False, False)
    assert_derived(NUMBER)


def assert_derived(number: str) -> None:
    holder = consent.standing_of(number).holder
    held = select(PhoneNumber.account_id).where(PhoneNumber.number == number, PhoneNumber.holds_sms == True)  # noqa: E712
    assert db.session.scalars(held).one_or_none() == holder
