"""Request texts for a number: record the request and send the invitation, both or neither.

A stopped number cannot be texted. The ledger keeps the request, and START answers it
(docs/consent-rules.md#requests-while-stopped).
"""

from portal.accounts.account_permissions import require_permission
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber, is_stopped
from portal.consent import recording
from portal.consent.account_phones import audit_number_change
from portal.consent.consent_notifications import send_text
from portal.consent.rules import invitation_limits
from portal.consent.rules.consent_state import EventKind, EventSource
from portal.consent.tables import ledger
from portal.content import content_blocks
from portal.content.content_blocks import RenderedBlock
from portal.content.rules import content_block_checks
from portal.core.actor import Actor
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.routing import TextKind
from portal.core.transaction import transaction
from portal.core.translation import current_language
from portal.core.translation import gettext as _
from portal.gateways import queue
from portal.settings import app_settings
from portal.settings.live_gateway import sending_number_label


class RateLimited(ActionRefused):
    """A limit is reached until `retry_at_ms`."""

    def __init__(self, message: str, retry_at_ms: int) -> None:
        super().__init__(message)
        self.retry_at_ms = retry_at_ms


class RequestRecorded(ActionRefused):
    """The number is stopped, so no invitation was sent. The ledger keeps the request."""


class WordingChanged(ActionRefused):
    """The prompt reads differently than when it was shown, and people must read what they agree to."""


def opt_in_prompt(number: str) -> RenderedBlock:
    """The text to agree to before asking for texts, in the language of whoever reads it."""
    return content_blocks.render_block(content_block_checks.OPT_IN_PROMPT, number, current_language().code)


def request_ineligibility(phone: PhoneNumber) -> str | None:
    """Return why nobody can ask for texts at this number now, rate limits aside; None if they can."""
    if not phone.account.active:
        return _("This account is deactivated, so it gets no texts.")
    gateway = app_settings.resolve_current_gateway()
    if not gateway.switches.feature_on:
        return _("Texts are switched off.")
    if not gateway.switches.configured:
        return _("Texts cannot be sent yet: the gateway is not set up.")
    countries, test_mode = settings().sms_countries, gateway.switches.test_mode
    if problem := invitation_limits.number_ineligibility(phone.number, countries, test_mode):
        return problem
    state = recording.consent_state_of(phone.number)
    if state.stopped_at_ms is not None:
        return None
    if state.unreachable_at_ms is not None:
        return _("This number cannot receive texts. Confirm it first, or use another one.")
    return _("This number already gets this account’s texts.") if state.recipient_id == phone.account_id else None


def stopped_number_message(phone: PhoneNumber) -> str | None:
    """Return what to tell an account whose number is stopped; None if it is not."""
    if not is_stopped(phone.number):
        return None
    return _(
        "This number is opted out, so we cannot text it. To turn texts on, text START from that phone to %(number)s.",
        number=sending_number_label(phone.number),
    )


def displaced_account_of(phone: PhoneNumber, viewer_is_admin: bool) -> str | None:
    """Return whose texts at this number START would end; "" if the viewer may know only that there is somebody.

    Anybody can add a stranger's number. So only administrators, and the person with the same email address, see the
    name of the other account; and only an account that had the texts before learns that there is one
    (docs/consent-rules.md#whose-number-it-is).
    """
    other_id = _displaced_account_id(phone)
    other = db.session.get(Account, other_id) if other_id is not None else None
    if other is not None and (viewer_is_admin or other.email.casefold() == phone.account.email.casefold()):
        return f"{other.name}, {other.external_id}"
    return "" if other is not None and phone.number in ledger.consented_numbers(phone.account_id) else None


def rate_limit_hit(phone: PhoneNumber, actor: Actor, now_ms: int) -> RateLimited | None:
    """Return the limit that keeps the actor from asking for texts at the number now, or None."""
    values = {"number": phone.number, "account_id": phone.account_id, "ip": actor.ip}
    counted, daily_limit = [], settings().invitations_per_day
    for limit in invitation_limits.rate_limits(daily_limit, actor.is_admin, is_stopped(phone.number)):
        filters = {limit.key: values[limit.key]} if limit.key else {}
        counted.append((limit, ledger.request_times(limit.kinds, now_ms - limit.window_ms, **filters)))
    hit = invitation_limits.longest_limit_hit(counted, now_ms)
    return RateLimited(*hit) if hit else None


def invite(phone_id: int, actor: Actor, prompt_fingerprint: str, now_ms: int) -> int:
    """Return the id of the event. `prompt_fingerprint` is that of the prompt that the person read.

    Raises `RequestRecorded` if the number is stopped: nothing is sent, and the ledger keeps the request. Raises
    `RateLimited`, `WordingChanged` or another `ActionRefused` if nothing was done.
    """
    with transaction() as session:
        ledger.lock_ledger()
        phone = session.get(PhoneNumber, phone_id)
        if phone is None:
            raise ActionRefused(_("The number is no longer on the account."))
        require_permission(actor.account_id, phone.account)
        prompt = opt_in_prompt(phone.number)
        _check_request(phone, actor, prompt, prompt_fingerprint, now_ms)
        stopped_message = stopped_number_message(phone)
        account_id, number, displaces_account = phone.account_id, phone.number, _displaced_account_id(phone) is not None
        kind = EventKind.REQUESTED if stopped_message else EventKind.INVITED
        columns = {"account_id": account_id, **actor.ledger_columns, "text": prompt.text}
        columns |= {"content_block": prompt.key, "content_block_version": prompt.version}
        event_id = recording.record(number, kind, EventSource.PORTAL, now_ms, now_ms, **columns)
        audit_number_change("texts_requested", phone, actor, now_ms)
        if not stopped_message:
            send_text(TextKind.INVITATION, account_id, number, event_id, now_ms, displaces_account)
    if stopped_message:
        raise RequestRecorded(stopped_message)
    queue.enqueue(settings().redis_url, "drain_sms")
    return event_id


def _displaced_account_id(phone: PhoneNumber) -> int | None:
    recipient_id = recording.consent_state_of(phone.number).recipient_id
    return recipient_id if recipient_id != phone.account_id else None


def _check_request(
    phone: PhoneNumber, actor: Actor, prompt: RenderedBlock, prompt_fingerprint: str, now_ms: int
) -> None:
    if problem := request_ineligibility(phone):
        raise ActionRefused(problem)
    if prompt.fingerprint != prompt_fingerprint:
        raise WordingChanged(_("The text below was changed a moment ago. Please read it again."))
    if hit := rate_limit_hit(phone, actor, now_ms):
        raise hit
