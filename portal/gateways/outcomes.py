"""How an outside call can end (docs/reliability.md#attempt-outcomes). `answer` is the start of the response."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Accepted:
    """The provider took it and named it."""

    provider_id: str
    http_status: int | None = None
    provider_response: str = ""


@dataclass(frozen=True)
class Rejected:
    """The provider said no for good: stop, tell. `is_recipients`: others are taken, whatever the code says."""

    code: str
    message: str
    http_status: int | None = None
    provider_response: str = ""
    is_recipient_fault: bool = False


@dataclass(frozen=True)
class NotSent:
    """It certainly did not happen (429, no connection): try again, after `retry_after_seconds` if one was named.

    `is_recipients`: others are taken, whatever the code says.
    """

    message: str
    retry_after_seconds: float | None = None
    http_status: int | None = None
    code: str = ""
    provider_response: str = ""
    is_recipient_fault: bool = False


@dataclass(frozen=True)
class Unknown:
    """It may have happened (time-out, 5xx, connection lost): find out, never just repeat."""

    message: str
    http_status: int | None = None
    provider_response: str = ""


@dataclass(frozen=True)
class AccountFault:
    """The fault lies with our account or settings: pause the lane, burn no attempts."""

    code: str
    message: str
    http_status: int | None = None
    provider_response: str = ""


@dataclass(frozen=True)
class UnrecognizedError(NotSent):
    """It certainly did not happen, and nobody knows whose fault that is: the provider said no by a code that is new, or
    something forbids everything. Others will show."""


Outcome = Accepted | Rejected | NotSent | Unknown | AccountFault
