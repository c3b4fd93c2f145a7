"""What a mail server showed of itself when we knocked, and what to think of it."""

from portal.gateways.rules.smtp_probe_result import SmtpProbe
from portal.messages.rules.message_modes import EmailRoute, mask_email_address
from portal.operations.rules.checks import CheckResult, CheckSpec

MAIL_SERVER = CheckSpec("Mail", "Mail server")
MAIL_ENCRYPTION = CheckSpec("Mail", "Encryption")
SMTP_LOGIN = CheckSpec("Mail", "Sign-in")
MAIL_SENDER = CheckSpec("Mail", "Sender")
EMAIL_OVERRIDE = CheckSpec("Portal", "Email override")
MAIL_CHECKS = (MAIL_SERVER, MAIL_ENCRYPTION, SMTP_LOGIN, MAIL_SENDER)
_PLACEHOLDER_HOST = "localhost.localdomain"


def check_email_override(route: EmailRoute) -> CheckResult:
    if route.has_no_destination:
        return EMAIL_OVERRIDE.failing(
            "It is on and has no address that mail can go to, so emails wait. None is lost.",
            "Set EmailOverrideAddress, or switch EnableEmailOverride off.",
        )
    if route.override_on:
        return EMAIL_OVERRIDE.warning(
            f"It is on: every email goes to {mask_email_address(route.address or '')} instead.",
            "Switch EnableEmailOverride off to mail people.",
        )
    return EMAIL_OVERRIDE.ok("It is off: emails go to the people they are meant for.")


def check_mail_server(probe: SmtpProbe, sender_host: str) -> list[CheckResult]:
    """A line for each step; those after a step that failed were not tried."""
    judged = {
        "connect": _check_connection(probe),
        "encrypt": _check_encryption(probe),
        "login": _check_login(probe),
    }
    judged["sender"] = _check_sender(probe, sender_host)
    steps = list(judged)
    if probe.failed_step is None:
        return list(judged.values())
    reached = steps.index(probe.failed_step)
    skipped = [spec.unknown("Not tried, because a step before it failed.") for spec in MAIL_CHECKS[reached + 1 :]]
    return [*list(judged.values())[: reached + 1], *skipped]


def _check_connection(probe: SmtpProbe) -> CheckResult:
    if probe.failed_step == "connect":
        return MAIL_SERVER.failing(
            f"It could not be reached ({probe.message}), so no email leaves.", "Start it, or correct PORTAL_SMTP_URL."
        )
    return MAIL_SERVER.ok("It answers.")


def _check_encryption(probe: SmtpProbe) -> CheckResult:
    if probe.failed_step == "encrypt":
        return MAIL_ENCRYPTION.failing(
            f"TLS could not be agreed on ({probe.message}), so no email leaves.",
            "Let the server offer STARTTLS, or use smtps:// in PORTAL_SMTP_URL. Its certificate must be for that host, "
            "and from an authority that this machine trusts, or that ?ca=FILE names.",
        )
    if probe.encrypted:
        return MAIL_ENCRYPTION.ok("The connection is encrypted.")
    if probe.is_local:
        return MAIL_ENCRYPTION.ok("None, and none is needed: the server is on this machine.")
    if probe.has_login:
        return MAIL_ENCRYPTION.failing(
            "The server offers no STARTTLS: the password and every email would travel in the clear.",
            "Enable STARTTLS there, or use smtps:// in PORTAL_SMTP_URL.",
        )
    return MAIL_ENCRYPTION.warning(
        "The server offers no STARTTLS: email travels to it in the clear.",
        "Enable STARTTLS there, or use smtps:// in PORTAL_SMTP_URL.",
    )


def _check_login(probe: SmtpProbe) -> CheckResult:
    if probe.failed_step == "login":
        return SMTP_LOGIN.failing(
            f"The server refused our sign-in ({probe.message}), so no email leaves.",
            "Correct user and password in PORTAL_SMTP_URL.",
        )
    if probe.has_login:
        return SMTP_LOGIN.ok("The server accepts our user and password.")
    if probe.offers_login:
        return SMTP_LOGIN.warning(
            "The server offers a sign-in, and none is configured: it may refuse to pass our email on.",
            "If it does, put user and password into PORTAL_SMTP_URL.",
        )
    return SMTP_LOGIN.ok("None is configured, and the server asks for none.")


def _check_sender(probe: SmtpProbe, host: str) -> CheckResult:
    if probe.failed_step == "sender":
        return MAIL_SENDER.failing(
            f"The server does not take email from our address ({probe.message}).",
            "Correct PORTAL_MAIL_FROM, or let the server take it.",
        )
    if host == _PLACEHOLDER_HOST:
        return MAIL_SENDER.warning(
            "PORTAL_MAIL_FROM is not set: email from a placeholder address is refused by most.",
            "Set it to an address of the organisation.",
        )
    return MAIL_SENDER.ok("The server takes email from our address.")
