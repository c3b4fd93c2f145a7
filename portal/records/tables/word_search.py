"""What a word of a search finds: recipients and subjects, as a condition, and as few ids where only few match.

A word of three letters or more is found anywhere in a name, an email address, an account number or a subject, and its
digits in a phone number. A shorter one is the beginning of a name, or a whole account number.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.core.extensions import db
from portal.core.statements import in_list
from portal.messages.tables.communications import Communication
from portal.records.rules.search_line import digits_of
from portal.records.tables.search_index import (
    MIN_LETTERS,
    SearchSubject,
    ids_containing,
    is_sqlite,
    send_subjects_containing,
    starts_with,
)

MAX_ACCOUNTS = 1_500
"""With more, the newest communications soon have one of them."""
MAX_SENDS = 40
_MANY_SUBJECTS, _VERY_MANY = 200, 1_000_000
"""So many subjects are not counted further: any other word of the search is rarer."""


@dataclass(frozen=True)
class WordMatches:
    """All that a word matches. `send_subjects` are ids of sends and the subjects that match."""

    account_ids: list[int]
    send_subjects: list[tuple[int, str]]
    subject_word: str = ""
    """Communications with a subject of their own are found by this word (`communications_by_subject`)."""
    own_subjects: int = 0

    @property
    def size(self) -> int:
        return len(self.account_ids) + self.own_subjects + len(self.send_subjects)


def recipient_condition(word: str) -> ColumnElement[bool]:
    return _exists(Account.id, Account.id == Communication.account_id, _account_condition(word))


def word_condition(word: str) -> ColumnElement[bool]:
    """The recipient or the subject has the word."""
    account = recipient_condition(word)
    if len(word) < MIN_LETTERS:
        return account
    has_word = SearchSubject.folded.contains(word, autoescape=True)
    own = _exists(SearchSubject.id, SearchSubject.communication_id == Communication.id, has_word)
    is_of_send = (SearchSubject.send_id == Communication.send_id, SearchSubject.subject == Communication.subject)
    return or_(account, own, _exists(SearchSubject.id, *is_of_send, has_word))


def _exists(column: InstrumentedAttribute[int], *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Looked up for each row. Without OFFSET, PostgreSQL would read the whole table into a hash table for a few."""
    query = select(column).where(*conditions).correlate_except(column.class_)
    return (query if is_sqlite() else query.offset(0)).exists()


def _account_condition(word: str) -> ColumnElement[bool]:
    if len(word) < MIN_LETTERS:
        return or_(starts_with(Account.search_folded, word), Account.external_id_folded == word)
    in_text, digits = Account.search_folded.contains(word, autoescape=True), digits_of(word)
    if len(digits) < MIN_LETTERS:
        return in_text
    has_digits = (PhoneNumber.account_id == Account.id, PhoneNumber.number.contains(digits))
    return or_(in_text, _exists(PhoneNumber.id, *has_digits))


def few_recipients(word: str) -> WordMatches | None:
    """The accounts that have the word; None if they are many."""
    account_ids = _account_ids(word)
    return WordMatches(account_ids, []) if len(account_ids) <= MAX_ACCOUNTS else None


def few_matches(word: str) -> WordMatches | None:
    """The accounts and subjects that have the word; None if they are many, but for subjects of one communication."""
    recipients = few_recipients(word)
    if recipients is None or len(word) < MIN_LETTERS:
        return recipients
    of_sends = send_subjects_containing(word, MAX_SENDS + 1)
    if len(of_sends) > MAX_SENDS:
        return None
    own = len(ids_containing(SearchSubject.folded, word, _MANY_SUBJECTS))
    size = own if own < _MANY_SUBJECTS else _VERY_MANY
    return WordMatches(recipients.account_ids, of_sends, word if own else "", size)


def _account_ids(word: str) -> list[int]:
    """At most one more than `MAX_ACCOUNTS`."""
    limit = MAX_ACCOUNTS + 1
    if len(word) < MIN_LETTERS:
        return list(db.session.scalars(select(Account.id).where(_account_condition(word)).limit(limit)))
    account_ids, digits = set(ids_containing(Account.search_folded, word, limit)), digits_of(word)
    if len(digits) >= MIN_LETTERS:
        phone_ids = ids_containing(PhoneNumber.number, digits, limit)
        of_phones = select(PhoneNumber.account_id).where(in_list(PhoneNumber.id, phone_ids))
        account_ids |= set(db.session.scalars(of_phones))
        if len(phone_ids) == limit:
            return sorted(account_ids)[:1] * limit
    return sorted(account_ids)[:limit]
