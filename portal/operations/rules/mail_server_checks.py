"""Checks of the email override and, step by step, of the mail server."""

from portal.gateways.rules.smtp_probe_result import SmtpProbe
from portal.messages.rules.message_modes import EmailRoute, mask_email_address
from portal.operations.rules.checks import CheckResult, CheckSpec, unknown_results

MAIL_SERVER = CheckSpec("Mail", "Mail server")
MAIL_ENCRYPTION = CheckSpec("Mail", "Encryption")
SMTP_LOGIN = CheckSpec("Mail", "Sign-in")
MAIL_SENDER = CheckSpec("Mail", "Sender")
EMAIL_OVERRIDE = CheckSpec("Portal", "Email override")
MAIL_CHECKS = (MAIL_SERVER, MAIL_ENCRYPTION, SMTP_LOGIN, MAIL_SENDER)
_PLACEHOLDER_HOST = "localhost.localdomain"
_STEP_FAILURES = {
    "connect": ("It is not reachable ({message}), so no email is sent.", "Start it, or correct PORTAL_SMTP_URL."),
    "encrypt": (
        "TLS could not be negotiated ({message}), so no email is sent.",
        "Enable STARTTLS on the server, or use smtps:// in PORTAL_SMTP_URL. The certificate must be for that host, "
        "from an authority that this machine trusts or that ?ca=FILE names.",
    ),
    "login": ("The server refused our sign-in ({message}).", "Correct the user and password in PORTAL_SMTP_URL."),
    "sender": ("The server refused our address ({message}).", "Correct PORTAL_MAIL_FROM, or let the server accept it."),
}
"""The reason and the fix if a step fails, in the order of `MAIL_CHECKS`."""


def check_email_override(route: EmailRoute) -> CheckResult:
    if route.has_no_destination:
        return EMAIL_OVERRIDE.failing(
            "It is on and has no valid address, so emails wait. None is lost.",
            "Set EmailOverrideAddress, or turn EnableEmailOverride off.",
        )
    if route.override_on:
        return EMAIL_OVERRIDE.warning(
            f"It is on: every email goes to {mask_email_address(route.address or '')} instead.",
            "Turn EnableEmailOverride off to email people.",
        )
    return EMAIL_OVERRIDE.ok("It is off: emails go to the people they are meant for.")


def check_mail_server(probe: SmtpProbe, sender_host: str) -> list[CheckResult]:
    """One result per step; the steps after a failed one are unknown."""
    results = [MAIL_SERVER.ok("It answers."), _check_encryption(probe), _check_login(probe), _check_sender(sender_host)]
    if probe.failed_step is None:
        return results
    index = list(_STEP_FAILURES).index(probe.failed_step)
    reason, fix = _STEP_FAILURES[probe.failed_step]
    failure = MAIL_CHECKS[index].failing(reason.format(message=probe.message), fix)
    not_tried = unknown_results(MAIL_CHECKS[index + 1 :], "Not tried, because an earlier step failed.")
    return [*results[:index], failure, *not_tried]


def _check_encryption(probe: SmtpProbe) -> CheckResult:
    if probe.encrypted:
        return MAIL_ENCRYPTION.ok("The connection is encrypted.")
    if probe.is_local:
        return MAIL_ENCRYPTION.ok("None, and none is needed: the server is on this machine.")
    fix = "Enable STARTTLS on the server, or use smtps:// in PORTAL_SMTP_URL."
    if probe.has_login:
        reason = "The server offers no STARTTLS: the password and every email would travel in the clear."
        return MAIL_ENCRYPTION.failing(reason, fix)
    return MAIL_ENCRYPTION.warning("The server offers no STARTTLS: emails travel to it in the clear.", fix)


def _check_login(probe: SmtpProbe) -> CheckResult:
    if probe.has_login:
        return SMTP_LOGIN.ok("The server accepts our user and password.")
    if probe.offers_login:
        return SMTP_LOGIN.warning(
            "The server offers a sign-in, and none is configured: it may refuse to relay our email.",
            "If it does, add a user and password to PORTAL_SMTP_URL.",
        )
    return SMTP_LOGIN.ok("None is configured, and the server asks for none.")


def _check_sender(host: str) -> CheckResult:
    if host == _PLACEHOLDER_HOST:
        return MAIL_SENDER.warning(
            "PORTAL_MAIL_FROM is not set: most servers refuse email from a placeholder address.",
            "Set it to an address of the organisation.",
        )
    return MAIL_SENDER.ok("The server accepts email from our address.")
