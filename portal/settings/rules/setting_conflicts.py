"""Settings that are sound by themselves and make no sense together."""

from collections.abc import Mapping
from typing import Any

from portal.core.rules.setting_error import SettingError

_OVERRIDE = "SmsOverrideNumber"
_EMAIL_ON, _EMAIL_TO = "EnableEmailOverride", "EmailOverrideAddress"
_TEST, _ADDITIONAL = "TestSmsGatewaySettings", "MoreNumbers"
_SENDERS = ("SmsGatewaySettings", _TEST)


def check_conflicts(name: str, values: Mapping[str, Any]) -> None:
    """The setting that was just written, beside the others. Raises `SettingError` at the field it belongs to.

    Twilio refuses a text from a number to itself (21211, 21266), so with such an override none would leave.
    """
    if name == _EMAIL_ON and values[name] and not values.get(_EMAIL_TO):
        raise SettingError.for_key(f"{name}: set {_EMAIL_TO} first. Without it there is nowhere for emails to go.")
    if name == _TEST and len(_sender_numbers(values.get(name))) > 1:
        raise SettingError.for_key(
            f'{name}: leave out "MoreNumbers": in test mode texts come from one number.', _ADDITIONAL
        )
    override = values.get(_OVERRIDE)
    same = [sender for sender in _SENDERS if override in _sender_numbers(values.get(sender))]
    if name == _OVERRIDE and same:
        raise SettingError.for_key(f"{name} must differ from the numbers of {same[0]}: no number can text itself.")
    if name in same:
        key = "FromNumber" if override == values[name].get("FromNumber") else _ADDITIONAL
        raise SettingError.for_key(f'{name}: "{key}" must differ from {_OVERRIDE}: no number can text itself.', key)


def _sender_numbers(sender: Any) -> list[str]:
    found = (sender.get("FromNumber"), *sender.get(_ADDITIONAL, ())) if isinstance(sender, dict) else ()
    return [number for number in found if number]
