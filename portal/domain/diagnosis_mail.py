"""What a mail server showed of itself when we knocked, and what to think of it."""

from dataclasses import dataclass
from typing import Literal

from portal.domain.diagnosis import Check, Subject
from portal.domain.rehearsal import EmailRoute, masked_address

SERVER = Subject("Mail", "Mail server")
ENCRYPTION = Subject("Mail", "Encryption")
SIGN_IN = Subject("Mail", "Sign-in")
SENDER = Subject("Mail", "Sender")
OVERRIDE = Subject("Portal", "Email override")
SUBJECTS = (SERVER, ENCRYPTION, SIGN_IN, SENDER)
Step = Literal["connect", "encrypt", "login", "sender"]
_PLACEHOLDER_HOST = "localhost.localdomain"


@dataclass(frozen=True)
class MailKnock:
    """`broke_at` is the step that failed, None when none did; `words` the server's own, or the kind of fault.

    `here`: the server is on this machine. `login`: a user is configured; `wants_login`: the server offers AUTH.
    """

    broke_at: Step | None
    words: str = ""
    here: bool = False
    encrypted: bool = False
    login: bool = False
    wants_login: bool = False


def override(route: EmailRoute) -> Check:
    if route.stands_still:
        return OVERRIDE.failing(
            "It is on and has no address that mail can go to, so emails wait. None is lost.",
            "Set EmailOverrideAddress, or switch EnableEmailOverride off.",
        )
    if route.override_on:
        return OVERRIDE.warning(
            f"It is on: every email goes to {masked_address(route.address or '')} instead.",
            "Switch EnableEmailOverride off to mail people.",
        )
    return OVERRIDE.ok("It is off: emails go to the people they are meant for.")


def mail(knock: MailKnock, sender_host: str) -> list[Check]:
    """A line for each step; those after a step that failed were not tried."""
    judged = {"connect": _server(knock), "encrypt": _encryption(knock), "login": _sign_in(knock)}
    judged["sender"] = _sender(knock, sender_host)
    steps = list(judged)
    if knock.broke_at is None:
        return list(judged.values())
    reached = steps.index(knock.broke_at)
    skipped = [subject.unknown("Not tried, because a step before it failed.") for subject in SUBJECTS[reached + 1 :]]
    return [*list(judged.values())[: reached + 1], *skipped]


def _server(knock: MailKnock) -> Check:
    if knock.broke_at == "connect":
        return SERVER.failing(
            f"It could not be reached ({knock.words}), so no email leaves.", "Start it, or correct PORTAL_SMTP_URL."
        )
    return SERVER.ok("It answers.")


def _encryption(knock: MailKnock) -> Check:
    if knock.broke_at == "encrypt":
        return ENCRYPTION.failing(
            f"TLS could not be agreed on ({knock.words}), so no email leaves.",
            "Let the server offer STARTTLS, or use smtps:// in PORTAL_SMTP_URL. Its certificate must be for that host, "
            "and from an authority that this machine trusts, or that ?ca=FILE names.",
        )
    if knock.encrypted:
        return ENCRYPTION.ok("The connection is encrypted.")
    if knock.here:
        return ENCRYPTION.ok("None, and none is needed: the server is on this machine.")
    if knock.login:
        return ENCRYPTION.failing(
            "The server offers no STARTTLS: the password and every email would travel in the clear.",
            "Enable STARTTLS there, or use smtps:// in PORTAL_SMTP_URL.",
        )
    return ENCRYPTION.warning(
        "The server offers no STARTTLS: email travels to it in the clear.",
        "Enable STARTTLS there, or use smtps:// in PORTAL_SMTP_URL.",
    )


def _sign_in(knock: MailKnock) -> Check:
    if knock.broke_at == "login":
        return SIGN_IN.failing(
            f"The server refused our sign-in ({knock.words}), so no email leaves.",
            "Correct user and password in PORTAL_SMTP_URL.",
        )
    if knock.login:
        return SIGN_IN.ok("The server accepts our user and password.")
    if knock.wants_login:
        return SIGN_IN.warning(
            "The server offers a sign-in, and none is configured: it may refuse to pass our email on.",
            "If it does, put user and password into PORTAL_SMTP_URL.",
        )
    return SIGN_IN.ok("None is configured, and the server asks for none.")


def _sender(knock: MailKnock, host: str) -> Check:
    if knock.broke_at == "sender":
        return SENDER.failing(
            f"The server does not take email from our address ({knock.words}).",
            "Correct PORTAL_MAIL_FROM, or let the server take it.",
        )
    if host == _PLACEHOLDER_HOST:
        return SENDER.warning(
            "PORTAL_MAIL_FROM is not set: email from a placeholder address is refused by most.",
            "Set it to an address of the organisation.",
        )
    return SENDER.ok("The server takes email from our address.")
