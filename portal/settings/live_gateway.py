"""Query the live account: test credentials can neither list nor fetch (docs/twilio.md#test-credentials)."""

from datetime import UTC
from email.utils import parsedate_to_datetime

from portal.accounts.tables.phone_numbers import preferred_sender_of
from portal.core.context import settings
from portal.core.rules.phone import format_phone, is_e164
from portal.core.rules.time_format import EARLIEST_MS
from portal.gateways.provider import ProviderMessage
from portal.gateways.rules.provider_schema import Credentials, SenderSettings
from portal.settings import app_settings

_UNKNOWN_TIME_MS = 2**53


def live_credentials() -> Credentials | None:
    return app_settings.live_credentials()


def live_sender() -> SenderSettings | None:
    """The number that sends when nothing is rehearsed, and that handsets answer to."""
    return app_settings.live_gateway().sender


def sending_number_label(phone_number: str) -> str:
    """The number of ours that START is texted to from this phone, as people read it."""
    number = sender_for(phone_number, live_sender())
    return format_phone(number, settings().region) or "the number that our texts come from"


def sender_for(phone_number: str, sender: SenderSettings | None) -> str:
    """The number of ours that writes to this phone; "" when there is none, or a messaging service chooses."""
    if sender is None or not is_e164(phone_number) or sender.messaging_service_sid:
        return sender.from_number if sender else ""
    return sender.sender_assignment.sender_for(
        phone_number, preferred_sender_of(phone_number) if sender.additional_numbers else None
    )


def message_created_ms(found: ProviderMessage) -> int:
    """When Twilio says the message was made; far in the future when it says nothing that can be believed.

    Whoever takes a moment from here takes it for now at the latest (`consent.rules.inbound_ordering.place`): what is dated ahead of
    our clock would otherwise stand against everything that is said until then.
    """
    try:
        moment = parsedate_to_datetime(found.date_created)
        at_ms = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (TypeError, ValueError, OverflowError):
        return _UNKNOWN_TIME_MS
    return at_ms if at_ms >= EARLIEST_MS else _UNKNOWN_TIME_MS
