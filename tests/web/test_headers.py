import re
from pathlib import Path

import pytest
from flask import request
from flask_security import SQLAlchemyUserDatastore
from sqlalchemy.exc import OperationalError

from portal import create_app
from portal.core.config import load_settings
from tests.support.web_client import WebClient

EXPECTED_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)
EXPECTED_EMAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; sandbox; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)


@pytest.mark.parametrize("path", ["/SignIn", "/MyAccount/PhoneNumbers", "/nowhere", "/healthz"])
def test_every_answer_lets_a_browser_run_and_load_our_own_files_only(number_owner: WebClient, path: str) -> None:
    headers = number_owner.get(path).headers
    assert headers["Content-Security-Policy"] == EXPECTED_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def test_what_one_saw_signed_in_is_not_kept_by_browser_or_proxy(number_owner: WebClient) -> None:
    assert number_owner.get("/MyAccount/PhoneNumbers").headers["Cache-Control"] == "private, no-store"


def test_static_files_are_kept_for_a_year_by_their_hash_and_asked_for_again_without(visitor: WebClient) -> None:
    found = re.search(r'href="(/static/portal\.css\?v=[0-9a-f]{12})"', visitor.get("/SignIn").text)
    assert found
    assert "max-age=31536000, immutable" in visitor.get(found.group(1)).headers["Cache-Control"]
    assert visitor.get("/static/portal.css").headers["Cache-Control"] == "no-cache"


def test_a_mail_shown_in_a_frame_can_run_and_load_nothing(
    admin: WebClient, sent_communications: dict[str, int]
) -> None:
    policy = admin.get(f"/Admin/Communications/{sent_communications['P-1']}/email").headers["Content-Security-Policy"]
    assert policy == EXPECTED_EMAIL_POLICY


def test_a_form_without_its_token_is_refused_in_plain_words(number_owner: WebClient) -> None:
    answer = number_owner.post_without_token("/MyAccount/PhoneNumbers", {"number": "+12025550177"})
    assert answer.status_code == 400
    assert "open too long" in answer.text
    assert "555-0177" not in number_owner.get("/MyAccount/PhoneNumbers").text


def test_an_error_reaches_htmx_as_a_notice_that_leaves_the_page_as_it_is(admin: WebClient) -> None:
    answer = admin.get("/Admin/Sends/12345/progress", headers={"HX-Request": "true"})
    assert answer.status_code == 404
    assert answer.headers["HX-Retarget"] == "#notice"
    assert "<html" not in answer.text


def test_more_than_a_megabyte_is_refused(number_owner: WebClient) -> None:
    answer = number_owner.post_without_token("/MyAccount/PhoneNumbers", {"number": "1" * 1_100_000})
    assert answer.status_code == 413
    assert "1 MB" in answer.text


def test_a_missing_file_is_not_remembered_as_missing(visitor: WebClient) -> None:
    answer = visitor.get("/static/gone.css?v=123")
    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_a_database_that_does_not_answer_shows_a_page_of_ours(
    number_owner: WebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("SELECT", {}, Exception("secret detail"))

    monkeypatch.setattr(SQLAlchemyUserDatastore, "find_user", fail)
    for headers in ({}, {"HX-Request": "true"}):
        answer = number_owner.get("/MyAccount/PhoneNumbers", headers=headers)
        assert answer.status_code == 500
        assert "Something went wrong on our side" in answer.text
        assert "secret" not in answer.text


def test_a_fault_of_ours_shows_no_trace(
    web_app: object, number_owner: WebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("portal.messages.tables.communication_history.account_page", fail)
    answer = number_owner.get("/MyAccount/CommunicationsHistory")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Something went wrong on our side" in answer.text


@pytest.mark.parametrize(("proxies", "seen"), [("0", "127.0.0.1"), ("1", "203.0.113.7"), ("2", "198.51.100.9")])
def test_the_callers_address_is_believed_of_our_own_proxies_only(proxies: str, seen: str, tmp_path: Path) -> None:
    app = create_app(load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_TRUSTED_PROXIES": proxies}))
    heard: list[str] = []
    app.before_request_funcs.setdefault(None, []).insert(0, lambda: heard.append(request.remote_addr or ""))
    app.test_client().get("/healthz", headers={"X-Forwarded-For": "192.0.2.1, 198.51.100.9, 203.0.113.7"})
    assert heard == [seen]
