"""Opt-ins given elsewhere whose number may have changed hands since (docs/consent-rules.md#paper)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from portal.accounts.tables.accounts import emails_of
from portal.consent.rules.consent_state import LedgerEvent, accounts_added_since


@dataclass(frozen=True)
class ExternalOptIn:
    """An opt-in given elsewhere at `at_ms`. `account_id` is None for an account that does not exist yet."""

    number: str
    account_id: int | None
    email: str
    at_ms: int


def possibly_reassigned(
    opt_ins: Iterable[ExternalOptIn], events_by_number: Mapping[str, Sequence[LedgerEvent]]
) -> set[ExternalOptIn]:
    """Return the opt-ins after which another person's account got the number, so that texts might reach a stranger.

    Accounts with the same email address belong to one person.
    """
    others = {
        opt_in: accounts_added_since(events_by_number.get(opt_in.number, ()), opt_in.account_id, opt_in.at_ms)
        for opt_in in opt_ins
    }
    emails = emails_of({account_id for account_ids in others.values() for account_id in account_ids})
    return {
        opt_in
        for opt_in, account_ids in others.items()
        if any(emails.get(account_id, "").casefold() != opt_in.email.casefold() for account_id in account_ids)
    }
