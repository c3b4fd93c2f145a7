"""Complete the settings of the environment with those saved in the browser (ADR 50)."""

import time
from dataclasses import replace
from typing import Any

import structlog
from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from portal.core.config import Settings
from portal.core.context import COMPLETION_KEY, environment_settings
from portal.core.extensions import db
from portal.core.rules.setting_error import SettingError
from portal.core.translation import gettext as _
from portal.settings.rules.app_config import DEFINITIONS, VARIABLES
from portal.settings.rules.encryption import DecryptionError
from portal.settings.rules.installation_settings import (
    EMAIL_SERVER,
    INSTALLATION_FIELDS,
    MAIL_FROM_VARIABLE,
    REGION,
    smtp_url,
)
from portal.settings.rules.text_limits import FREQUENCY_CAP, QUIET_HOURS
from portal.settings.tables.setting_values import installation_query

_READ_SECONDS, _RETRY_SECONDS = 1.0, 5.0
_log = structlog.get_logger(__name__)


class StoredSettings:
    """Reads what is stored at most once a second, in a connection of its own: callers may be about to call the network,
    and must hold no transaction then. While the database does not answer, what was read last stays in force.
    """

    def __init__(self) -> None:
        self._next_read = 0.0
        self._values: dict[str, Any] = {}
        self._complete: tuple[Settings, Settings] | None = None

    def __call__(self, base: Settings) -> Settings:
        if time.monotonic() >= self._next_read:
            self._next_read = time.monotonic() + _READ_SECONDS  # before reading: other threads do not wait
            self._read(base)
        return self.last_read(base)

    def last_read(self, base: Settings) -> Settings:
        if self._complete is None or self._complete[0] is not base:
            self._complete = base, completed(base, self._values)
        return self._complete[1]

    def forget(self) -> None:
        self._next_read = 0.0

    def _read(self, base: Settings) -> None:
        try:
            with db.engine.connect() as connection:
                rows = {name: text for name, text in connection.execute(installation_query())}
        except SQLAlchemyError:
            self._next_read = time.monotonic() + _RETRY_SECONDS
            return
        values = {name: _parse(name, text, base) for name, text in rows.items()}
        if values != self._values:
            self._values, self._complete = values, None


def init_app(app: Flask) -> None:
    app.extensions[COMPLETION_KEY] = StoredSettings()


def settings_last_read(app: Flask) -> Settings:
    """Without looking at the database, for callers outside an app context."""
    stored: StoredSettings = app.extensions[COMPLETION_KEY]
    return stored.last_read(environment_settings(app))


def forget_settings() -> None:
    """This process uses what has just been saved at once."""
    stored: StoredSettings = current_app.extensions[COMPLETION_KEY]
    stored.forget()


def completed(base: Settings, stored: dict[str, Any]) -> Settings:
    """What is stored counts where no variable is set."""
    fixed = fixed_values(base)
    values = {name: value for name, value in stored.items() if value and name not in fixed}
    changes: dict[str, Any] = {field: values[name] for name, field in INSTALLATION_FIELDS.items() if name in values}
    if REGION in values and "PORTAL_SMS_COUNTRIES" not in base.from_environment:
        changes["sms_countries"] = (values[REGION],)
    if EMAIL_SERVER in values:
        changes["smtp_url"] = smtp_url(values[EMAIL_SERVER])
        if MAIL_FROM_VARIABLE not in base.from_environment:
            changes["mail_from"] = values[EMAIL_SERVER]["From"]
    return replace(base, **changes) if changes else base


def fixed_values(base: Settings) -> dict[str, str]:
    """The settings that environment variables take precedence over: the text of a limit, "" for others."""
    limits = {QUIET_HOURS: base.quiet_hours, FREQUENCY_CAP: base.frequency_cap}
    fixed = {name: "" for name, variable in VARIABLES.items() if variable in base.from_environment}
    return fixed | {name: text for name, text in limits.items() if text}


def is_fixed(name: str) -> bool:
    """Whether an environment variable takes precedence over the setting."""
    return name in fixed_values(environment_settings())


def check_not_fixed(name: str) -> None:
    """Raises `SettingError` if saving the setting would have no effect."""
    if is_fixed(name):
        values = {"variable": DEFINITIONS[name].variable}
        message = _("The environment variable %(variable)s sets this. Change it there.", **values)
        raise SettingError.for_key(name, message)


def _parse(name: str, text: str, base: Settings) -> Any:
    """None for what cannot be read: the settings page says why."""
    try:
        return DEFINITIONS[name].read_stored(text, base.encryption_keys)
    except DecryptionError:
        _log.error("setting is unreadable", setting=name)
        return None
