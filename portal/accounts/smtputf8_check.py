"""Whether the mail server accepts addresses with non-ASCII letters before the @ (SMTPUTF8, RFC 6531)."""

from collections.abc import Iterable

from portal.core.context import settings
from portal.core.rules.email_address import needs_smtputf8
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways.smtp_probe import offers_smtputf8

_UNSUPPORTED = N_(
    "This address has non-ASCII letters before the @, and your mail server does not support them (it offers no "
    "SMTPUTF8). Use another address."
)
_UNKNOWN = N_(
    "This address has non-ASCII letters before the @, and your mail server cannot be reached to check whether it "
    "supports them. Try again later, or use another address."
)


def smtputf8_problem(addresses: Iterable[str]) -> str | None:
    """Why the addresses with such letters cannot get email; None if all can. Asks the mail server at most once."""
    if not any(map(needs_smtputf8, addresses)):
        return None
    supported = offers_smtputf8(settings().smtp_url)
    return None if supported else _(_UNKNOWN if supported is None else _UNSUPPORTED)
