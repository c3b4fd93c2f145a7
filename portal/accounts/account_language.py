"""The language in which a person reads what is not a page: emails, texts, and what a worker has found for them."""

from portal.accounts.tables.accounts import Account
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.translation import ENGLISH, LANGUAGES, Language, language_named


def recipient_language(chosen: str) -> Language:
    """`chosen` is the language of an account; without one that there is, that of the portal counts."""
    return language_named(chosen if chosen in LANGUAGES else settings().language)


def language_of_account(account_id: int | None) -> Language:
    """English for the shell, which is nobody."""
    account = db.session.get(Account, account_id) if account_id else None
    return recipient_language(account.language) if account else ENGLISH
