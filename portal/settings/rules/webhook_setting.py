"""The webhook that alerts are sent to: its address, and the secret that signs them."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from portal.core.rules.setting_error import key_label
from portal.core.rules.setting_schema import SettingField, SettingSchema
from portal.core.translation import N_
from portal.core.translation import gettext as _

WEBHOOK = "AlertWebhook"
_MIN_SECRET_LENGTH = 16


def is_permitted_url(url: str) -> bool:
    """HTTPS, or HTTP to this machine, where nobody listens in."""
    try:
        parts = urlsplit(url)
        _port = parts.port
    except ValueError:
        return False
    if not parts.hostname or parts.username is not None or not url.isascii() or any(map(str.isspace, url)):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url_error(key: str, url: str) -> str:
    if is_permitted_url(url):
        return ""
    return _("%(key)s must begin with https://, or with http:// for this machine, and have no password.", key=key)


def _secret_error(key: str, secret: str) -> str:
    if len(secret) >= _MIN_SECRET_LENGTH:
        return ""
    return _("%(key)s must have at least %(limit)s characters.", key=key, limit=_MIN_SECRET_LENGTH)


def _missing_keys(name: str, value: Mapping[str, Any]) -> dict[str, str]:
    """Both or neither: an unsigned alert could come from anybody."""
    if not value:
        return {}
    missing = [key for key in ("Url", "Secret") if not value.get(key)]
    return {
        key: _("%(key)s is missing. A webhook needs an address and a secret.", key=key_label(name, key))
        for key in missing
    }


_FIELDS = (
    SettingField("Url", N_("Address"), N_("Such as https://example.org/alerts. Leave it empty for no webhook."),
                 check_value=_url_error),
    SettingField("Secret", N_("Secret"), N_("At least 16 characters, which your server uses to check the signature."),
                 "secret", check_value=_secret_error, required_with="Url"),
)  # fmt: skip
WEBHOOK_SCHEMA = SettingSchema(_FIELDS, _missing_keys)
