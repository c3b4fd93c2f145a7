"""What Twilio tells of an account, its sending number, and the service and registration behind it."""

import re
from dataclasses import dataclass
from typing import Literal

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType

NumberType = Literal["long_code", "toll_free", "short_code"]
_SHORT_CODE = re.compile(r"[0-9]{5,6}\Z")
_TOLL_FREE = re.compile(r"\+18(00|22|33|44|55|66|77|88)[0-9]{7}\Z")
"""The area codes that the United States and Canada have set aside for it, of which some are newer than our library."""


@dataclass(frozen=True)
class TwilioApiError:
    """A question that was not answered. `status` None: nobody was heard at all. `date` is the refusal's Date header."""

    message: str
    status: int | None = None
    code: str = ""
    date: str = ""

    @property
    def is_auth_error(self) -> bool:
        return self.status in (401, 403)


@dataclass(frozen=True)
class TwilioAccountInfo:
    """`status` is active, suspended or closed; `kind` is Full or Trial; `date` the answer's own Date header."""

    status: str
    kind: str
    date: str


@dataclass(frozen=True)
class TwilioNumber:
    """A number or short code of the account. `kind` as Twilio spells it, "" when it does not say."""

    sid: str
    number: str
    is_sms_capable: bool
    kind: str = ""


@dataclass(frozen=True)
class WebhookConfig:
    """Where Twilio takes what comes in at a number, a short code or a service.

    `application`: an application stands in for the addresses, which are then not used.
    """

    sid: str
    inbound_url: str
    inbound_method: str
    status_url: str
    uses_application: bool = False


@dataclass(frozen=True)
class MessagingService:
    """`use_inbound_webhook_on_number`: what comes in goes where the number says, not where the service says."""

    webhook_config: WebhookConfig
    use_inbound_webhook_on_number: bool


def is_short_code(number: str) -> bool:
    return bool(_SHORT_CODE.match(number))


def reported_number_type(own: TwilioNumber) -> NumberType | None:
    """None when Twilio does not say, or says something new."""
    if is_short_code(own.number):
        return "short_code"
    told = re.sub(r"[^a-z]", "", own.kind.lower())
    if told == "tollfree":
        return "toll_free"
    return "long_code" if told in ("local", "mobile", "national", "longcode") else None


def infer_number_type(number: str) -> NumberType:
    """What the digits say. What Twilio means by a toll-free number there is in the United States and Canada alone."""
    if is_short_code(number):
        return "short_code"
    if _TOLL_FREE.match(number):
        return "toll_free"
    if not number.startswith("+1"):
        return "long_code"
    try:
        kind = phonenumbers.number_type(phonenumbers.parse(number, None))
    except NumberParseException:
        return "long_code"
    return "toll_free" if kind == PhoneNumberType.TOLL_FREE else "long_code"
