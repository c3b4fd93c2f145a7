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
class Trouble:
    """A question that was not answered. `status` None: nobody was heard at all. `date` is the refusal's Date header."""

    words: str
    status: int | None = None
    code: str = ""
    date: str = ""

    @property
    def is_refusal(self) -> bool:
        return self.status in (401, 403)


@dataclass(frozen=True)
class Account:
    """`status` is active, suspended or closed; `kind` is Full or Trial; `date` the answer's own Date header."""

    status: str
    kind: str
    date: str


@dataclass(frozen=True)
class OwnNumber:
    """A number or short code of the account. `kind` as Twilio spells it, "" when it does not say."""

    sid: str
    number: str
    can_text: bool
    kind: str = ""


@dataclass(frozen=True)
class Wiring:
    """Where Twilio takes what comes in at a number, a short code or a service.

    `application`: an application stands in for the addresses, which are then not used.
    """

    sid: str
    inbound_url: str
    inbound_method: str
    status_url: str
    application: bool = False


@dataclass(frozen=True)
class Service:
    """`number_decides`: what comes in goes where the number says, not where the service says."""

    wiring: Wiring
    number_decides: bool


def is_short_code(number: str) -> bool:
    return bool(_SHORT_CODE.match(number))


def type_by_twilio(own: OwnNumber) -> NumberType | None:
    """None when Twilio does not say, or says something new."""
    if is_short_code(own.number):
        return "short_code"
    told = re.sub(r"[^a-z]", "", own.kind.lower())
    if told == "tollfree":
        return "toll_free"
    return "long_code" if told in ("local", "mobile", "national", "longcode") else None


def type_by_number(number: str) -> NumberType:
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
