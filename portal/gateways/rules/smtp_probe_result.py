"""The result of probing the mail server."""

from dataclasses import dataclass
from typing import Literal

SmtpStep = Literal["connect", "encrypt", "login", "sender"]


@dataclass
class SmtpProbe:
    """`failed_step` is None once every step succeeded; `message` is the server's reply or the kind of error.

    `is_local`: the server is on this machine. `has_login`: a user is configured. `offers_login`: it offers AUTH.
    """

    failed_step: SmtpStep | None
    message: str = ""
    is_local: bool = False
    encrypted: bool = False
    has_login: bool = False
    offers_login: bool = False
