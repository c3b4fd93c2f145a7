"""The possible outcomes of a call to a provider (docs/reliability.md#attempt-outcomes).

`provider_response` is the start of the response body.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Accepted:
    """The provider accepted the message and gave it an id."""

    provider_id: str
    http_status: int | None = None
    provider_response: str = ""


@dataclass(frozen=True)
class Rejected:
    """The provider rejected the message permanently.

    `is_recipient_fault`: it accepts other recipients, whatever the code says.
    """

    code: str
    message: str
    http_status: int | None = None
    provider_response: str = ""
    is_recipient_fault: bool = False


@dataclass(frozen=True)
class NotSent:
    """The message was certainly not sent (429, no connection): retry, after `retry_after_seconds` if given.

    `is_recipient_fault`: the provider accepts other recipients, whatever the code says.
    """

    message: str
    retry_after_seconds: float | None = None
    http_status: int | None = None
    code: str = ""
    provider_response: str = ""
    is_recipient_fault: bool = False


@dataclass(frozen=True)
class Unknown:
    """The message may have been sent (timeout, 5xx, lost connection): find out, and never just repeat the call."""

    message: str
    http_status: int | None = None
    provider_response: str = ""


@dataclass(frozen=True)
class AccountFault:
    """The fault is in our account or settings: pause the lane and do not count the attempt."""

    code: str
    message: str
    http_status: int | None = None
    provider_response: str = ""


@dataclass(frozen=True)
class UnrecognizedError(NotSent):
    """The message was not sent, and it is unclear whose fault that is: the code is new, or everything is forbidden.

    Further messages will show.
    """


Outcome = Accepted | Rejected | NotSent | Unknown | AccountFault
