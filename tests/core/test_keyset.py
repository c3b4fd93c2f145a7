"""Keyset paging on both databases: order, pages in both directions, and the indexes that serve each order."""

import re
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any

import pytest
from sqlalchemy import Select, select, text

from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.tables.accounts import Account
from portal.consent.tables.ledger import ConsentEvent
from portal.content.tables.templates import Template
from portal.core.extensions import db
from portal.core.keyset import Keyset, Slice, SortColumns, newest_first, order_by
from portal.messages.tables.communications import Communication
from portal.sends.tables.sends import Send
from portal.web.admin import consent_pages, template_pages
from portal.web.admin.accounts import account_pages
from portal.web.admin.communications import search_pages
from portal.web.admin.sends import send_pages
from portal.web.paging import Sort
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
BY_TYPE: SortColumns = (Account.account_type, Account.id)
TYPES = ("Provider", "Practitioner", "Provider", "Practitioner", "Practitioner", "Provider", "Provider")
SORTS: dict[Any, tuple[Sort, ...]] = {
    Account: account_pages._SORTS[1:],
    Communication: search_pages.SORTS,
    ConsentEvent: consent_pages._SORTS,
    Send: send_pages._SORTS,
    Template: template_pages._SORTS[1:],
}
"""The sorts that lists offer. The first of accounts and templates is the order that has no index."""


@pytest.fixture
def account_ids() -> dict[int, str]:
    """The types of seven accounts by id, so that each type has ties."""
    return {
        create_account(NewAccount(f"P-{index}", "Somebody", "x@example.org", name), scenario.now_ms()): name
        for index, name in enumerate(TYPES)
    }


def fetch_ids(keyset: Keyset) -> list[int]:
    accounts: list[Account] = keyset.fetch(select(Account)).rows
    return [account.id for account in accounts]


def pages_onwards(descending: bool) -> Iterator[list[int]]:
    after_id, has_next = None, True
    while has_next:
        page: Slice[Account] = Keyset(BY_TYPE, 2, descending, after_id).fetch(select(Account))
        yield [account.id for account in page.rows]
        after_id, has_next = page.rows[-1].id, page.has_next


@pytest.mark.parametrize("descending", [False, True])
def test_pages_onwards_have_every_row_once_in_order(account_ids: dict[int, str], descending: bool) -> None:
    expected = sorted(account_ids, key=lambda id: (account_ids[id], id), reverse=descending)
    assert list(chain.from_iterable(pages_onwards(descending))) == expected


@pytest.mark.parametrize("descending", [False, True])
def test_pages_backwards_are_those_onwards(account_ids: dict[int, str], descending: bool) -> None:
    pages = list(pages_onwards(descending))
    for previous, page in pairwise(pages):
        assert fetch_ids(Keyset(BY_TYPE, 2, descending, before_id=page[0])) == previous


def test_page_knows_whether_others_precede_or_follow(account_ids: dict[int, str]) -> None:
    ordered = fetch_ids(Keyset(BY_TYPE, 99))
    pages = {
        "first": Keyset(BY_TYPE, 2),
        "middle": Keyset(BY_TYPE, 2, after_id=ordered[1]),
        "back to the middle": Keyset(BY_TYPE, 2, before_id=ordered[4]),
        "back to the first": Keyset(BY_TYPE, 2, before_id=ordered[2]),
        "last": Keyset(BY_TYPE, 2, after_id=ordered[5]),
    }
    slices: dict[str, Slice[Account]] = {name: keyset.fetch(select(Account)) for name, keyset in pages.items()}
    assert {name: (page.has_previous, page.has_next) for name, page in slices.items()} == {
        "first": (False, True),
        "middle": (True, True),
        "back to the middle": (True, True),
        "back to the first": (False, True),
        "last": (True, False),
    }


@pytest.mark.parametrize("columns", [BY_TYPE, (Account.id,)])
def test_cursor_without_rows_beyond_it_leads_to_the_first_page(
    account_ids: dict[int, str], columns: SortColumns
) -> None:
    first_page = fetch_ids(Keyset(columns, 3))
    assert fetch_ids(Keyset(columns, 3, after_id=10**17)) == first_page
    assert fetch_ids(Keyset(columns, 3, before_id=first_page[0])) == first_page


def test_newest_first_is_by_descending_id(account_ids: dict[int, str]) -> None:
    assert fetch_ids(newest_first(Account.id, 3)) == sorted(account_ids, reverse=True)[:3]


@pytest.mark.parametrize(
    ("table", "sort"),
    [
        pytest.param(table, sort, id=f"{table.__tablename__} by {sort.name}")
        for table, sorts in SORTS.items()
        for sort in sorts
    ],
)
@pytest.mark.parametrize("descending", [False, True])
def test_index_serves_every_sort_that_a_list_offers(table: Any, sort: Sort, descending: bool) -> None:
    query = select(table).order_by(*order_by(sort.columns, descending)).limit(50)
    plan = query_plan(query)
    assert not re.search(r"USE TEMP B-TREE FOR ORDER BY|^\W*Sort$", plan, re.MULTILINE), plan
    assert "INDEX" in plan.upper() or sort.columns == (table.id,)


def query_plan(query: Select[Any]) -> str:
    """What the database would do with a long table: PostgreSQL would simply read and sort an empty one."""
    is_sqlite = db.engine.name == "sqlite"
    if not is_sqlite:
        db.session.execute(text("SET LOCAL enable_seqscan = off"))
        db.session.execute(text("SET LOCAL enable_sort = off"))
    statement = query.compile(db.engine, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN (COSTS OFF)"
    return "\n".join(str(row[-1]) for row in db.session.execute(text(f"{explain} {statement}")))
