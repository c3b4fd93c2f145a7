"""Settings that are valid on their own, but not together."""

from collections.abc import Mapping
from typing import Any

from portal.core.rules.setting_error import SettingError

_OVERRIDE = "SmsOverrideNumber"
_EMAIL_ON, _EMAIL_TO = "EnableEmailOverride", "EmailOverrideAddress"
_TEST, _ADDITIONAL = "TestSmsGatewaySettings", "MoreNumbers"
_SENDERS = ("SmsGatewaySettings", _TEST)


def check_conflicts(name: str, values: Mapping[str, Any]) -> None:
    """Check the setting `name` against the others. Raises `SettingError` for the field at fault.

    Twilio rejects a text from a number to itself (21211, 21266), so such an override would block every text.
    """
    if name == _EMAIL_ON and values[name] and not values.get(_EMAIL_TO):
        raise SettingError.for_key(name, f": set {_EMAIL_TO} first. Otherwise emails have nowhere to go.")
    if name == _TEST and len(_sender_numbers(values.get(name))) > 1:
        problem = f': leave out "{_ADDITIONAL}". In test mode, texts come from one number.'
        raise SettingError.for_key(name, problem, _ADDITIONAL)
    override = values.get(_OVERRIDE)
    same = [sender for sender in _SENDERS if override in _sender_numbers(values.get(sender))]
    if name == _OVERRIDE and same:
        raise SettingError.for_key(name, f" must differ from the numbers of {same[0]}: a number cannot text itself.")
    if name in same:
        key = "FromNumber" if override == values[name].get("FromNumber") else _ADDITIONAL
        problem = f': "{key}" must differ from {_OVERRIDE}: a number cannot text itself.'
        raise SettingError.for_key(name, problem, key)


def _sender_numbers(sender: Any) -> list[str]:
    numbers = (sender.get("FromNumber"), *sender.get(_ADDITIONAL, ())) if isinstance(sender, dict) else ()
    return [number for number in numbers if number]
