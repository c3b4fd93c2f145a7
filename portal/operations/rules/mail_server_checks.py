"""Checks of the email override and, step by step, of the mail server."""

from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways.rules.smtp_probe_result import SmtpProbe
from portal.messages.rules.message_modes import EmailRoute, mask_email_address
from portal.operations.rules.checks import CheckResult, CheckSpec, unknown_results

MAIL_SERVER = CheckSpec("Mail", N_("Mail server"))
MAIL_ENCRYPTION = CheckSpec("Mail", N_("Encryption"))
SMTP_LOGIN = CheckSpec("Mail", N_("Sign-in"))
MAIL_SENDER = CheckSpec("Mail", N_("Sender"))
EMAIL_OVERRIDE = CheckSpec("Portal", N_("Email override"))
MAIL_CHECKS = (MAIL_SERVER, MAIL_ENCRYPTION, SMTP_LOGIN, MAIL_SENDER)
_PLACEHOLDER_HOST = "localhost.localdomain"
_STEP_FAILURES = {
    "connect": (
        N_("It is not reachable (%(message)s), so no email is sent."),
        N_("Start it, or correct EmailServer or PORTAL_SMTP_URL."),
    ),
    "encrypt": (
        N_("TLS could not be negotiated (%(message)s), so no email is sent."),
        N_(
            "Enable STARTTLS on the server, or use TLS in EmailServer or PORTAL_SMTP_URL. The certificate must be for "
            "that host, from an authority that this machine trusts or that ?ca=FILE names."
        ),
    ),
    "login": (
        N_("The server refused our sign-in (%(message)s)."),
        N_("Correct the user and password in EmailServer or PORTAL_SMTP_URL."),
    ),
    "sender": (
        N_("The server refused our address (%(message)s)."),
        N_("Correct the sender in EmailServer or PORTAL_MAIL_FROM, or let the server accept it."),
    ),
}
"""The reason and the fix if a step fails, in the order of `MAIL_CHECKS`."""


def check_email_override(route: EmailRoute) -> CheckResult:
    if route.has_no_destination:
        return EMAIL_OVERRIDE.failing(
            _("It is on and has no valid address, so emails wait. None is lost."),
            _("Set EmailOverrideAddress, or turn EnableEmailOverride off."),
        )
    if route.override_on:
        return EMAIL_OVERRIDE.warning(
            _("It is on: every email goes to %(address)s.", address=mask_email_address(route.address or "")),
            _("Turn EnableEmailOverride off to email people."),
        )
    return EMAIL_OVERRIDE.ok(_("It is off: emails go to their recipients."))


def check_mail_server(probe: SmtpProbe, sender_host: str) -> list[CheckResult]:
    """One result per step; the steps after a failed one are unknown."""
    results = [
        MAIL_SERVER.ok(_("It answers.")),
        _check_encryption(probe),
        _check_login(probe),
        _check_sender(sender_host),
    ]
    if probe.failed_step is None:
        return results
    index = list(_STEP_FAILURES).index(probe.failed_step)
    reason, fix = _STEP_FAILURES[probe.failed_step]
    failure = MAIL_CHECKS[index].failing(_(reason, message=_(probe.message)), _(fix))
    not_tried = unknown_results(MAIL_CHECKS[index + 1 :], _("Not tried, because an earlier step failed."))
    return [*results[:index], failure, *not_tried]


def _check_encryption(probe: SmtpProbe) -> CheckResult:
    if probe.encrypted:
        return MAIL_ENCRYPTION.ok(_("The connection is encrypted."))
    if probe.is_local:
        return MAIL_ENCRYPTION.ok(_("None, and none is needed: the server is on this machine."))
    fix = _("Enable STARTTLS on the server, or use TLS in EmailServer or PORTAL_SMTP_URL.")
    if probe.has_login:
        reason = _("The server offers no STARTTLS: the password and every email would travel in the clear.")
        return MAIL_ENCRYPTION.failing(reason, fix)
    return MAIL_ENCRYPTION.warning(_("The server offers no STARTTLS: emails travel to it in the clear."), fix)


def _check_login(probe: SmtpProbe) -> CheckResult:
    if probe.has_login:
        return SMTP_LOGIN.ok(_("The server accepts our user and password."))
    if probe.offers_login:
        return SMTP_LOGIN.warning(
            _("The server offers a sign-in, and none is configured: it may refuse to relay our email."),
            _("If it does, add a user and password to EmailServer or PORTAL_SMTP_URL."),
        )
    return SMTP_LOGIN.ok(_("None is configured, and the server asks for none."))


def _check_sender(host: str) -> CheckResult:
    if host == _PLACEHOLDER_HOST:
        return MAIL_SENDER.warning(
            _("No sender is set: most servers refuse email from a placeholder address."),
            _("Set one of the organization in EmailServer or PORTAL_MAIL_FROM."),
        )
    return MAIL_SENDER.ok(_("The server accepts email from our address."))
