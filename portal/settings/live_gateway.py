"""The live sender, whatever the mode: its sending numbers, and when the provider created a message."""

from datetime import UTC
from email.utils import parsedate_to_datetime

from portal.accounts.tables.phone_numbers import preferred_sender_of
from portal.core.context import settings
from portal.core.rules.phone import format_phone, is_e164
from portal.core.rules.time_format import EARLIEST_MS
from portal.core.translation import gettext as _
from portal.gateways.provider import ProviderMessage
from portal.gateways.rules.provider_schema import SenderSettings
from portal.settings import app_settings

_UNKNOWN_TIME_MS = 2**53


def live_sender() -> SenderSettings | None:
    """The sender outside test mode, which people reply to."""
    return app_settings.live_gateway().sender


def sending_number_label(phone_number: str) -> str:
    """The sending number that this phone texts START to, formatted for display."""
    number = sender_for(phone_number, live_sender())
    return format_phone(number, settings().region) or _("the number our texts come from")


def sender_for(phone_number: str, sender: SenderSettings | None) -> str:
    """The sending number for this phone; "" if there is none or a messaging service chooses it."""
    if sender is None or not is_e164(phone_number) or sender.messaging_service_sid:
        return sender.from_number if sender else ""
    preferred = preferred_sender_of(phone_number) if sender.additional_numbers else None
    return sender.sender_assignment.sender_for(phone_number, preferred)


def message_created_ms(message: ProviderMessage) -> int:
    """When Twilio created the message; far in the future if it gives no plausible time.

    Callers must cap it at now (`consent.rules.inbound_ordering.place`), because an event dated ahead of our clock would
    override all events until then.
    """
    try:
        created_at = parsedate_to_datetime(message.date_created)
        at_ms = round((created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (TypeError, ValueError, OverflowError):
        return _UNKNOWN_TIME_MS
    return at_ms if at_ms >= EARLIEST_MS else _UNKNOWN_TIME_MS
