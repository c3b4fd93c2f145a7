"""Settings that are valid on their own, but not together."""

from collections.abc import Mapping
from typing import Any

from portal.core.rules.setting_error import SettingError, key_label
from portal.core.translation import gettext as _

_OVERRIDE = "SmsOverrideNumber"
_EMAIL_ON, _EMAIL_TO = "EnableEmailOverride", "EmailOverrideAddress"
_TEST, _ADDITIONAL = "TestSmsGatewaySettings", "MoreNumbers"
_SENDERS = ("SmsGatewaySettings", _TEST)


def check_conflicts(name: str, values: Mapping[str, Any]) -> None:
    """Check the setting `name` against the others. Raises `SettingError` for the field at fault.

    Twilio rejects a text from a number to itself (21211, 21266), so such an override would block every text.
    """
    if name == _EMAIL_ON and values[name] and not values.get(_EMAIL_TO):
        message = _("%(name)s: set %(other)s first. Otherwise emails have nowhere to go.", name=name, other=_EMAIL_TO)
        raise SettingError.for_key(name, message)
    if name == _TEST and len(_sender_numbers(values.get(name))) > 1:
        message = _(
            "%(key)s must be left out. In test mode, texts come from one number.", key=key_label(name, _ADDITIONAL)
        )
        raise SettingError.for_key(name, message, _ADDITIONAL)
    override = values.get(_OVERRIDE)
    same = [sender for sender in _SENDERS if override in _sender_numbers(values.get(sender))]
    if name == _OVERRIDE and same:
        values = {"name": name, "other": same[0]}
        message = _("%(name)s must differ from the numbers of %(other)s: a number cannot text itself.", **values)
        raise SettingError.for_key(name, message)
    if name in same:
        key = "FromNumber" if override == values[name].get("FromNumber") else _ADDITIONAL
        values = {"key": key_label(name, key), "other": _OVERRIDE}
        raise SettingError.for_key(
            name, _("%(key)s must differ from %(other)s: a number cannot text itself.", **values), key
        )


def _sender_numbers(sender: Any) -> list[str]:
    numbers = (sender.get("FromNumber"), *sender.get(_ADDITIONAL, ())) if isinstance(sender, dict) else ()
    return [number for number in numbers if number]
