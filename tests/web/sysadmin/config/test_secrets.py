"""AppConfig pages: secrets are kept, replaced and never displayed."""

import json
import re

import pytest
from flask import Flask
from markupsafe import escape
from sqlalchemy import select, text

from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.settings import app_settings
from tests.support.html_checks import find_page_problems
from tests.support.web_client import AUTH_TOKEN, WebClient
from tests.web.sysadmin.config.helpers import (
    AUTHENTICATION,
    CANARY,
    INDEX,
    PAGES,
    SENDER,
    SID,
    path,
    save,
    stored,
)
from tests.web.webhooks.test_webhooks import INBOUND, START, signed_post


def test_empty_secret_field_keeps_the_stored_one(web_app: Flask, sysadmin: WebClient) -> None:
    save(sysadmin, AUTHENTICATION, AccountSid=SID, AuthToken=CANARY)
    page = save(sysadmin, AUTHENTICATION, AccountSid=SID.upper(), AuthToken="")
    assert stored(web_app, AUTHENTICATION) == {"AccountSid": SID.upper(), "AuthToken": CANARY}
    assert "••••zq9x" in page
    assert CANARY not in page + sysadmin.get(path(AUTHENTICATION)).text


@pytest.mark.parametrize("input_format", ["fields", "json_text"])
def test_secret_of_a_rejected_form_must_be_retyped(web_app: Flask, sysadmin: WebClient, input_format: str) -> None:
    save(sysadmin, AUTHENTICATION, AccountSid=SID, AuthToken="token-of-before")
    bad = {"AccountSid": "AC1", "AuthToken": CANARY}
    page = save(sysadmin, AUTHENTICATION, input_format, json_text=json.dumps(bad), **bad)
    assert CANARY not in page
    assert '<input type="hidden" name="secrets_to_retype" value="AuthToken">' in page
    again = {"AccountSid": SID, "AuthToken": ""}
    page = save(
        sysadmin, AUTHENTICATION, input_format, json_text=json.dumps(again), secrets_to_retype="AuthToken", **again
    )
    assert "enter it again, because secrets are never displayed" in page
    assert stored(web_app, AUTHENTICATION) == {"AccountSid": SID, "AuthToken": "token-of-before"}


def test_unreadable_json_with_secrets_is_not_displayed(sysadmin: WebClient) -> None:
    page = save(sysadmin, AUTHENTICATION, "json_text", json_text=f'{{"AccountSid": "{SID}", "AuthToken": "{CANARY}"')
    assert "is not valid JSON" in page
    assert CANARY not in page
    assert escape('{"FromNumber": ') in save(sysadmin, SENDER, "json_text", json_text='{"FromNumber": ')


def test_token_can_be_replaced_and_the_old_one_removed(web_app: Flask, sysadmin: WebClient) -> None:
    save(sysadmin, AUTHENTICATION, AccountSid=SID, AuthToken="token-of-before")
    token = f"{path(AUTHENTICATION)}/token"
    assert sysadmin.post(token, token=f" {CANARY} ").status_code == 303
    page = sysadmin.get(path(AUTHENTICATION)).text
    assert "Remove old token" in page
    assert find_page_problems(page) == []
    with web_app.app_context():
        assert app_settings.signing_tokens() == [CANARY, "token-of-before"]
    assert save(sysadmin, AUTHENTICATION, AccountSid=SID, AuthToken="")
    with web_app.app_context():
        assert app_settings.signing_tokens() == [CANARY, "token-of-before"]
    assert sysadmin.post(f"{token}/remove").status_code == 303
    with web_app.app_context():
        assert app_settings.signing_tokens() == [CANARY]
    assert sysadmin.post(f"{token}/remove").status_code == 409


def test_invalid_token_is_rejected_at_its_field(web_app: Flask, sysadmin: WebClient) -> None:
    save(sysadmin, AUTHENTICATION, AccountSid=SID, AuthToken=CANARY)
    for entered in ("", CANARY, "ünïcödé"):
        response = sysadmin.post(f"{path(AUTHENTICATION)}/token", token=entered)
        assert response.status_code == 422
        assert 'id="field-token-error"' in response.text
        assert CANARY not in response.text
    assert sysadmin.post(f"{path(SENDER)}/token", token="x").status_code == 422


