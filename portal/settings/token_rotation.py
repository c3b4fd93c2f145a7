"""Replace the auth token without losing webhooks: both the new and the old token are accepted for a while."""

import json

from portal.core.errors import ActionRefused
from portal.core.rules.setting_error import SettingError, key_label
from portal.core.translation import gettext as _
from portal.settings.rules.configuration import Configuration
from portal.settings.setting_changes import SettingUpdate, change_setting

AUTH_TOKEN_KEY, PREVIOUS_TOKEN_KEY = "AuthToken", "PreviousAuthToken"


def rotate_auth_token(change: SettingUpdate, token: str) -> None:
    """Use the new token at once, and accept webhooks signed with either. Raises `SettingError`, `ActionRefused`."""

    def with_new_token(current: Configuration) -> str:
        value = current.json_object(change.name)
        if AUTH_TOKEN_KEY not in value:
            values = {"name": change.name, "key": AUTH_TOKEN_KEY}
            raise ActionRefused(_("%(name)s has no %(key)s to replace. Set the credentials first.", **values))
        if token in ("", value[AUTH_TOKEN_KEY]):
            key = key_label(change.name, AUTH_TOKEN_KEY)
            in_use, empty = _("%(key)s is already in use.", key=key), _("%(key)s is empty. Enter the new one.", key=key)
            raise SettingError.for_key(change.name, in_use if token else empty, AUTH_TOKEN_KEY)
        return json.dumps({**value, AUTH_TOKEN_KEY: token, PREVIOUS_TOKEN_KEY: value[AUTH_TOKEN_KEY]})

    change_setting(change, with_new_token)


def drop_previous_token(change: SettingUpdate) -> None:
    """Accept only the new token from now on. Raises `ActionRefused`."""

    def without_previous(current: Configuration) -> str:
        value = current.json_object(change.name)
        if PREVIOUS_TOKEN_KEY not in value:
            raise ActionRefused(_("%(name)s has no previous token.", name=change.name))
        return json.dumps({key: item for key, item in value.items() if key != PREVIOUS_TOKEN_KEY})

    change_setting(change, without_previous)
