"""Search and sign-in names ignore case and accents, in the same way on both databases."""

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from portal.accounts.account_management import NewAccount, account_values, create_account
from portal.accounts.tables.account_search import BY_NAME, count_results, search_accounts
from portal.accounts.tables.accounts import Account, find_by_external_id, find_by_sign_in_name
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent import account_import
from portal.consent.account_import import ImportRejected
from portal.consent.opt_in_import import import_opt_ins
from portal.core.actor import SHELL_ACTOR
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.keyset import Keyset
from portal.core.rules.case_folding import fold_for_search
from portal.sends.tables.sends import Send
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
CASE_NOTE = "Account numbers are not case-sensitive."


def account(external_id: str, name: str = "Somebody", email: str = "x@example.org") -> int:
    return create_account(NewAccount(external_id, name, email, "Practitioner"), scenario.now_ms())


def search_results(search_text: str) -> list[str]:
    accounts: list[Account] = Keyset(BY_NAME, 50).fetch(search_accounts(search_text)).rows
    return [account.external_id for account in accounts]


@pytest.fixture
def people() -> None:
    for index, name in enumerate(["Åsa Östlund", "Jürgen Straße", "Işıl Yıldız", "Łukasz Müller", "Siobhán O’Neill"]):
        account(f"V-{index}", name, f"{fold_for_search(name.split()[1])}@example.org".replace("'", ""))


@pytest.mark.parametrize(
    ("words", "external_ids"),
    [
        (["Östlund", "ostlund", "ÖSTLUND", "OSTLUND", "O\u0308stlund", "åsa ÖST", "asa", "Öst\u00adlund"], ["V-0"]),
        (["Straße", "STRASSE", "strasse", "jurgen", "JÜRGEN STRASSE"], ["V-1"]),
        (["Işıl", "isil", "IŞIL", "ISIL", "İSİL", "yildiz", "YILDIZ"], ["V-2"]),
        (["łukasz", "LUKASZ", "muller", "MÜLLER", "ｍｕｌｌｅｒ"], ["V-3"]),
        (["O'Neill", "o’neill", "O\u02bcNEILL", "O´Neill", "siobhan", "SIOBHÁN"], ["V-4"]),
        (["v-3", "V\u20113"], ["V-3"]),
        (["ÖSTLUND@EXAMPLE.ORG nobody", "%", "_"], []),
        (["östlund@", "OSTLUND@example"], ["V-0"]),
    ],
)
def test_search_ignores_case_and_accents(people: None, words: list[str], external_ids: list[str]) -> None:
    for word in words:
        assert (search_results(word), count_results(search_accounts(word))) == (external_ids, len(external_ids)), word


@pytest.mark.parametrize("written", ["O'Neill", "O’Neill", "O´Neill", "O`Neill", "O\u02bcNeill", "O′Neill", "O＇Neill"])
def test_search_treats_all_apostrophes_alike(written: str) -> None:
    account("V-9", f"Siobhán {written}")
    for search_text in ("O'Neill", "O’NEILL", "o´neill", "o`neill"):
        assert search_results(search_text) == ["V-9"], search_text


def test_results_are_sorted_by_name(people: None) -> None:
    assert search_results("example.org") == ["V-0", "V-2", "V-1", "V-3", "V-4"]


def test_search_finds_formatted_phone_numbers(people: None) -> None:
    owner = find_by_external_id("V-1")
    assert owner
    db.session.add(PhoneNumber(account_id=owner.id, number="+12025550101", created_at_ms=1))
    db.session.commit()
    for search_text in ("+1 (202) 555-0101", "1 202 555 0101", "(202)\u00a0555\u20110101", "+1 202", "5550101"):
        assert search_results(search_text) == ["V-1"], search_text
    assert search_results("+1 202 555 0102") == []


def test_search_follows_changed_names_and_emails(people: None) -> None:
    changed = find_by_external_id("V-1")
    assert changed
    changed.name = "Zoë Ångström"
    db.session.commit()
    results = search_results("angstrom"), search_results("jurgen"), search_results("strasse")
    assert results == (["V-1"], [], ["V-1"]), "the email has not changed"
    changed.email = "zoe@example.org"
    db.session.commit()
    assert (search_results("strasse"), find_by_sign_in_name("ZOE@example.org")) == ([], [changed])


@pytest.mark.parametrize("typed", ["v-2001", " V\u200b-2001\u00a0", "Kim@Straße.example", "KIM@STRASSE.EXAMPLE"])
def test_sign_in_names_ignore_case(typed: str) -> None:
    account_id = account("V-2001", email="kim@straße.example")
    assert [named.id for named in find_by_sign_in_name(typed)] == [account_id]


@pytest.mark.parametrize(
    ("external_id", "other"), [("V-2001", "v-2001"), ("straße", "STRASSE"), ("ÉA-1", "éa-1"), ("x", "X")]
)
def test_account_numbers_that_differ_in_case_conflict(external_id: str, other: str) -> None:
    account(external_id)
    with pytest.raises(InvalidInput) as error:
        account(other)
    assert error.value.errors == {"external_id": f"Account number {external_id} is already in use. {CASE_NOTE}"}
    lines = [f"{other},A,a@example.org,T", f"{external_id}-2,C,c@example.org,T", f"{other}-2,D,d@example.org,T"]
    file = "\n".join(["external_id,name,email,account_type", *lines])
    with pytest.raises(ImportRejected) as import_error:
        account_import.import_accounts(file.encode(), scenario.now_ms())
    assert [str(row_error) for row_error in import_error.value.row_errors] == [
        f"Row 2, external_id: Account number {external_id} is already in use. {CASE_NOTE}",
        f"Row 4, external_id: {other}-2 is already in row 3, written as {external_id}-2.",
    ]


def test_database_enforces_unique_folded_account_numbers() -> None:
    account("V-2001")
    values = account_values(NewAccount("v-2001", "n", "e", "t"), 1)
    with pytest.raises(IntegrityError):
        db.session.execute(insert(Account).values(**values))
    db.session.rollback()


def test_audience_account_numbers_ignore_case_and_duplicates() -> None:
    scenario.add_template()
    account("V-2001")
    account("v-7")
    send_id = scenario.create_expanded_send(audience={"external_ids": ["v-2001", "V-2001", " V-7\u200b"]})
    assert db.session.get_one(Send, send_id).audience == {"external_ids": ["V-2001", "v-7"]}
    with pytest.raises(InvalidInput, match="These account numbers do not exist: v-9"):
        scenario.create_expanded_send(audience={"external_ids": ["v-2001", "v-9"]})


def test_opt_in_import_ignores_account_number_case() -> None:
    account_id = account("V-2001")
    file = "external_id,phone,opted_in_at,evidence\nv-2001,+12025550101,2026-01-01,Form"
    assert len(import_opt_ins(file, SHELL_ACTOR, scenario.now_ms()).applied) == 1
    assert import_opt_ins(file.replace("v-", "V-"), SHELL_ACTOR, scenario.now_ms()).already_recorded == 1
    assert db.session.query(PhoneNumber).one().account_id == account_id
