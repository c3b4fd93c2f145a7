"""Replacing an auth token without losing a webhook: for a while both the new one and the old one are accepted."""

import json
from typing import Any

from portal.actions.errors import Refused
from portal.actions.settings import Change, InvalidSetting, change_setting
from portal.domain.configuration import Configuration
from portal.domain.setting_error import SettingError

TOKEN, PREVIOUS = "AuthToken", "PreviousAuthToken"


def replace_token(change: Change, token: str) -> None:
    """The new token signs in at once; webhooks may be signed with either. Raises `InvalidSetting`, `Refused`."""

    def renewed(found: Configuration) -> str:
        value = _value(found, change.name)
        if TOKEN not in value:
            raise Refused(f"{change.name} has no {TOKEN} to replace: set the credentials first.")
        if token in ("", value[TOKEN]):
            words = "is the one in use already" if token else "is empty: type the new one"
            raise InvalidSetting(change.name, SettingError.of(f'{change.name}: "{TOKEN}" {words}.', TOKEN))
        return json.dumps({**value, TOKEN: token, PREVIOUS: value[TOKEN]})

    change_setting(change, renewed)


def forget_token(change: Change) -> None:
    """Only the new token is accepted from now on. Raises `Refused`."""

    def forgetful(found: Configuration) -> str:
        value = _value(found, change.name)
        if PREVIOUS not in value:
            raise Refused(f"{change.name} has no previous token.")
        return json.dumps({key: item for key, item in value.items() if key != PREVIOUS})

    change_setting(change, forgetful)


def _value(found: Configuration, name: str) -> dict[str, Any]:
    value = found.values.get(name)
    return value if isinstance(value, dict) else {}