def test_webhooks_signed_with_either_token_are_accepted(
    web_app: Flask, visitor: WebClient, sysadmin: WebClient, sms_enabled: None
) -> None:
    assert sysadmin.post(f"{path(AUTHENTICATION)}/token", token="the-new-token-5678").status_code == 303
    statuses = [
        signed_post(visitor, INBOUND, START, token=token).status_code for token in (AUTH_TOKEN, "the-new-token-5678")
    ]
    assert statuses == [200, 200]
    assert sysadmin.post(f"{path(AUTHENTICATION)}/token/remove").status_code == 303
    assert signed_post(visitor, INBOUND, START, token=AUTH_TOKEN).status_code == 403


def test_unreadable_values_do_not_break_pages(web_app: Flask, sysadmin: WebClient, all_settings_set: None) -> None:
    with web_app.app_context():
        db.session.execute(
            text("UPDATE app_setting SET value = 'v1.00000000.AAAA' WHERE name = :n"), {"n": AUTHENTICATION}
        )
        db.session.execute(text("UPDATE app_setting SET value = '[]' WHERE name = :n"), {"n": SENDER})
        db.session.execute(text("""UPDATE app_setting SET value = '"FakeSms"' WHERE name = 'SmsGatewayType'"""))
        db.session.commit()
    for address in PAGES:
        response = sysadmin.get(address)
        assert response.status_code == 200, address
        assert find_page_problems(response.text) == []
    assert "Cannot be read" in sysadmin.get(INDEX).text
    assert "This value does not fit FakeSms" in sysadmin.get(INDEX).text


def test_secrets_appear_in_no_page_header_or_log(
    web_app: Flask,
    sysadmin: WebClient,
    all_settings_set: None,
    sent_communications: dict[str, int],
    capfd: pytest.CaptureFixture[str],
) -> None:
    invalid = {"AccountSid": "AC", "AuthToken": CANARY}
    for name in (AUTHENTICATION, "TestSmsGatewayAuthentication"):
        pages = [
            save(sysadmin, name, AccountSid=SID, AuthToken=CANARY, ApiKeySid="SK" + "0" * 32, ApiKeySecret=CANARY),
            save(sysadmin, name, **invalid),
            save(sysadmin, name, "json_text", json_text=json.dumps(invalid)),
            save(sysadmin, name, "json_text", json_text=f'{{"AuthToken": "{CANARY}"'),
            save(sysadmin, name, "json_text", json_text=f'{{"AccountSid": "{SID}", "Auth Token": "{CANARY}"}}'),
            sysadmin.post(f"{path(name)}/token", token=CANARY).text,
            sysadmin.post_without_token(path(name), {"AuthToken": CANARY}).text,
        ]
        assert CANARY not in "".join(pages)
        assert stored(web_app, name)["AuthToken"] == CANARY  # type: ignore[index]
    for rule in _addresses(web_app):
        response = sysadmin.get(rule)
        assert CANARY.encode() not in response.data, rule
        assert CANARY not in str(response.headers), rule
    with web_app.app_context():
        assert CANARY not in repr(app_settings.configuration().gateway(now_ms()))
        for table in db.metadata.sorted_tables:
            assert CANARY not in str(db.session.execute(select(table)).all()), table
    assert CANARY not in "".join(capfd.readouterr())


def _addresses(app: Flask) -> list[str]:
    """Every page, with id 1 and every setting name."""
    rules = [str(rule) for rule in app.url_map.iter_rules() if "GET" in (rule.methods or set())]
    rules = [rule for rule in rules if "static" not in rule and "logout" not in rule.lower() and "SignOut" not in rule]
    plain = [re.sub(r"<id:[^>]+>", "1", rule) for rule in rules]
    return [rule for rule in plain if "<" not in rule] + PAGES + ["/nowhere"]
