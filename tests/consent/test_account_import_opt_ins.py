"""Opt-ins of imported accounts: always kept as evidence, and texts only if no later event is against it."""

import pytest
from sqlalchemy import func, select, text

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent import account_import, account_phones, recording
from portal.consent.tables.ledger import ConsentEvent
from portal.core.extensions import db
from tests.support import inbound_helpers, scenario

pytestmark = pytest.mark.usefixtures("app")

NOW = scenario.now_ms()
DAY_MS = 86_400_000
NUMBER = scenario.phone_number(0)


@pytest.fixture(autouse=True)
def gateway(app: object) -> None:
    scenario.configure_gateway()


def import_opted_in_accounts(*rows: tuple[str, str, str]) -> None:
    """Accounts with a number and the day they opted in on paper."""
    lines = [
        f"{external_id},Somebody,x@example.org,Practitioner,user,UTC,{number},{day},form"
        for external_id, number, day in rows
    ]
    account_import.import_accounts("\n".join([scenario.ACCOUNT_CSV_HEADER, *lines]).encode(), NOW)


def imported_opt_ins() -> list[tuple[str, str]]:
    """Whose paper it is, and what it did."""
    query = select(Account.external_id, ConsentEvent.kind).join(Account, Account.id == ConsentEvent.account_id)
    rows = db.session.execute(query.where(ConsentEvent.source == "import").order_by(ConsentEvent.id))
    return [(row.external_id, row.kind) for row in rows]


def test_stored_state_matches_the_ledger() -> None:
    inbound_helpers.receive_text("STOP", scenario.phone_number(1), NOW - DAY_MS)
    inbound_helpers.create_sharing_accounts(scenario.phone_number(2), NOW - 60 * DAY_MS, "H")
    inbound_helpers.receive_text("START", scenario.phone_number(2), NOW - 30 * DAY_MS)
    import_opted_in_accounts(("P", NUMBER, "2026-01-02"), ("Q", NUMBER, "2026-03-04"), ("R", NUMBER, "2026-02-03"))
    import_opted_in_accounts(
        ("S", scenario.phone_number(1), "2026-01-02"),
        ("T", scenario.phone_number(2), "2026-01-02"),
        ("U", NUMBER, "2026-05-06"),
    )
    assert imported_opt_ins() == [
        ("P", "evidence"),
        ("Q", "opt_in"),
        ("R", "evidence"),
        ("S", "evidence"),
        ("T", "evidence"),
        ("U", "evidence"),
    ]
    for phone_number, holder in ((NUMBER, "Q"), (scenario.phone_number(1), None), (scenario.phone_number(2), "H")):
        assert inbound_helpers.stored_consent_state(phone_number)[0] == holder
        assert_state_matches_ledger(phone_number)


def test_opt_in_older_than_later_replies_is_evidence_only() -> None:
    """A START answered another account's invitation, and that account is gone: the texts are nobody's."""
    (other,) = inbound_helpers.create_sharing_accounts(NUMBER, NOW - 60 * DAY_MS, "A")
    inbound_helpers.invite(other, NUMBER, NOW - 40 * DAY_MS)
    inbound_helpers.receive_text("START", NUMBER, NOW - 30 * DAY_MS)
    account_phones.remove_number(
        inbound_helpers.phone_id(other, NUMBER), other, inbound_helpers.make_actor(other), NOW - 20 * DAY_MS
    )
    import_opted_in_accounts(("B", NUMBER, "2026-01-02"))
    assert imported_opt_ins() == [("B", "evidence")]
    assert inbound_helpers.stored_consent_state(NUMBER) == (None, False, False)
    assert_state_matches_ledger(NUMBER)


def test_opt_in_newer_than_all_replies_enables_texts() -> None:
    (other,) = inbound_helpers.create_sharing_accounts(NUMBER, NOW - 60 * DAY_MS, "A")
    inbound_helpers.receive_text("START", NUMBER, NOW - 30 * DAY_MS)
    account_phones.remove_number(
        inbound_helpers.phone_id(other, NUMBER), other, inbound_helpers.make_actor(other), NOW - 20 * DAY_MS
    )
    import_opted_in_accounts(("B", NUMBER, inbound_helpers.iso_time(NOW - 10 * DAY_MS)))
    assert imported_opt_ins() == [("B", "opt_in")]
    assert inbound_helpers.stored_consent_state(NUMBER) == ("B", False, False)
    assert_state_matches_ledger(NUMBER)


def assert_state_matches_ledger(number: str) -> None:
    holder = recording.consent_state_of(number).recipient_id
    held = select(PhoneNumber.account_id).where(PhoneNumber.number == number, PhoneNumber.receives_sms == True)  # noqa: E712
    assert db.session.scalars(held).one_or_none() == holder


def test_postgresql_plans_for_imported_accounts_at_once() -> None:
    rows = [(f"P-{index}", scenario.phone_number(index), "2026-01-02") for index in range(300)]
    import_opted_in_accounts(*rows)
    if db.engine.name == "postgresql":
        query = text("SELECT relname, reltuples FROM pg_class WHERE relname IN ('account', 'phone_number')")
        assert dict(db.session.execute(query).all()) == {"account": 300, "phone_number": 300}
    assert db.session.scalar(select(func.count(PhoneNumber.id))) == 300
