"""Searching communications on both databases: what is found, page by page, however few candidates a round has."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.core.extensions import db
from portal.core.keyset import Keyset, newest_first
from portal.core.rules.delivery_status import NO_FURTHER_CHECK_MS
from portal.messages.tables.communications import Communication, Delivery
from portal.records import search_indexing
from portal.records.rules.search_line import Viewer, parse_search_line
from portal.records.tables import communication_search, word_search
from portal.records.tables.communication_search import search_page
from portal.records.tables.search_conditions import matching
from portal.records.tables.search_index import SearchSubject
from portal.sends.tables.sends import Send
from tests.support import scenario

PEOPLE = {
    "P-1": ("Óscar O’Neill", "oscar@example.org"),
    "P-2": ("Wo Li", "wo@example.org"),
    "P-3": ('Ann "Quote" 100%', "ann_b@example.org"),
    "P-4": ("Mona Wolf", "mona@straße.example"),
}
VIEWER = Viewer("America/Chicago", "US", scenario.now_ms())
DAY_MS = 86_400_000
_OLD_MS = VIEWER.now_ms - 30 * DAY_MS


@pytest.fixture
def communications(app: Flask) -> dict[int, tuple[str, str]]:
    """Three sends to four people, the second with personal subjects: account number and key of the template by id."""
    for external_id, (name, email) in PEOPLE.items():
        create_account(NewAccount(external_id, name, email, "Practitioner"), _OLD_MS)
    oscar = find_by_external_id("P-1")
    assert oscar
    db.session.add(PhoneNumber(account_id=oscar.id, number="+12025550101", created_at_ms=1))
    db.session.commit()
    for key, subject in (("due", "Renewal is due"), ("personal", "Notice for {{ name }}"), ("news", "Nouvelles d’été")):
        scenario.add_template(key, subject=subject, name=f"The {key}")
        scenario.create_expanded_send(key)
    _set_states()
    search_indexing.index_new(lambda: scenario.now_ms() + DAY_MS)
    query = select(Communication.id, Account.external_id, Communication.send_id).join(Communication.account)
    keys = {1: "due", 2: "personal", 3: "news"}
    rows = db.session.execute(query.order_by(Communication.id))
    return {row.id: (row.external_id, keys[row.send_id or 0]) for row in rows}


def _set_states() -> None:
    """Of the first send: all is old, and the text to P-1 failed. A text of the last has had no receipt."""
    old = update(Communication).where(Communication.send_id == 1).values(created_at_ms=_OLD_MS)
    db.session.execute(old)
    failed = {"state": "undelivered", "error_code": "30003", "address": "+12025550101"}
    for send_id, values in (
        (1, failed),
        (3, {"state": "sent", "due_at_ms": NO_FURTHER_CHECK_MS, "address": "+12025550199"}),
    ):
        texts = select(Delivery.id).join(Communication).join(Account)
        texts = texts.where(Delivery.channel == "sms", Delivery.send_id == send_id, Account.external_id == "P-1")
        db.session.execute(update(Delivery).where(Delivery.id == db.session.scalars(texts).one()).values(**values))
    db.session.commit()


EVERYBODY = {"P-1", "P-2", "P-3", "P-4"}
EXPECTED: dict[str, tuple[set[str], set[str]]] = {
    "": (EVERYBODY, {"due", "personal", "news"}),
    "oscar": ({"P-1"}, {"due", "personal", "news"}),
    "SCAR o'neill": ({"P-1"}, {"due", "personal", "news"}),
    '"oscar o"': ({"P-1"}, {"due", "personal", "news"}),
    "example.org": ({"P-1", "P-2", "P-3"}, {"due", "personal", "news"}),
    "strasse": ({"P-4"}, {"due", "personal", "news"}),
    "p-3": ({"P-3"}, {"due", "personal", "news"}),
    "wo": ({"P-2"}, {"due", "personal", "news"}),
    "100%": ({"P-3"}, {"due", "personal", "news"}),
    "ann_b": ({"P-3"}, {"due", "personal", "news"}),
    "annxb": (set(), set()),
    "renewal": (EVERYBODY, {"due"}),
    "ETE oscar": ({"P-1"}, {"news"}),
    '"notice for mona"': ({"P-4"}, {"personal"}),
    "to:notice": (set(), set()),
    "to:wolf notice": ({"P-4"}, {"personal"}),
    "nothing-at-all": (set(), set()),
    "%": (set(), set()),
    "'": (set(), set()),
    "😀😀😀": (set(), set()),
    "2025550101": ({"P-1"}, {"due", "personal", "news"}),
    "(202) 555 0101": ({"P-1"}, {"due", "personal", "news"}),
    "number:2025550101": ({"P-1"}, {"due"}),
    "number:2025550199": ({"P-1"}, {"news"}),
    "number:2025550177": (set(), set()),
    "template:due": (EVERYBODY, {"due"}),
    'template:"the NEWS" template:due': (EVERYBODY, {"due", "news"}),
    "template:none": (set(), set()),
    "send:2": (EVERYBODY, {"personal"}),
    "send:2 to:wolf": ({"P-4"}, {"personal"}),
    "send:99": (set(), set()),
    "status:failed": ({"P-1"}, {"due"}),
    "status:failed send:1": ({"P-1"}, {"due"}),
    "status:failed send:2": (set(), set()),
    "status:failed channel:email": (set(), set()),
    "status:failed code:30003": ({"P-1"}, {"due"}),
    "code:30003 to:wolf": (set(), set()),
    "code:30004": (set(), set()),
    "status:no_receipt": ({"P-1"}, {"news"}),
    "status:accepted": (set(), set()),
    "status:waiting channel:email template:due": (EVERYBODY, {"due"}),
    "before:today template:due": (EVERYBODY, {"due"}),
    "after:yesterday": (EVERYBODY, {"personal", "news"}),
    "before:yesterday status:failed": ({"P-1"}, {"due"}),
    "after:yesterday code:30003": (set(), set()),
}


def ids_on_pages(line: str, descending: bool, size: int = 3) -> Iterator[int]:
    query, keyset = parse_search_line(line, VIEWER), Keyset((Communication.id,), size, descending)
    while True:
        page = search_page(query, keyset, True)
        yield from (row.id for row in page.rows)
        if not page.has_next:
            return
        keyset = replace(keyset, after_id=page.next_after or page.rows[-1].id)


@pytest.fixture(params=["usual", "tiny"])
def limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits as they are, and so small that every search goes through rounds, many matches and an early end."""
    if request.param == "tiny":
        for name, value in {"_FIRST_CANDIDATES": 1, "_ROUNDS": (2, 1)}.items():
            monkeypatch.setattr(communication_search, name, value)
        monkeypatch.setattr(word_search, "MAX_ACCOUNTS", 1)
        monkeypatch.setattr(word_search, "MAX_SENDS", 1)
        monkeypatch.setattr(communication_search, "MAX_SENDS", 1)


