"""What a probe of the mail server found."""

from dataclasses import dataclass
from typing import Literal

SmtpStep = Literal["connect", "encrypt", "has_login", "sender"]


@dataclass(frozen=True)
class SmtpProbe:
    """`failed_step` is the step that failed, None when none did; `message` the server's own, or the kind of fault.

    `is_local`: the server is on this machine. `has_login`: a user is configured; `offers_login`: the server offers AUTH.
    """

    failed_step: SmtpStep | None
    message: str = ""
    is_local: bool = False
    encrypted: bool = False
    has_login: bool = False
    offers_login: bool = False
