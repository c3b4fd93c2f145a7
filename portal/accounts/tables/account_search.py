"""Search accounts by name, email, account number or phone number."""

import re
from collections.abc import Collection

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.core.extensions import db
from portal.core.keyset import SortColumns
from portal.core.rules.case_folding import fold_for_search

_PHONE_FRAGMENT = re.compile(r"[0-9()+.\- ]+")
_MIN_DIGITS = 3
BY_NAME: SortColumns = (Account.search_folded, Account.id)


def search_accounts(
    search_text: str, account_type: str = "", is_active: bool | None = None, languages: Collection[str] = ()
) -> Select[tuple[Account]]:
    """Accounts that match every word of the search text; `is_active` limits them to those that are, or are not.

    `languages` are the chosen ones to find, "" for none.
    """
    query = select(Account)
    if languages:
        query = query.where(Account.language.in_(languages))
    if is_active is not None:
        query = query.where(Account.active == True if is_active else Account.deactivated_at_ms.is_not(None))  # noqa: E712
    if account_type:
        query = query.where(Account.account_type == account_type)
    return query.where(*match_conditions(search_text))


def count_results(query: Select[tuple[Account]]) -> int:
    return db.session.scalar(select(func.count()).select_from(query.subquery())) or 0


def match_conditions(search_text: str) -> list[ColumnElement[bool]]:
    """Every word matches, or all of them together are (part of) a phone number."""
    folded = fold_for_search(search_text)
    conditions = [_word_condition(word) for word in folded.split()]
    if len(conditions) > 1 and _PHONE_FRAGMENT.fullmatch(folded):
        return [or_(and_(*conditions), *_digit_conditions(folded))]
    return conditions


def _word_condition(word: str) -> ColumnElement[bool]:
    """The account's text contains the folded word (% and _ are literal), or a phone number contains its digits."""
    in_text = Account.search_folded.contains(word, autoescape=True)
    return or_(in_text, *_digit_conditions(word)) if _PHONE_FRAGMENT.fullmatch(word) else in_text


def _digit_conditions(text: str) -> list[ColumnElement[bool]]:
    digits = re.sub(r"[^0-9]", "", text)
    if len(digits) < _MIN_DIGITS:
        return []
    return [Account.id.in_(select(PhoneNumber.account_id).where(PhoneNumber.number.contains(digits)))]


def find_others(search_text: str, account_id: int, limit: int) -> list[Account]:
    """By name; neither the account itself nor erased or merged ones."""
    query = search_accounts(search_text).where(Account.id != account_id)
    query = query.where(Account.erased_at_ms.is_(None), Account.merged_into_id.is_(None))
    return list(db.session.scalars(query.order_by(*BY_NAME).limit(limit)))
