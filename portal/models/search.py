"""Finding accounts by whatever an administrator has of them: a name, an email, an account number, a phone number."""

import re

from sqlalchemy import ColumnElement, Select, func, or_, select

from portal.extensions import db
from portal.models.account import Account
from portal.models.phone import PhoneNumber

_PART_OF_A_NUMBER = re.compile(r"[0-9()+.\-]+")
_NOT_DIGITS = re.compile(r"[^0-9]")
_FEWEST_DIGITS = 3


def search(words: str, account_type: str = "") -> Select[tuple[Account]]:
    """Accounts whose name, email or account number holds every word, in order of name."""
    query = select(Account).order_by(func.lower(Account.name), Account.id)
    if account_type:
        query = query.where(Account.account_type == account_type)
    for word in words.split():
        query = query.where(holds(word))
    return query


def count_of(query: Select[tuple[Account]]) -> int:
    """How many accounts a search finds."""
    return db.session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0


def holds(word: str) -> ColumnElement[bool]:
    """The word as it is written (% and _ are letters like others), or its digits in a phone number."""
    columns = (Account.name, Account.email, Account.external_id)
    found = [func.lower(column).contains(word.lower(), autoescape=True) for column in columns]
    digits = _NOT_DIGITS.sub("", word)
    if _PART_OF_A_NUMBER.fullmatch(word) and len(digits) >= _FEWEST_DIGITS:
        numbers = select(PhoneNumber.account_id).where(PhoneNumber.number.contains(digits))
        found.append(Account.id.in_(numbers))
    return or_(*found)
