"""Twilio's resources: an account, its sending numbers, messaging services and webhooks."""

import re
from dataclasses import dataclass
from typing import Literal

NumberType = Literal["long_code", "toll_free", "short_code"]
_SHORT_CODE = re.compile(r"[0-9]{5,6}\Z")
_TOLL_FREE = re.compile(r"\+18(00|22|33|44|55|66|77|88)[0-9]{7}\Z")
"""Toll-free area codes of the United States and Canada."""


@dataclass(frozen=True)
class TwilioApiError:
    """A failed request. `status` is None if there was no response; `date` is the response's Date header."""

    message: str
    status: int | None = None
    code: str = ""
    date: str = ""

    @property
    def is_auth_error(self) -> bool:
        return self.status in (401, 403)


@dataclass(frozen=True)
class TwilioAccountInfo:
    """`status` is active, suspended or closed; `kind` is Full or Trial; `date` is the response's Date header."""

    status: str
    kind: str
    date: str


@dataclass(frozen=True)
class TwilioNumber:
    """A phone number or short code on the account. `kind` is Twilio's type, or "" if it is missing."""

    sid: str
    number: str
    is_sms_capable: bool
    kind: str = ""


@dataclass(frozen=True)
class WebhookConfig:
    """The webhook URLs of a number, a short code or a messaging service.

    `uses_application`: a TwiML application replaces the URLs.
    """

    sid: str
    inbound_url: str
    inbound_method: str
    status_url: str
    uses_application: bool = False


@dataclass(frozen=True)
class MessagingService:
    """`use_inbound_webhook_on_number`: inbound texts go to the number's webhook, not to the service's."""

    webhook_config: WebhookConfig
    use_inbound_webhook_on_number: bool


@dataclass(frozen=True)
class RegistrationState:
    """A campaign or verification: its status as Twilio spells it, and why it was rejected."""

    status: str
    error_codes: tuple[str, ...] = ()


def is_short_code(number: str) -> bool:
    return bool(_SHORT_CODE.match(number))


def reported_number_type(own: TwilioNumber) -> NumberType | None:
    """The type that Twilio reports; None if it is missing or unknown."""
    if is_short_code(own.number):
        return "short_code"
    kind = re.sub(r"[^a-z]", "", own.kind.lower())
    if kind == "tollfree":
        return "toll_free"
    return "long_code" if kind in ("local", "mobile", "national", "longcode") else None


def infer_number_type(number: str) -> NumberType:
    """The type by the digits. Twilio has toll-free numbers only in the United States and Canada."""
    if is_short_code(number):
        return "short_code"
    return "toll_free" if _TOLL_FREE.match(number) else "long_code"
