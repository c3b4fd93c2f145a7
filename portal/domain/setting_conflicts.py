"""Settings that are sound by themselves and make no sense together."""

from collections.abc import Mapping
from typing import Any

from portal.domain.setting_error import SettingError

_OVERRIDE = "SmsOverrideNumber"
_SENDERS = ("SmsGatewaySettings", "TestSmsGatewaySettings")


def check_together(name: str, values: Mapping[str, Any]) -> None:
    """The setting that was just written, beside the others. Raises `SettingError` at the field it belongs to.

    Twilio refuses a text from a number to itself (21211, 21266), so with such an override none would leave.
    """
    override = values.get(_OVERRIDE)
    same = [sender for sender in _SENDERS if override and _from_number(values.get(sender)) == override]
    if name == _OVERRIDE and same:
        raise SettingError.of(f"{name} must differ from the FromNumber of {same[0]}: no number can text itself.")
    if name in same:
        raise SettingError.of(
            f'{name}: "FromNumber" must differ from {_OVERRIDE}: no number can text itself.', "FromNumber"
        )


def _from_number(sender: Any) -> str:
    return str(sender.get("FromNumber", "")) if isinstance(sender, dict) else ""
