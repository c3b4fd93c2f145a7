"""Lists that can be sorted: the headings, the addresses of orders and pages, and invalid ones."""

import re
from itertools import chain

import pytest
from flask import Flask

from portal.accounts.account_management import NewAccount, create_account
from tests.support.html_checks import find_page_problems
from tests.support.web_client import NOW_MS, WebClient

ACCOUNTS = "/Admin/Accounts"
LISTS = {
    ACCOUNTS: ("-number", "type", "-email"),
    "/Admin/Communications": ("sent",),
    "/Admin/Sends": ("started", "-status", "status"),
    "/Admin/Automations/Templates": ("key", "-key"),
    "/Admin/Consent": ("when", "number", "-number"),
}
CURSORS = ("email.3", "-number.3", "3", "number.", "number.0", "number.-1", "number.x", "number.999", "\x00", "." * 99)
"""Not of the order by account number, or of no account."""
NUMBERS = ["A-1", "P-1", "P-2", "S-1", "V-1", "V-2"]


def account_numbers(page: str) -> list[str]:
    return re.findall(r'data-label="Account number">([^<]*)<', page)


def link(page: str, rel: str) -> str:
    match = re.search(rf'href="([^"]+)" rel="{rel}"', page)
    return match[1].replace("&amp;", "&") if match else ""


def heading(page: str, label: str) -> str:
    cells: list[str] = re.findall(r"<th scope=\"col\".*?</th>", page, re.DOTALL)
    return next(cell for cell in cells if label in cell)


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.web.admin.accounts.account_pages._PAGE_SIZE", 2)


def test_accounts_are_sorted_by_their_numbers(admin: WebClient) -> None:
    assert account_numbers(admin.get(f"{ACCOUNTS}?sort=number").text) == NUMBERS
    assert account_numbers(admin.get(f"{ACCOUNTS}?sort=-number").text) == NUMBERS[::-1]


@pytest.mark.parametrize(("path", "order"), [(path, order) for path, orders in LISTS.items() for order in orders])
def test_every_order_of_a_list_is_a_valid_page(
    admin: WebClient, sms_enabled: None, sent_communications: dict[str, int], path: str, order: str
) -> None:
    page = admin.get(f"{path}?sort={order}").text
    assert find_page_problems(page) == []
    assert page.count("aria-sort=") == 1


def test_heading_of_the_current_order_leads_to_the_other_direction(admin: WebClient) -> None:
    current = heading(admin.get(f"{ACCOUNTS}?sort=number").text, "Account number")
    assert 'aria-sort="ascending"' in current
    assert f'href="{ACCOUNTS}?sort=-number"' in current
    assert "↑" in current


def test_heading_of_the_default_order_leads_to_the_plain_address(admin: WebClient) -> None:
    page = admin.get(f"{ACCOUNTS}?sort=number").text
    assert f'href="{ACCOUNTS}"' in heading(page, "Name")
    assert "<a" not in heading(admin.get(ACCOUNTS).text, "Name"), "the order that no index serves has one direction"


def test_headings_keep_the_filters(admin: WebClient) -> None:
    page = admin.get(f"{ACCOUNTS}?q=example.org&type=Practitioner&sort=number&after=number.1").text
    assert f'href="{ACCOUNTS}?q=example.org&amp;type=Practitioner&amp;sort=email"' in heading(page, "Email")


def test_filters_keep_the_order(admin: WebClient) -> None:
    assert '<input type="hidden" name="sort" value="-email">' in admin.get(f"{ACCOUNTS}?sort=-email").text
    assert 'name="sort"' not in admin.get(ACCOUNTS).text


@pytest.mark.usefixtures("short_pages")
@pytest.mark.parametrize("order", ["type", "-type", "number", "-email", ""])
def test_pages_lead_through_the_list_and_back(admin: WebClient, order: str) -> None:
    """All accounts have the same type, and two the same email."""
    address, pages = f"{ACCOUNTS}?q=example.org&sort={order}", []
    while address:
        pages.append(admin.get(address).text)
        address = link(pages[-1], "next")
    assert sorted(chain.from_iterable(map(account_numbers, pages))) == NUMBERS
    back = [account_numbers(page := pages[-1])]
    while address := link(page, "prev"):
        back.append(account_numbers(page := admin.get(address).text))
    assert back[::-1] == [account_numbers(page) for page in pages]


@pytest.mark.parametrize("order", ["nobody", "-name", "--number", "number ", "\x00", "a" * 5_000, "<b>", "id"])
def test_unknown_order_falls_back_to_the_default(admin: WebClient, order: str) -> None:
    page = admin.get(ACCOUNTS, query_string={"sort": order})
    assert page.status_code == 200
    assert account_numbers(page.text) == account_numbers(admin.get(ACCOUNTS).text)
    assert 'name="sort"' not in page.text


@pytest.mark.usefixtures("short_pages")
@pytest.mark.parametrize("name", ["after", "before"])
@pytest.mark.parametrize(
    "cursor",
    ["email.3", "-number.3", "3", "number.", "number.0", "number.-1", "number.x", "number.999", "\x00", "." * 99],
)
def test_cursor_of_another_order_is_ignored(admin: WebClient, name: str, cursor: str) -> None:
    page = admin.get(ACCOUNTS, query_string={"sort": "number", name: cursor})
    assert page.status_code == 200
    assert account_numbers(page.text) == NUMBERS[:2]


def test_addresses_of_pages_hold_no_personal_data(web_app: Flask, admin: WebClient, short_pages: None) -> None:
    with web_app.app_context():
        create_account(NewAccount("Z-1", "Zoe", "zoe@example.org", "Practitioner"), NOW_MS)
    page = admin.get(f"{ACCOUNTS}?sort=email").text
    assert re.fullmatch(rf"{ACCOUNTS}\?sort=email&after=email\.\d+", link(page, "next"))
