"""Questions to Twilio, always of the live account: test credentials can neither list nor fetch (TWILIO.md 3)."""

from email.utils import parsedate_to_datetime

from portal.actions import settings as app_settings
from portal.context import settings
from portal.domain.app_config import Credentials, SenderSettings
from portal.domain.phone import friendly
from portal.gateways.provider import Found


def live_credentials() -> Credentials | None:
    return app_settings.live_gateway().credentials


def live_sender() -> SenderSettings | None:
    """The number that sends when nothing is rehearsed, and that handsets answer to."""
    return app_settings.live_gateway().sender


def sending_number() -> str:
    """The number that START is texted to, as people read it."""
    sender = live_sender()
    number = sender.from_number if sender else ""
    return friendly(number, settings().region) or "the number that our texts come from"


def created_ms(found: Found) -> int:
    """When Twilio says the message was made; far in the future when it says nothing that can be read."""
    try:
        return round(parsedate_to_datetime(found.created).timestamp() * 1000)
    except (TypeError, ValueError):
        return 2**53
