"""Email addresses: validation and wire format (RFC 5321, RFC 5890)."""

import re
import unicodedata
from dataclasses import dataclass

import idna

from portal.core.translation import N_
from portal.core.translation import gettext as _

_NOT_AN_ADDRESS = N_("This is not an email address, such as name@example.org.")
_MAX_LENGTH, _MAX_LOCAL_LENGTH, _MAX_DOMAIN_LENGTH = 254, 64, 253
_INVISIBLE_CATEGORIES = ("Cc", "Cf", "Cn", "Co", "Cs", "Zs", "Zl", "Zp")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*\Z")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")
_NAME_AND_ADDRESS = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"\Z')


class EmailAddressError(ValueError):
    """The address cannot be used; the message says why."""


@dataclass(frozen=True)
class Mailbox:
    """`address` is in wire format: its domain is ASCII."""

    name: str
    address: str


def address_problem(text: str) -> str | None:
    """What is wrong with an email address; None if it is valid."""
    try:
        to_wire_format(text)
    except EmailAddressError as error:
        return str(error)
    return None


def to_wire_format(text: str, *, public_domain: bool = True) -> str:
    """The address with its domain in ASCII (IDNA 2008). A `public_domain` must contain a dot.

    Raises `EmailAddressError` with a sentence for a person.
    """
    local, at, domain = text.rpartition("@")
    _reject_invisible(text)
    if not at or not _LOCAL.match(local) or (public_domain and "." not in domain.replace("\u3002", ".")):
        raise EmailAddressError(_(_NOT_AN_ADDRESS))
    ascii_domain = _ascii_domain(domain)
    if len(local.encode()) > _MAX_LOCAL_LENGTH or len(f"{local}@{ascii_domain}".encode()) > _MAX_LENGTH:
        raise EmailAddressError(_(_NOT_AN_ADDRESS))
    return f"{local}@{ascii_domain}"


def needs_smtputf8(address: str) -> bool:
    """Whether the local part has non-ASCII characters, which the mail server must support (RFC 6531)."""
    return not address.rpartition("@")[0].isascii()


def parse_mailbox(text: str) -> Mailbox:
    """Parse `Name <address>` or an address alone. Raises `EmailAddressError`.

    A non-ASCII local part is refused, because every recipient's server would have to support it.
    """
    match = _NAME_AND_ADDRESS.match(text.strip())
    name, address = (match["name"].strip(), match["address"].strip()) if match else ("", text.strip())
    if _QUOTED.match(name):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    if _SURROGATE.search(name):
        raise EmailAddressError(_("The name is not in UTF-8."))
    address = to_wire_format(address, public_domain=False)
    if needs_smtputf8(address):
        raise EmailAddressError(_("The part before the @ may contain only ASCII characters."))
    return Mailbox(name, address)


def _reject_invisible(text: str) -> None:
    for character in text:
        if not character.isascii() and unicodedata.category(character) in _INVISIBLE_CATEGORIES:
            raise EmailAddressError(
                _(
                    "The address contains an invisible character (U+%(code)s). Type the address again.",
                    code=f"{ord(character):04X}",
                )
            )


def _ascii_domain(domain: str) -> str:
    try:
        encoded = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise EmailAddressError(_("%(domain)s is not a valid domain.", domain=domain)) from error
    labels = encoded.split(".")
    if len(encoded) > _MAX_DOMAIN_LENGTH or not all(map(_LABEL.match, labels)) or labels[-1].isdecimal():
        raise EmailAddressError(_(_NOT_AN_ADDRESS))
    return encoded
