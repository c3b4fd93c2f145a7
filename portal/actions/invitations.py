"""Asking somebody to reply START: the ledger first, then the invitation, both or neither.

While the number is stopped none can be texted. The wish for one is kept in the ledger, and START answers it.
"""

from dataclasses import dataclass

from portal.actions import consent, content, follow_up
from portal.actions import settings as app_settings
from portal.actions.asker import Asker
from portal.actions.content import Wording
from portal.actions.errors import Refused
from portal.actions.transaction import transaction
from portal.actions.twilio_api import sending_number
from portal.context import settings
from portal.domain import invitations, wording
from portal.domain.consent import Kind, Standing
from portal.domain.invitations import Reached
from portal.extensions import db
from portal.gateways import queue
from portal.models import consent as ledger
from portal.models.account import Account
from portal.models.phone import PhoneNumber, is_stopped


@dataclass(frozen=True)
class MovesFrom:
    """Whether another account's texts are known to end with START, and what that account is called, if that is told."""

    known: bool = False
    name: str = ""


NOBODY = MovesFrom()


class TooMany(Refused):
    """A limit is reached until `until_ms`."""

    def __init__(self, found: Reached) -> None:
        super().__init__(found.limit.words)
        self.until_ms = found.until_ms


class WishKept(Refused):
    """No invitation can leave because the number is stopped. The ledger keeps that it was asked for."""


class WordingChanged(Refused):
    """The prompt was edited since it was shown: what is agreed to must be what was read."""


def prompt(number: str) -> Wording:
    """What is shown before an invitation is asked for."""
    return content.words_of(wording.PROMPT, number)


def why_not_ask(phone: PhoneNumber) -> str | None:
    """Why nobody can ask for texts at this number now, limits apart; None when they can."""
    found = app_settings.gateway()
    if not found.switches.feature_on:
        return "Texts are switched off."
    if not found.switches.configured:
        return "Texts cannot be sent yet: the gateway is not set up."
    refusal = invitations.country_refusal(phone.number, settings().sms_countries, found.switches.test_mode)
    return refusal or _standing_refusal(phone, consent.standing_of(phone.number))


def only_start(phone: PhoneNumber) -> str | None:
    """What to tell an account whose number is stopped; None if it is not."""
    if not is_stopped(phone.number):
        return None
    return (
        "This number replied STOP, so nothing can be texted to it. "
        f"To turn texts on, text START from that phone to {sending_number(phone.number)}."
    )


def from_whom(phone: PhoneNumber, to_admin: bool) -> MovesFrom:
    """Whose texts at this number START would end, as far as the viewer may know.

    Anybody can put a stranger's number on their account. So only administrators, and the person with the same email
    address, see the name of the other account; and only an account that has had the texts learns that there is one.
    """
    holder = consent.standing_of(phone.number).holder
    other = db.session.get(Account, holder) if holder not in (None, phone.account_id) else None
    if other is None:
        return NOBODY
    if to_admin or other.email.casefold() == phone.account.email.casefold():
        return MovesFrom(True, f"{other.name}, {other.external_id}")
    return MovesFrom(ledger.has_consented(phone.number, phone.account_id))


def limit_reached(phone: PhoneNumber, asker: Asker, now_ms: int) -> Reached | None:
    """The limit that keeps this asker from asking for texts at the number now; None when there is none."""
    values = {"number": phone.number, "account_id": phone.account_id, "ip": asker.ip}
    counted = []
    for limit in invitations.limits(settings().invitations_a_day, asker.by_admin, is_stopped(phone.number)):
        whose = {limit.by: values[limit.by]} if limit.by else {}
        counted.append((limit, ledger.request_times(limit.kinds, now_ms - limit.within_ms, **whose)))
    return invitations.reached(counted, now_ms)


def invite(phone_id: int, asker: Asker, shown_version: int, now_ms: int) -> int:
    """The event's id. `shown_version` is the prompt's version that was read.

    Raises `Refused`, `TooMany` or `WordingChanged`; then nothing is written and nothing leaves. Raises `WishKept`
    where the number is stopped: nothing leaves, and the ledger keeps what was asked for.
    """
    with transaction() as session:
        ledger.lock()
        phone = session.get(PhoneNumber, phone_id)
        if phone is None:
            raise Refused("The number is no longer on the account.")
        shown = prompt(phone.number)
        _check(phone, asker, shown, shown_version, now_ms)
        stopped = only_start(phone)
        moves = _moves(phone)
        event_id = _note(phone, Kind.WISHED if stopped else Kind.INVITED, shown, asker, now_ms)
        if not stopped:
            follow_up.invite(phone.account_id, phone.number, event_id, now_ms, moves)
    if stopped:
        raise WishKept(stopped)
    queue.ring(settings().redis_url, "drain_sms")
    return event_id


def _note(phone: PhoneNumber, kind: Kind, shown: Wording, asker: Asker, now_ms: int) -> int:
    return consent.note(
        phone.number,
        kind,
        "portal",
        now_ms,
        now_ms,
        account_id=phone.account_id,
        words=shown.text,
        wording=shown.key,
        wording_version=shown.version,
        **asker.columns,
    )


def _moves(phone: PhoneNumber) -> bool:
    """Whether START would end the texts of another account."""
    return consent.standing_of(phone.number).holder not in (None, phone.account_id)


def _check(phone: PhoneNumber, asker: Asker, shown: Wording, shown_version: int, now_ms: int) -> None:
    refusal = why_not_ask(phone)
    if refusal is not None:
        raise Refused(refusal)
    if shown.version != shown_version:
        raise WordingChanged("The text below was changed a moment ago. Please read it again.")
    found = limit_reached(phone, asker, now_ms)
    if found is not None:
        raise TooMany(found)


def _standing_refusal(phone: PhoneNumber, now: Standing) -> str | None:
    if now.stopped_ms is not None:
        return None
    if now.unreachable_ms is not None:
        return "This number cannot receive texts. Confirm it first, or use another one."
    if now.holder == phone.account_id:
        return "This number gets this account's texts already."
    return None
