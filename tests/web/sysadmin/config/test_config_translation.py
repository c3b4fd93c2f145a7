"""AppConfig pages in the pseudo-locale: in every state, no words bypass gettext."""

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import update

from portal.accounts.tables.accounts import Account
from portal.core.extensions import db
from portal.settings.rules.app_config import DEFINITIONS
from tests.support.page_queries import AUDIT_LOG_PATH, app_transaction
from tests.support.pages.pseudo_locale import untranslated_words, use_pseudo_locale
from tests.support.web_client import WebClient
from tests.web.sysadmin.config.helpers import AUTHENTICATION, NAMES, PAGES, SENDER, TEST, path, save

EMAILS, OVERRIDE = "EnableEmailOverride", "EnableSmsOverrideNumber"
ONE_OF_EACH_KIND = {DEFINITIONS[name].kind: name for name in NAMES}.values()
INVALID = ("", "7", "{", "[]", '{"FromNumber": "12"}', '{"FromNumber": "+12025550100", "NumberType": "7"}', '{"7": 1}')
STATES: dict[str, list[tuple[str, dict[str, str]]]] = {
    "not set up": [("EnableSmsNotifications", {"value": "false"})],
    "test mode that ends": [(TEST, {"value": "true", "expiry": "4", "confirmation": "LIVE"})],
    "overrides": [
        (OVERRIDE, {"value": "true", "target": "+12025550142"}),
        (EMAILS, {"value": "true", "expiry": "1", "target": "7@example.org", "confirmation": "LIVE"}),
    ],
    "several numbers": [(SENDER, {"FromNumber": "+12025550100", "MoreNumbers": "+12025550101"})],
}


@pytest.fixture
def greek_sysadmin(web_app: Flask, sms_enabled: None, sysadmin: WebClient) -> WebClient:
    with app_transaction(web_app):
        db.session.execute(update(Account).values(name="Ελένη Παπαδοπούλου"))
    web_app.config["PORTAL"] = replace(web_app.config["PORTAL"], organisation="Σύλλογος")
    use_pseudo_locale(web_app)
    return sysadmin


@pytest.mark.parametrize("state", STATES)
def test_settings_have_no_words_that_bypass_gettext(greek_sysadmin: WebClient, state: str) -> None:
    pages = [save(greek_sysadmin, name, **fields) for name, fields in STATES[state]]
    pages += [greek_sysadmin.get(address).text for address in (*PAGES, AUDIT_LOG_PATH)]
    assert [words for page in pages for words in untranslated_words(page)] == []


@pytest.mark.parametrize("name", ONE_OF_EACH_KIND)
def test_errors_of_settings_have_no_words_that_bypass_gettext(greek_sysadmin: WebClient, name: str) -> None:
    pages = [save(greek_sysadmin, name, "json_text", json_text=text) for text in INVALID]
    pages.append(save(greek_sysadmin, name, value="7", FromNumber="12", SegmentsPerSecond="0", AccountSid="7"))
    assert [words for page in pages for words in untranslated_words(page)] == []


def test_token_rotation_has_no_words_that_bypass_gettext(greek_sysadmin: WebClient) -> None:
    for address in ("token", "token/remove"):
        page = greek_sysadmin.post(f"{path(AUTHENTICATION)}/{address}", token="0123456789")
        assert page.status_code == 303
        assert untranslated_words(greek_sysadmin.get(path(AUTHENTICATION)).text) == []