def test_search_finds_all_that_matches(limits: None, communications: dict[int, tuple[str, str]]) -> None:
    for line, (people, templates) in EXPECTED.items():
        expected = [id for id, (person, key) in communications.items() if person in people and key in templates]
        assert list(ids_on_pages(line, descending=False)) == expected, line
        assert list(ids_on_pages(line, descending=True)) == expected[::-1], line
        every = db.session.scalars(matching(parse_search_line(line, VIEWER), True).order_by(Communication.id))
        assert [row.id for row in every] == expected, line


def test_pages_lead_back(communications: dict[int, tuple[str, str]]) -> None:
    query, ids = parse_search_line("example.org", VIEWER), list(ids_on_pages("example.org", True))
    page = search_page(query, replace(newest_first(Communication.id, 3), before_id=ids[6]), True)
    assert ([row.id for row in page.rows], page.has_previous, page.has_next) == (ids[3:6], True, True)
    page = search_page(query, replace(newest_first(Communication.id, 3), before_id=ids[3]), True)
    assert ([row.id for row in page.rows], page.has_previous) == (ids[:3], False)


def test_cursor_beyond_the_end_leads_to_the_first_page(communications: dict[int, tuple[str, str]]) -> None:
    newest = newest_first(Communication.id, 3)
    for keyset in (replace(newest, after_id=1), replace(newest, before_id=2**60), replace(newest, after_id=0)):
        page = search_page(parse_search_line("", VIEWER), keyset, True)
        assert [row.id for row in page.rows] == sorted(communications)[:-4:-1]
    beyond = search_page(parse_search_line("oscar", VIEWER), replace(newest, after_id=1), True)
    assert (beyond.rows, beyond.has_previous, beyond.has_next) == ([], True, False), "an early end may lead there"


def test_without_texts_a_status_is_that_of_the_email(communications: dict[int, tuple[str, str]]) -> None:
    def found(line: str) -> int:
        return len(search_page(parse_search_line(line, VIEWER), newest_first(Communication.id, 99), False).rows)

    assert (found("status:failed"), found("status:failed channel:text"), found("status:waiting")) == (0, 0, 12)


def test_changed_names_are_found_before_they_are_indexed(communications: dict[int, tuple[str, str]]) -> None:
    account = find_by_external_id("P-2")
    assert account
    account.name = "Zoë Quartz"
    db.session.commit()
    assert len(list(ids_on_pages("quartz", True))) == 3
    search_indexing.index_new(scenario.now_ms)
    assert len(list(ids_on_pages("quartz", True))) == 3
    assert list(ids_on_pages('to:"wo li"', True)) == []


def test_subject_is_kept_once_for_a_send(communications: dict[int, tuple[str, str]]) -> None:
    rows = {(row.send_id, row.communication_id, row.folded) for row in db.session.scalars(select(SearchSubject))}
    of_sends = {(send_id, folded) for send_id, communication_id, folded in rows if communication_id is None}
    assert of_sends == {(1, "renewal is due"), (3, "nouvelles d'ete")}
    assert len(rows) == 2 + len(PEOPLE)


def test_subjects_go_with_their_communications(communications: dict[int, tuple[str, str]]) -> None:
    id = next(ids_on_pages('"notice for mona"', True))
    db.session.execute(Delivery.__table__.delete().where(Delivery.communication_id == id))  # type: ignore[attr-defined]
    db.session.execute(Communication.__table__.delete().where(Communication.id == id))  # type: ignore[attr-defined]
    db.session.commit()
    search_indexing.index_new(scenario.now_ms)
    assert list(ids_on_pages('"notice for mona"', True)) == []
    assert db.session.scalar(select(SearchSubject.id).where(SearchSubject.communication_id == id)) is None


def test_indexing_twice_changes_nothing(communications: dict[int, tuple[str, str]]) -> None:
    def rows() -> list[int]:
        return list(db.session.scalars(select(SearchSubject.id)))

    before = rows()
    search_indexing.index_new(lambda: scenario.now_ms() + DAY_MS)
    assert rows() == before
    assert db.session.get_one(Send, 1).id == 1
