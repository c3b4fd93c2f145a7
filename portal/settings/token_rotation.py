"""Replacing an auth token without losing a webhook: for a while both the new one and the old one are accepted."""

import json
from typing import Any

from portal.core.errors import ActionRefused
from portal.core.rules.setting_error import SettingError
from portal.settings.app_settings import InvalidSetting, SettingUpdate, change_setting
from portal.settings.rules.configuration import Configuration

AUTH_TOKEN_KEY, PREVIOUS_TOKEN_KEY = "AuthToken", "PreviousAuthToken"


def rotate_auth_token(change: SettingUpdate, token: str) -> None:
    """The new token signs in at once; webhooks may be signed with either. Raises `InvalidSetting`, `Refused`."""

    def renewed(found: Configuration) -> str:
        value = _value(found, change.name)
        if AUTH_TOKEN_KEY not in value:
            raise ActionRefused(f"{change.name} has no {AUTH_TOKEN_KEY} to replace: set the credentials first.")
        if token in ("", value[AUTH_TOKEN_KEY]):
            words = "is the one in use already" if token else "is empty: type the new one"
            raise InvalidSetting(
                change.name, SettingError.for_key(f'{change.name}: "{AUTH_TOKEN_KEY}" {words}.', AUTH_TOKEN_KEY)
            )
        return json.dumps({**value, AUTH_TOKEN_KEY: token, PREVIOUS_TOKEN_KEY: value[AUTH_TOKEN_KEY]})

    change_setting(change, renewed)


def drop_previous_token(change: SettingUpdate) -> None:
    """Only the new token is accepted from now on. Raises `Refused`."""

    def forgetful(found: Configuration) -> str:
        value = _value(found, change.name)
        if PREVIOUS_TOKEN_KEY not in value:
            raise ActionRefused(f"{change.name} has no previous token.")
        return json.dumps({key: item for key, item in value.items() if key != PREVIOUS_TOKEN_KEY})

    change_setting(change, forgetful)


def _value(found: Configuration, name: str) -> dict[str, Any]:
    value = found.values.get(name)
    return value if isinstance(value, dict) else {}
