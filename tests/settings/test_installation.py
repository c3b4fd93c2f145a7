"""What is saved in the browser completes the environment, which takes precedence."""

import json
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.setting_error import SettingError
from portal.settings import installation
from portal.settings.rules.app_config import VARIABLES
from portal.settings.setting_changes import set_setting
from portal.settings.tables.setting_values import stored_settings
from tests.support import scenario

SERVER = {"Host": "smtp.example.org", "Port": 587, "User": "u", "Password": "mail-secret-0451", "From": "a@example.org"}
SAVED = {
    "PublicUrl": "https://portal.example.org",
    "Region": "CA",
    "TimeZone": "America/Toronto",
    "Language": "es",
    "EmailServer": json.dumps(SERVER),
}


@pytest.fixture
def bare_app(app: Flask) -> Flask:
    """No variable is set."""
    app.config["PORTAL"] = replace(app.config["PORTAL"], from_environment=frozenset())
    return app


def save_all() -> None:
    for name, text in SAVED.items():
        set_setting(name, text, None, scenario.now_ms())


def test_saved_values_are_in_force_at_once(bare_app: Flask) -> None:
    save_all()
    saved = settings()
    assert (saved.public_url, saved.secure_cookies) == ("https://portal.example.org", True)
    assert (saved.region, saved.sms_countries, saved.time_zone) == ("CA", ("CA",), "America/Toronto")
    assert saved.language == "es"
    assert saved.smtp_url == "smtp://u:mail-secret-0451@smtp.example.org:587"
    assert saved.mail_from == "a@example.org"
    assert "mail-secret" not in stored_settings()["EmailServer"].value


def test_another_process_uses_them_within_a_second(bare_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings().region == "US"
    monkeypatch.setattr("portal.settings.setting_changes.forget_settings", lambda: None)
    set_setting("Region", "CA", None, scenario.now_ms())
    assert settings().region == "US"
    installation.forget_settings()  # as the passing of a second does
    assert settings().region == "CA"


def test_variable_takes_precedence_and_saving_says_so(app: Flask) -> None:
    app.config["PORTAL"] = replace(app.config["PORTAL"], from_environment=frozenset())
    save_all()
    names = frozenset({*VARIABLES.values()})
    base = app.config["PORTAL"] = replace(app.config["PORTAL"], from_environment=names)
    assert settings() == base
    for name, variable in VARIABLES.items():
        with pytest.raises(SettingError, match=variable):
            set_setting(name, SAVED[name], None, scenario.now_ms())


@pytest.mark.one_engine
def test_values_read_last_stay_while_the_database_is_away(bare_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    save_all()
    assert settings().region == "CA"
    installation.forget_settings()

    def refuse(*_arguments: object) -> None:
        raise OperationalError("", {}, Exception())

    monkeypatch.setattr(type(db.engine), "connect", refuse)
    assert settings().region == "CA"
