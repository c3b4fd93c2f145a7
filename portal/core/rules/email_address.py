"""Email addresses: whether one can be sent to, in words, and how it goes over the wire (RFC 5321, RFC 5890)."""

import re
import unicodedata
from dataclasses import dataclass

import idna

_NOT_AN_ADDRESS = "This is not an email address, such as name@example.org."
_MAX_LENGTH, _MAX_LOCAL_LENGTH, _MAX_DOMAIN_LENGTH = 254, 64, 253
_INVISIBLE_CATEGORIES = ("Cc", "Cf", "Cn", "Co", "Cs", "Zs", "Zl", "Zp")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*\Z")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")
_NAME_AND_ADDRESS = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"\Z')


class EmailAddressError(ValueError):
    """Not an address that mail can be sent to or come from; the text says why."""


@dataclass(frozen=True)
class Mailbox:
    """`address` is as it goes over the wire: its domain is ASCII."""

    name: str
    address: str


def address_problem(text: str) -> str | None:
    """What is wrong with an email address; None when nothing is."""
    try:
        to_wire_format(text)
    except EmailAddressError as error:
        return str(error)
    return None


def to_wire_format(text: str, *, public_domain: bool = True) -> str:
    """The address with its domain in ASCII (IDNA 2008). Raises `EmailAddressError` with a sentence for a person.

    `dotted`: whether its domain must be one of the whole internet's.
    """
    local, at, domain = text.rpartition("@")
    _reject_invisible(text)
    if not at or not _LOCAL.match(local) or (public_domain and "." not in domain.replace("\u3002", ".")):
        raise EmailAddressError(_NOT_AN_ADDRESS)
    ascii_domain = _ascii_domain(domain)
    if len(local.encode()) > _MAX_LOCAL_LENGTH or len(f"{local}@{ascii_domain}".encode()) > _MAX_LENGTH:
        raise EmailAddressError(_NOT_AN_ADDRESS)
    return f"{local}@{ascii_domain}"


def needs_smtputf8(address: str) -> bool:
    """Whether a mail server has to take letters beyond ASCII before the @ (RFC 6531); the domain never needs that."""
    return not address.rpartition("@")[0].isascii()


def parse_mailbox(text: str) -> Mailbox:
    """Of `Name <address>` or an address alone. Raises `EmailAddressError`.

    Letters beyond ASCII before the @ are refused: the server of every recipient would have to take them.
    """
    found = _NAME_AND_ADDRESS.match(text.strip())
    name, address = (found["name"].strip(), found["address"].strip()) if found else ("", text.strip())
    if _QUOTED.match(name):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    if _SURROGATE.search(name):
        raise EmailAddressError("Its name is not in UTF-8.")
    wire = to_wire_format(address, public_domain=False)
    if needs_smtputf8(wire):
        raise EmailAddressError("The part before the @ may hold letters without accents, digits and signs only.")
    return Mailbox(name, wire)


def _reject_invisible(text: str) -> None:
    for character in text:
        if not character.isascii() and unicodedata.category(character) in _INVISIBLE_CATEGORIES:
            raise EmailAddressError(
                f"The address holds a character that cannot be seen (U+{ord(character):04X}). Type it again without it."
            )


def _ascii_domain(domain: str) -> str:
    try:
        found = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise EmailAddressError(f"There can be no mail domain {domain}.") from error
    labels = found.split(".")
    if len(found) > _MAX_DOMAIN_LENGTH or not all(map(_LABEL.match, labels)) or labels[-1].isdecimal():
        raise EmailAddressError(_NOT_AN_ADDRESS)
    return found
