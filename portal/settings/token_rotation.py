"""Replace the auth token without losing webhooks: both the new and the old token are accepted for a while."""

import json

from portal.core.errors import ActionRefused
from portal.core.rules.setting_error import SettingError
from portal.settings.rules.configuration import Configuration
from portal.settings.setting_changes import SettingUpdate, change_setting

AUTH_TOKEN_KEY, PREVIOUS_TOKEN_KEY = "AuthToken", "PreviousAuthToken"


def rotate_auth_token(change: SettingUpdate, token: str) -> None:
    """Use the new token at once, and accept webhooks signed with either. Raises `SettingError`, `ActionRefused`."""

    def with_new_token(current: Configuration) -> str:
        value = current.json_object(change.name)
        if AUTH_TOKEN_KEY not in value:
            raise ActionRefused(f"{change.name} has no {AUTH_TOKEN_KEY} to replace. Set the credentials first.")
        if token in ("", value[AUTH_TOKEN_KEY]):
            reason = "is already in use" if token else "is empty. Enter the new one"
            problem = f': "{AUTH_TOKEN_KEY}" {reason}.'
            raise SettingError.for_key(change.name, problem, AUTH_TOKEN_KEY)
        return json.dumps({**value, AUTH_TOKEN_KEY: token, PREVIOUS_TOKEN_KEY: value[AUTH_TOKEN_KEY]})

    change_setting(change, with_new_token)


def drop_previous_token(change: SettingUpdate) -> None:
    """Accept only the new token from now on. Raises `ActionRefused`."""

    def without_previous(current: Configuration) -> str:
        value = current.json_object(change.name)
        if PREVIOUS_TOKEN_KEY not in value:
            raise ActionRefused(f"{change.name} has no previous token.")
        return json.dumps({key: item for key, item in value.items() if key != PREVIOUS_TOKEN_KEY})

    change_setting(change, without_previous)
