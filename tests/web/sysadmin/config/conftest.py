"""Fixtures for the tests of the AppConfig pages."""

from dataclasses import replace

import pytest
from flask import Flask

from portal.core.clock import now_ms
from portal.settings import setting_changes
from tests.support.invalid_inputs import VALID_VALUES


@pytest.fixture(autouse=True)
def unfixed_limits(web_app: Flask) -> None:
    """No environment variable fixes a setting."""
    web_app.config["PORTAL"] = replace(web_app.config["PORTAL"], quiet_hours="", frequency_cap="")


@pytest.fixture
def all_settings_set(web_app: Flask, sms_enabled: None) -> None:
    """Live with Twilio's real address; override number and test settings are set too."""
    with web_app.app_context():
        for name in ("SmsOverrideNumber", "TestSmsGatewayAuthentication", "TestSmsGatewaySettings"):
            setting_changes.set_setting(name, VALID_VALUES[name], None, now_ms())
