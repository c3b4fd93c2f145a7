"""The settings of an installation that environment variables may fix: address, place, language and mail server."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import phonenumbers

from portal.core.rules.email_address import EmailAddressError, parse_mailbox
from portal.core.rules.setting_error import key_label
from portal.core.rules.setting_schema import SettingField, SettingSchema
from portal.core.rules.smtp_url import SmtpUrlError, parse_smtp_url
from portal.core.rules.transport.loopback import is_loopback
from portal.core.translation import N_
from portal.core.translation import gettext as _

PUBLIC_URL, REGION, TIME_ZONE, LANGUAGE, EMAIL_SERVER = "PublicUrl", "Region", "TimeZone", "Language", "EmailServer"
INSTALLATION_FIELDS = {PUBLIC_URL: "public_url", REGION: "region", TIME_ZONE: "time_zone", LANGUAGE: "language"}
"""The names of the settings in `core.config.Settings` and in forms."""
MAIL_FROM_VARIABLE = "PORTAL_MAIL_FROM"
_MAX_PORT = 65_535
_HOST = re.compile(r"[^\s/@?#:\[\]]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_STARTTLS, _TLS, _NONE = "starttls", "tls", "none"
_SECURITY_CHOICES = {
    _STARTTLS: N_("STARTTLS, always; usual with port 587"),
    _TLS: N_("TLS from the start; usual with port 465"),
    _NONE: N_("None; only on this machine"),
}


def parse_public_url(text: str) -> str:
    """HTTPS, or HTTP to this machine; a host and perhaps a port, and nothing else. Raises `ValueError`."""
    try:
        parts = urlsplit(text)
        _port = parts.port
    except ValueError:
        parts = urlsplit("")
    is_bare = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_bare or not text.isprintable():
        raise ValueError(
            N_("The public address must be a full address without a path, such as https://portal.example.org.")
        )
    if any(map(str.isspace, text)) or "\\" in text:
        raise ValueError(N_("The public address must not contain spaces or backslashes."))
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(
            N_(
                "The public address must begin with https://, because over http:// passwords travel in the clear. "
                "Put a proxy with TLS in front of the portal first, and keep the present address until then."
            )
        )
    return f"{parts.scheme}://{parts.netloc.lower()}"


def parse_region(text: str) -> str:
    """Raises `ValueError`."""
    if text.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(N_("The region must be the two letters of a country, such as US."))
    return text.upper()


def smtp_url(value: Mapping[str, Any]) -> str:
    """The mail server as a URL, which is how the gateway and `PORTAL_SMTP_URL` name it.

    Earlier releases stored “none” for other machines too; such a server has to offer STARTTLS now.
    """
    security, user, password = value.get("Security"), value.get("User"), value.get("Password")
    scheme = "smtps" if security == _TLS else "smtp"
    sign_in = f"{quote(user, safe='')}:{quote(password or '', safe='')}@" if user else ""
    port = f":{int(value['Port'])}" if "Port" in value else ""
    url = f"{scheme}://{sign_in}{str(value['Host']).rstrip('.')}{port}"
    if security == _NONE and parse_smtp_url(url).is_loopback:
        return f"{url}?starttls=never"
    return f"{url}?starttls=always" if security == _STARTTLS else url


def _check_host(key: str, value: Any) -> str:
    if _HOST.fullmatch(value):
        return ""
    return _("%(key)s must be the name of the mail server alone, such as smtp.example.org.", key=key)


def _check_port(key: str, value: Any) -> str:
    if isinstance(value, int) and 1 <= value <= _MAX_PORT:
        return ""
    return _("%(key)s must be a whole number from 1 to %(limit)s.", key=key, limit=str(_MAX_PORT))


def _check_sender(key: str, value: Any) -> str:
    try:
        parse_mailbox(value)
    except EmailAddressError as error:
        return _(
            "%(key)s cannot be used. %(problem)s Write it like %(example)s.",
            key=key,
            problem=str(error),
            example="Example Office <notices@example.org>",
        )
    return ""


def _check_mail_server(name: str, value: Mapping[str, Any]) -> dict[str, str]:
    if not value:
        return {}
    needed = {"Host": N_("%(key)s is missing: name the mail server."), "From": N_("%(key)s is missing.")}
    errors = {key: _(message, key=key_label(name, key)) for key, message in needed.items() if key not in value}
    if "User" in value and not value.get("Password"):
        errors["Password"] = _("%(key)s is missing: the user needs one.", key=key_label(name, "Password"))
    if "Password" in value and not value.get("User"):
        errors["User"] = _("%(key)s is missing: the password needs one.", key=key_label(name, "User"))
    if errors:
        return errors
    return _check_security(name, value)


def _check_security(name: str, value: Mapping[str, Any]) -> dict[str, str]:
    try:
        server = parse_smtp_url(smtp_url(value))
    except SmtpUrlError:
        return {"Host": _check_host(key_label(name, "Host"), "/")}
    if value.get("Security") == _NONE and not server.is_loopback:
        key = key_label(name, "Security")
        return {"Security": _("%(key)s cannot be none: emails would travel to another machine in the clear.", key=key)}
    return {}


_FIELDS = (
    SettingField("Host", N_("Mail server"), N_("Such as smtp.example.org."), check_value=_check_host),
    SettingField("Port", N_("Port"), N_("Empty for the usual one."), "number", check_value=_check_port),
    SettingField("Security", N_("Encryption"), "", "choice", _SECURITY_CHOICES,
                 empty_choice=N_("STARTTLS; on this machine only if the server offers it")),
    SettingField("User", N_("User"), N_("Leave it empty if the server asks for none.")),
    SettingField("Password", N_("Password"), "", "secret", required_with="User"),
    SettingField("From", N_("Sender"),
                 N_("Who the emails come from, such as Example Office <notices@example.org>."),
                 check_value=_check_sender),
)  # fmt: skip
MAIL_SERVER_SCHEMA = SettingSchema(_FIELDS, _check_mail_server)
