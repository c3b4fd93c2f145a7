"""Addresses with letters beyond ASCII before the @: whether our mail server takes them, asked where one is typed."""

from collections.abc import Iterable

from portal.core.context import settings
from portal.core.rules.email_address import needs_smtputf8
from portal.gateways.smtp_probe import offers_smtputf8

_NON_ASCII = "The part before the @ has letters beyond ASCII, and your mail server "
_UNSUPPORTED = f"{_NON_ASCII}takes none of those (it offers no SMTPUTF8). Use another address."
_UNKNOWN = f"{_NON_ASCII}cannot be asked now whether it takes those. Try again later, or use another address."


def smtputf8_problem(addresses: Iterable[str]) -> str | None:
    """Why none of these that has such letters can be sent to; None when all can. The server is asked once at most."""
    if not any(map(needs_smtputf8, addresses)):
        return None
    offered = offers_smtputf8(settings().smtp_url)
    return None if offered else _UNKNOWN if offered is None else _UNSUPPORTED
