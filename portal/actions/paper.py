"""Consent on paper, and whether the number may have changed hands since it was given."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from portal.domain.consent import Event, added_since
from portal.models.account import emails_of


@dataclass(frozen=True)
class Paper:
    """An opt-in given elsewhere at `at_ms`, for an account that may be new (None)."""

    number: str
    account_id: int | None
    email: str
    at_ms: int


def changed_hands(papers: Iterable[Paper], stories: Mapping[str, Sequence[Event]]) -> set[Paper]:
    """The opt-ins after which somebody else got the number, so that the texts might reach a stranger.

    Accounts with the same email address belong to one person.
    """
    others = {paper: added_since(stories.get(paper.number, ()), paper.account_id, paper.at_ms) for paper in papers}
    emails = emails_of({account for found in others.values() for account in found})
    return {
        paper
        for paper, found in others.items()
        if any(emails.get(account, "").casefold() != paper.email.casefold() for account in found)
    }
