"""Finding accounts by whatever an administrator has of them: a name, an email, an account number, a phone number."""

import re

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.core.extensions import db
from portal.core.rules.case_folding import fold_for_search

_PHONE_FRAGMENT = re.compile(r"[0-9()+.\- ]+")
_NOT_DIGITS = re.compile(r"[^0-9]")
_MIN_DIGITS = 3
_UNFOLDED_TEXT = func.lower(Account.name + "\n" + Account.email + "\n" + Account.external_id)
_SEARCHED: ColumnElement[str] = func.coalesce(Account.search_folded, _UNFOLDED_TEXT)
"""An account that an older version made is not folded."""


def search_accounts(words: str, account_type: str = "") -> Select[tuple[Account]]:
    """Accounts whose name, email or account number holds every word, in order of name."""
    query = select(Account).order_by(_SEARCHED, Account.id)
    if account_type:
        query = query.where(Account.account_type == account_type)
    return query.where(*match_conditions(words))


def count_results(query: Select[tuple[Account]]) -> int:
    """How many accounts a search finds."""
    return db.session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0


def match_conditions(words: str) -> list[ColumnElement[bool]]:
    """Every word is found, or all of them together are a phone number, or a part of one."""
    folded = fold_for_search(words)
    by_words = [_word_condition(word) for word in folded.split()]
    if len(by_words) > 1 and _PHONE_FRAGMENT.fullmatch(folded):
        return [or_(and_(*by_words), *_digit_conditions(folded))]
    return by_words


def _word_condition(word: str) -> ColumnElement[bool]:
    """The folded word as it is written (% and _ are letters like others), or its digits in a phone number."""
    written = _SEARCHED.contains(word, autoescape=True)
    return or_(written, *_digit_conditions(word)) if _PHONE_FRAGMENT.fullmatch(word) else written


def _digit_conditions(text: str) -> list[ColumnElement[bool]]:
    digits = _NOT_DIGITS.sub("", text)
    if len(digits) < _MIN_DIGITS:
        return []
    return [Account.id.in_(select(PhoneNumber.account_id).where(PhoneNumber.number.contains(digits)))]
