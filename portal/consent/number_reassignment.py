"""Consent on paper, and whether the number may have changed hands since it was given."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from portal.accounts.tables.accounts import emails_of
from portal.consent.rules.consent_state import LedgerEvent, accounts_added_since


@dataclass(frozen=True)
class ExternalOptIn:
    """An opt-in given elsewhere at `at_ms`, for an account that may be new (None)."""

    number: str
    account_id: int | None
    email: str
    at_ms: int


def possibly_reassigned(
    opt_ins: Iterable[ExternalOptIn], events_by_number: Mapping[str, Sequence[LedgerEvent]]
) -> set[ExternalOptIn]:
    """The opt-ins after which somebody else got the number, so that the texts might reach a stranger.

    Accounts with the same email address belong to one person.
    """
    others = {
        paper: accounts_added_since(events_by_number.get(paper.number, ()), paper.account_id, paper.at_ms)
        for paper in opt_ins
    }
    emails = emails_of({account for found in others.values() for account in found})
    return {
        paper
        for paper, found in others.items()
        if any(emails.get(account, "").casefold() != paper.email.casefold() for account in found)
    }
