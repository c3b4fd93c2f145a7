"""Email addresses: whether one can be sent to, in words, and how it goes over the wire (RFC 5321, RFC 5890)."""

import re
import unicodedata
from dataclasses import dataclass

import idna

_EXAMPLE = "This is not an email address, such as name@example.org."
_LONGEST, _LONGEST_LOCAL, _LONGEST_DOMAIN = 254, 64, 253
_UNSEEN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zs", "Zl", "Zp")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*\Z")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")
_WITH_NAME = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"\Z')


class AddressError(ValueError):
    """Not an address that mail can be sent to or come from; the text says why."""


@dataclass(frozen=True)
class Mailbox:
    """`address` is as it goes over the wire: its domain is ASCII."""

    name: str
    address: str


def problem(text: str) -> str | None:
    """What is wrong with an email address; None when nothing is."""
    try:
        on_the_wire(text)
    except AddressError as error:
        return str(error)
    return None


def on_the_wire(text: str, *, dotted: bool = True) -> str:
    """The address with its domain in ASCII (IDNA 2008). Raises `AddressError` with a sentence for a person.

    `dotted`: whether its domain must be one of the whole internet's.
    """
    local, at, domain = text.rpartition("@")
    _refuse_unseen(text)
    if not at or not _LOCAL.match(local) or (dotted and "." not in domain.replace("\u3002", ".")):
        raise AddressError(_EXAMPLE)
    ascii_domain = _ascii_domain(domain)
    if len(local.encode()) > _LONGEST_LOCAL or len(f"{local}@{ascii_domain}".encode()) > _LONGEST:
        raise AddressError(_EXAMPLE)
    return f"{local}@{ascii_domain}"


def needs_smtputf8(address: str) -> bool:
    """Whether a mail server has to take letters beyond ASCII before the @ (RFC 6531); the domain never needs that."""
    return not address.rpartition("@")[0].isascii()


def sender(text: str) -> Mailbox:
    """Of `Name <address>` or an address alone. Raises `AddressError`.

    Letters beyond ASCII before the @ are refused: the server of every recipient would have to take them.
    """
    found = _WITH_NAME.match(text.strip())
    name, address = (found["name"].strip(), found["address"].strip()) if found else ("", text.strip())
    if _QUOTED.match(name):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    if _SURROGATE.search(name):
        raise AddressError("Its name is not in UTF-8.")
    wire = on_the_wire(address, dotted=False)
    if needs_smtputf8(wire):
        raise AddressError("The part before the @ may hold letters without accents, digits and signs only.")
    return Mailbox(name, wire)


def _refuse_unseen(text: str) -> None:
    for character in text:
        if not character.isascii() and unicodedata.category(character) in _UNSEEN:
            raise AddressError(
                f"The address holds a character that cannot be seen (U+{ord(character):04X}). Type it again without it."
            )


def _ascii_domain(domain: str) -> str:
    try:
        found = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise AddressError(f"There can be no mail domain {domain}.") from error
    labels = found.split(".")
    if len(found) > _LONGEST_DOMAIN or not all(map(_LABEL.match, labels)) or labels[-1].isdecimal():
        raise AddressError(_EXAMPLE)
    return found
