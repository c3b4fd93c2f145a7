"""Sessions that end by themselves: what keeps one alive, and what its owner reads afterwards."""

import re
from pathlib import Path

import pytest
from flask import Flask
from flask_security import hash_password
from sqlalchemy import select, update

from portal.accounts.tables.accounts import Account
from portal.authentication.tables.sign_in_sessions import SignInSession
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.web import polling
from tests.support.page_queries import app_transaction
from tests.support.servers import ROOT
from tests.support.web_client import PASSWORD, PUBLIC_URL, WebClient

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
PROFILE = "/MyAccount/Profile"
POLL = {"HX-Request": "true", "HX-Source": "aside#mode"}
OWN_PAGE = {"Referer": f"{PUBLIC_URL}{PROFILE}"}


def set_times(app: Flask, idle_ms: int, age_ms: int = 0) -> None:
    """Of every session, as if so much time had passed."""
    times = {"last_seen_at_ms": now_ms() - idle_ms, "created_at_ms": now_ms() - max(idle_ms, age_ms)}
    with app_transaction(app):
        db.session.execute(update(SignInSession).values(**times))


def idle_ms(app: Flask) -> int:
    with app_transaction(app):
        return now_ms() - db.session.scalars(select(SignInSession.last_seen_at_ms)).one()


@pytest.mark.parametrize(
    ("idle", "age", "sentence"),
    [
        (31 * MINUTE_MS, 0, "after 30 minutes without activity"),
        (MINUTE_MS, 12 * HOUR_MS, "12 hours after you signed in"),
    ],
)
def test_an_ended_session_leads_to_sign_in_and_says_why(
    web_app: Flask, admin: WebClient, idle: int, age: int, sentence: str
) -> None:
    set_times(web_app, idle, age)
    response = admin.get("/Admin/Accounts?q=x")
    assert response.location == "/SignIn?next=/Admin/Accounts?q%3Dx"
    assert sentence in admin.get(response.location).text
    assert sentence not in admin.get(response.location).text, "once"


def test_a_revoked_session_says_so(web_app: Flask, admin: WebClient) -> None:
    with app_transaction(web_app):
        db.session.execute(SignInSession.__table__.delete())  # type: ignore[attr-defined]
    assert "You were signed out, here or on another device." in admin.get(admin.get(PROFILE).location).text


def test_users_have_eight_hours(web_app: Flask, number_owner: WebClient) -> None:
    set_times(web_app, 8 * HOUR_MS - MINUTE_MS)
    assert number_owner.get(PROFILE).status_code == 200
    set_times(web_app, 8 * HOUR_MS)
    assert number_owner.get(PROFILE).status_code == 303


def test_a_page_keeps_a_session_alive_and_its_polls_do_not(web_app: Flask, admin: WebClient) -> None:
    set_times(web_app, 20 * MINUTE_MS)
    assert admin.get("/Admin/Mode", headers=POLL).status_code == 200
    assert idle_ms(web_app) >= 20 * MINUTE_MS
    admin.get("/Admin/Accounts?q=x", headers={"HX-Request": "true", "HX-Source": "input#q"})
    assert idle_ms(web_app) < MINUTE_MS
    set_times(web_app, 20 * MINUTE_MS)
    admin.get("/Admin/Accounts")
    assert idle_ms(web_app) < MINUTE_MS


def test_activity_is_not_written_twice_in_a_minute(web_app: Flask, admin: WebClient) -> None:
    set_times(web_app, 50_000)
    admin.get("/Admin/Accounts")
    assert idle_ms(web_app) >= 50_000


def test_nothing_that_polls_is_a_control() -> None:
    """By that the server tells what a page does from what a person does."""
    templates = [path.read_text() for path in Path(ROOT, "portal/templates").rglob("*.html")]
    polled = [tag for text in templates for tag in re.findall(r'<(\w+)(?:(?!<\w)[\s\S])*?hx-trigger="every ', text)]
    assert len(polled) > 8
    assert not set(polled) & polling.CONTROLS


def test_poll_after_the_end_leaves_the_page_open(web_app: Flask, admin: WebClient) -> None:
    set_times(web_app, 31 * MINUTE_MS)
    response = admin.get("/Admin/Mode", headers={**POLL, "HX-Current-URL": f"{PUBLIC_URL}/Admin/Sends/7"})
    assert (response.status_code, response.headers["HX-Retarget"]) == (401, "#notice")
    assert "without activity" in response.text
    assert 'href="/SignIn?next=/Admin/Sends/7"' in response.text


def test_poll_with_a_token_that_was_just_renewed_does_not_sign_out(web_app: Flask, visitor: WebClient) -> None:
    """A proof of identity renews the token while another tab polls: the answer to the poll may arrive last."""
    with app_transaction(web_app):
        db.session.execute(update(Account).values(password=hash_password(PASSWORD)))
    visitor.sign_in("A-1")
    with app_transaction(web_app):
        db.session.execute(update(SignInSession).values(token_hash="of another token"))
    response = visitor.get("/Admin/Mode", headers=POLL)
    assert (response.status_code, response.headers.getlist("Set-Cookie")) == (401, [])


def test_a_form_sent_after_the_end_is_kept_until_it_can_be_sent_again(web_app: Flask, visitor: WebClient) -> None:
    """As somebody who signs in in another tab, and then presses “Send again” twice."""
    with app_transaction(web_app):
        db.session.execute(update(Account).values(password=hash_password(PASSWORD)))
    visitor.sign_in("P-1")
    typed = {"name": "Olive “O” Owner", "timezone": "Europe/Athens", "language": "", "csrf_token": visitor.csrf_token()}
    set_times(web_app, 9 * HOUR_MS)
    ended = visitor.post_without_token(f"{PROFILE}/Details", typed, **OWN_PAGE)
    assert (ended.status_code, "without activity" in ended.text) == (401, True)
    visitor.sign_in("P-1")
    asked = visitor.post_without_token(f"{PROFILE}/Details", hidden_fields(ended.text), **OWN_PAGE)
    assert (asked.status_code, "send it again" in asked.text) == (400, True)
    assert "Olive “O” Owner" not in visitor.get(PROFILE).text, "nothing was changed yet"
    saved = visitor.post_without_token(f"{PROFILE}/Details", hidden_fields(asked.text), **OWN_PAGE)
    assert saved.status_code == 303
    assert "Olive “O” Owner" in visitor.get(PROFILE).text


def test_a_kept_form_has_no_secret_that_was_typed_as_json(web_app: Flask, sysadmin: WebClient) -> None:
    texts = {"SmsGatewayAuthentication": '{"AuthToken": "a-new-token"}', "SmsGatewaySettings": '{"From": "x"}'}
    set_times(web_app, HOUR_MS)
    pages = [
        sysadmin.post_without_token(
            f"/SysAdmin/AppConfig/{name}", {"input_format": "json_text", "json_text": text}
        ).text
        for name, text in texts.items()
    ]
    assert ["You are signed out" in page for page in pages] == [True, True]
    assert ["json_text" in hidden_fields(page) for page in pages] == [False, True]
    assert "a-new-token" not in pages[0]


def hidden_fields(page: str) -> dict[str, str]:
    form = page[page.index("<main") :]
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form))


def test_a_form_of_another_site_is_never_given_back(web_app: Flask, visitor: WebClient) -> None:
    for headers in ({"Referer": "https://evil.example/x"}, {"Origin": "null"}, {"Referer": ""}):
        response = visitor.post_without_token(PROFILE + "/Details", {"name": "evil"}, **headers)
        assert "evil" not in response.text, headers
