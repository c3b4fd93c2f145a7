"""Asking somebody to reply START: the ledger first, then the invitation, both or neither."""

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
from portal.gateways import queue
from portal.models import consent as ledger
from portal.models.phone import PhoneNumber


class TooMany(Refused):
    """A limit is reached until `until_ms`."""

    def __init__(self, found: Reached) -> None:
        super().__init__(found.limit.words)
        self.until_ms = found.until_ms


class WordingChanged(Refused):
    """The prompt was edited since it was shown: what is agreed to must be what was read."""


def prompt(number: str) -> Wording:
    """What is shown before an invitation is asked for."""
    return content.words_of(wording.PROMPT, number)


def why_not_invite(phone: PhoneNumber) -> str | None:
    """Why this number cannot be invited now, limits apart; None when it can."""
    found = app_settings.gateway()
    if not found.switches.feature_on:
        return "Texts are switched off."
    if not found.switches.configured:
        return "Texts cannot be sent yet: the gateway is not set up."
    refusal = invitations.country_refusal(phone.number, settings().sms_countries, found.switches.test_mode)
    return refusal or _standing_refusal(phone, consent.standing_of(phone.number))


def limit_reached(phone: PhoneNumber, asker: Asker, now_ms: int) -> Reached | None:
    """The limit that keeps this asker from inviting the number now; None when there is none."""
    values = {"number": phone.number, "account_id": phone.account_id, "ip": asker.ip}
    counted = []
    for limit in invitations.limits(settings().invitations_a_day, asker.by_admin):
        whose = {limit.by: values[limit.by]} if limit.by else {}
        counted.append((limit, ledger.invitation_times(now_ms - limit.within_ms, **whose)))
    return invitations.reached(counted, now_ms)


def invite(phone_id: int, asker: Asker, shown_version: int, now_ms: int) -> int:
    """The event's id. `shown_version` is the prompt's version that was read.

    Raises `Refused`, `TooMany` or `WordingChanged`; then nothing is written and nothing leaves.
    """
    with transaction() as session:
        ledger.lock()
        phone = session.get(PhoneNumber, phone_id)
        if phone is None:
            raise Refused("The number is no longer on the account.")
        shown = prompt(phone.number)
        _check(phone, asker, shown, shown_version, now_ms)
        event_id = consent.note(
            phone.number,
            Kind.INVITED,
            "portal",
            now_ms,
            now_ms,
            account_id=phone.account_id,
            words=shown.text,
            wording=shown.key,
            wording_version=shown.version,
            **asker.columns,
        )
        follow_up.invite(phone.account_id, phone.number, event_id, now_ms)
    queue.ring(settings().redis_url, "drain_sms")
    return event_id


def _check(phone: PhoneNumber, asker: Asker, shown: Wording, shown_version: int, now_ms: int) -> None:
    refusal = why_not_invite(phone)
    if refusal is not None:
        raise Refused(refusal)
    if shown.version != shown_version:
        raise WordingChanged("The text below was changed a moment ago. Please read it again.")
    found = limit_reached(phone, asker, now_ms)
    if found is not None:
        raise TooMany(found)


def _standing_refusal(phone: PhoneNumber, now: Standing) -> str | None:
    if now.stopped_ms is not None:
        return (
            "This number replied STOP, so nothing can be texted to it. "
            f"To turn texts on, text START from that phone to {sending_number(phone.number)}."
        )
    if now.unreachable_ms is not None:
        return "This number cannot receive texts. Confirm it first, or use another one."
    if now.holder == phone.account_id:
        return "This number gets this account's texts already."
    return None
