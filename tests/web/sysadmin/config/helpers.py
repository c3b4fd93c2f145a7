"""Helpers for the tests of the AppConfig pages."""

import html
import re

from flask import Flask

from portal.core.rules.routing import Mode
from portal.settings import app_settings
from portal.settings.rules.app_config import DEFINITIONS, VARIABLES
from portal.settings.rules.retention_settings import RETENTION_SETTINGS
from tests.support.web_client import WebClient

INDEX = "/SysAdmin/AppConfig"
NAMES = [name for name in DEFINITIONS if name not in (*RETENTION_SETTINGS.values(), *VARIABLES)]
"""The settings that have a page here: those of retention and of the installation have pages of their own."""
PAGES = [INDEX, *(f"{INDEX}/{name}" for name in NAMES)]
SID = "AC" + "0123456789abcdef" * 2
CANARY = "canary-4f1d-0000-zq9x"
AUTHENTICATION, SENDER, TEST = "SmsGatewayAuthentication", "SmsGatewaySettings", "EnableSmsTestMode"


def path(name: str) -> str:
    return f"{INDEX}/{name}"


def original_value(visitor: WebClient, name: str) -> str:
    match = re.search(r'name="original_value" value="([^"]*)"', visitor.get(path(name)).text)
    assert match
    return html.unescape(match.group(1))


def save(visitor: WebClient, name: str, input_format: str = "fields", **fields: str) -> str:
    """The page after saving: the index, or the form with errors."""
    response = visitor.post(
        path(name), input_format=input_format, **{"original_value": original_value(visitor, name), **fields}
    )
    assert response.status_code in (303, 422), response.status_code
    return visitor.get(INDEX).text if response.status_code == 303 else response.text


def stored(app: Flask, name: str) -> object:
    with app.app_context():
        return app_settings.configuration().values.get(name)


def current_mode(app: Flask) -> Mode:
    with app.app_context():
        return app_settings.resolve_current_gateway().switches.mode
