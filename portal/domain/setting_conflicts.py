"""Settings that are sound by themselves and make no sense together."""

from collections.abc import Mapping
from typing import Any

from portal.domain.setting_error import SettingError

_OVERRIDE = "SmsOverrideNumber"
_EMAIL_ON, _EMAIL_TO = "EnableEmailOverride", "EmailOverrideAddress"
_TEST, _MORE = "TestSmsGatewaySettings", "MoreNumbers"
_SENDERS = ("SmsGatewaySettings", _TEST)


def check_together(name: str, values: Mapping[str, Any]) -> None:
    """The setting that was just written, beside the others. Raises `SettingError` at the field it belongs to.

    Twilio refuses a text from a number to itself (21211, 21266), so with such an override none would leave.
    """
    if name == _EMAIL_ON and values[name] and not values.get(_EMAIL_TO):
        raise SettingError.of(f"{name}: set {_EMAIL_TO} first. Without it there is nowhere for emails to go.")
    if name == _TEST and len(_numbers(values.get(name))) > 1:
        raise SettingError.of(f'{name}: leave out "MoreNumbers": in test mode texts come from one number.', _MORE)
    override = values.get(_OVERRIDE)
    same = [sender for sender in _SENDERS if override in _numbers(values.get(sender))]
    if name == _OVERRIDE and same:
        raise SettingError.of(f"{name} must differ from the numbers of {same[0]}: no number can text itself.")
    if name in same:
        key = "FromNumber" if override == values[name].get("FromNumber") else _MORE
        raise SettingError.of(f'{name}: "{key}" must differ from {_OVERRIDE}: no number can text itself.', key)


def _numbers(sender: Any) -> list[str]:
    found = (sender.get("FromNumber"), *sender.get(_MORE, ())) if isinstance(sender, dict) else ()
    return [number for number in found if number]
