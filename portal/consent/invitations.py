"""Asking somebody to reply START: the ledger first, then the invitation, both or neither.

While the number is stopped none can be texted. The wish for one is kept in the ledger, and START answers it.
"""

from dataclasses import dataclass

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber, is_stopped
from portal.consent import consent_notifications, recording
from portal.consent.rules import invitation_limits
from portal.consent.rules.consent_state import ConsentState, EventKind
from portal.consent.rules.invitation_limits import RateLimitHit
from portal.consent.tables import ledger
from portal.content import content_blocks
from portal.content.content_blocks import RenderedBlock
from portal.content.rules import content_block_checks
from portal.core.actor import Actor
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.gateways import queue
from portal.settings import app_settings
from portal.settings.live_gateway import sending_number_label


@dataclass(frozen=True)
class DisplacedAccount:
    """Whether another account's texts are known to end with START, and what that account is called, if that is told."""

    exists: bool = False
    name: str = ""


NO_DISPLACED_ACCOUNT = DisplacedAccount()


class RateLimited(ActionRefused):
    """A limit is reached until `until_ms`."""

    def __init__(self, found: RateLimitHit) -> None:
        super().__init__(found.limit.message)
        self.retry_at_ms = found.retry_at_ms


class RequestRecorded(ActionRefused):
    """No invitation can leave because the number is stopped. The ledger keeps that it was asked for."""


class WordingChanged(ActionRefused):
    """The prompt was edited since it was shown: what is agreed to must be what was read."""


def opt_in_prompt(number: str) -> RenderedBlock:
    """What is shown before an invitation is asked for."""
    return content_blocks.render_block(content_block_checks.OPT_IN_PROMPT, number)


def request_ineligibility(phone: PhoneNumber) -> str | None:
    """Why nobody can ask for texts at this number now, limits apart; None when they can."""
    found = app_settings.resolve_current_gateway()
    if not found.switches.feature_on:
        return "Texts are switched off."
    if not found.switches.configured:
        return "Texts cannot be sent yet: the gateway is not set up."
    refusal = invitation_limits.number_ineligibility(phone.number, settings().sms_countries, found.switches.test_mode)
    return refusal or _state_ineligibility(phone, recording.consent_state_of(phone.number))


def stopped_number_message(phone: PhoneNumber) -> str | None:
    """What to tell an account whose number is stopped; None if it is not."""
    if not is_stopped(phone.number):
        return None
    return (
        "This number replied STOP, so nothing can be texted to it. "
        f"To turn texts on, text START from that phone to {sending_number_label(phone.number)}."
    )


def displaced_account_of(phone: PhoneNumber, viewer_is_admin: bool) -> DisplacedAccount:
    """Whose texts at this number START would end, as far as the viewer may know.

    Anybody can put a stranger's number on their account. So only administrators, and the person with the same email
    address, see the name of the other account; and only an account that has had the texts learns that there is one.
    """
    holder = recording.consent_state_of(phone.number).recipient_id
    other = db.session.get(Account, holder) if holder not in (None, phone.account_id) else None
    if other is None:
        return NO_DISPLACED_ACCOUNT
    if viewer_is_admin or other.email.casefold() == phone.account.email.casefold():
        return DisplacedAccount(True, f"{other.name}, {other.external_id}")
    return DisplacedAccount(ledger.has_consented(phone.number, phone.account_id))


def rate_limit_hit(phone: PhoneNumber, asker: Actor, now_ms: int) -> RateLimitHit | None:
    """The limit that keeps this asker from asking for texts at the number now; None when there is none."""
    values = {"number": phone.number, "account_id": phone.account_id, "ip": asker.ip}
    counted = []
    for limit in invitation_limits.rate_limits(
        settings().invitations_per_day, asker.is_admin, is_stopped(phone.number)
    ):
        whose = {limit.key: values[limit.key]} if limit.key else {}
        counted.append((limit, ledger.request_times(limit.kinds, now_ms - limit.window_ms, **whose)))
    return invitation_limits.longest_limit_hit(counted, now_ms)


def invite(phone_id: int, actor: Actor, prompt_version: int, now_ms: int) -> int:
    """The event's id. `prompt_version` is the prompt's version that was read.

    Raises `Refused`, `RateLimited` or `WordingChanged`; then nothing is written and nothing leaves. Raises `RequestRecorded`
    where the number is stopped: nothing leaves, and the ledger keeps what was asked for.
    """
    with transaction() as session:
        ledger.lock_ledger()
        phone = session.get(PhoneNumber, phone_id)
        if phone is None:
            raise ActionRefused("The number is no longer on the account.")
        shown = opt_in_prompt(phone.number)
        _check_request(phone, actor, shown, prompt_version, now_ms)
        stopped = stopped_number_message(phone)
        moves = _displaces_account(phone)
        event_id = _record_request(phone, EventKind.REQUESTED if stopped else EventKind.INVITED, shown, actor, now_ms)
        if not stopped:
            consent_notifications.send_invitation(phone.account_id, phone.number, event_id, now_ms, moves)
    if stopped:
        raise RequestRecorded(stopped)
    queue.enqueue(settings().redis_url, "drain_sms")
    return event_id


def _record_request(phone: PhoneNumber, kind: EventKind, shown: RenderedBlock, asker: Actor, now_ms: int) -> int:
    return recording.record(
        phone.number,
        kind,
        "portal",
        now_ms,
        now_ms,
        account_id=phone.account_id,
        text=shown.text,
        wording=shown.key,
        wording_version=shown.version,
        **asker.ledger_columns,
    )


def _displaces_account(phone: PhoneNumber) -> bool:
    """Whether START would end the texts of another account."""
    return recording.consent_state_of(phone.number).recipient_id not in (None, phone.account_id)


def _check_request(phone: PhoneNumber, asker: Actor, shown: RenderedBlock, shown_version: int, now_ms: int) -> None:
    refusal = request_ineligibility(phone)
    if refusal is not None:
        raise ActionRefused(refusal)
    if shown.version != shown_version:
        raise WordingChanged("The text below was changed a moment ago. Please read it again.")
    found = rate_limit_hit(phone, asker, now_ms)
    if found is not None:
        raise RateLimited(found)


def _state_ineligibility(phone: PhoneNumber, now: ConsentState) -> str | None:
    if now.stopped_at_ms is not None:
        return None
    if now.unreachable_at_ms is not None:
        return "This number cannot receive texts. Confirm it first, or use another one."
    if now.recipient_id == phone.account_id:
        return "This number gets this account's texts already."
    return None
