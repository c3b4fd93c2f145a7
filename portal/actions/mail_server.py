"""The mail server as it is met: what mails' outcomes say of it, and how long it is left alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.actions.email_claim import server_address
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain.mail_breaker import Sign, failures_after, rest_ms
from portal.domain.mail_codes import OF_OURS, is_about_us
from portal.gateways import queue
from portal.gateways.outcomes import Accepted, NotProcessed, Outcome, Refused
from portal.gateways.smtp import AWAY
from portal.models import claims, mail_server


@dataclass(frozen=True)
class MailServerStand:
    """`away_since_ms` is None while it takes mail; else `words` are what was last heard, and it is tried again then."""

    address: str
    away_since_ms: int | None
    next_try_ms: int
    words: str


def stand() -> MailServerStand:
    """Without a row nothing is known against it."""
    address = server_address()
    row = mail_server.found(address)
    if row is None:
        return MailServerStand(address, None, 0, "")
    return MailServerStand(address, row.away_since_ms, row.rests_until_ms, row.words)


def sign_of(outcome: Outcome) -> Sign:
    """A mail's own trouble says that the server works; the portal's own says nothing of it."""
    if isinstance(outcome, Accepted):
        return Sign.WORKS
    if isinstance(outcome, NotProcessed | Refused) and outcome.code in OF_OURS:
        return Sign.NONE
    if isinstance(outcome, NotProcessed) and outcome.code == AWAY:
        return Sign.AWAY
    if isinstance(outcome, NotProcessed | Refused) and outcome.is_recipients:
        return Sign.WORKS
    if isinstance(outcome, NotProcessed | Refused) and not is_about_us(outcome.code, outcome.words):
        return Sign.WORKS
    return Sign.TROUBLE


def note(outcomes: Sequence[Outcome], now_ms: int) -> None:
    """Inside a transaction, after the deliveries' own rows: the server's row is written when it changes only."""
    signs = [sign for sign in map(sign_of, outcomes) if sign is not Sign.NONE]
    if not signs:
        return
    row = mail_server.locked(server_address())
    failures = failures_after(row.failures, signs)
    if failures == row.failures:
        return
    if rest_ms(row.failures) and not rest_ms(failures):
        claims.hurry_mails(now_ms)
    row.failures = failures
    row.rests_until_ms = now_ms + rest_ms(failures) if rest_ms(failures) else 0
    row.away_since_ms = (row.away_since_ms or now_ms) if rest_ms(failures) else None
    row.words = _last_words(outcomes) if rest_ms(failures) else ""


def try_now(now_ms: int) -> None:
    """One mail is tried at once; if the server takes it, the others follow."""
    with transaction():
        row = mail_server.locked(server_address())
        row.rests_until_ms = min(row.rests_until_ms, now_ms)
        claims.hurry_mails(now_ms)
    queue.ring(settings().redis_url, "drain_email")


def _last_words(outcomes: Sequence[Outcome]) -> str:
    spoken = [outcome.words for outcome in outcomes if not isinstance(outcome, Accepted)]
    return spoken[-1] if spoken else ""
