"""Other sites may link to the portal's pages, but neither load nor frame them."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import event

from portal.core.extensions import db
from tests.support.pages.page_walk import PAGES_FOR_BOTH, addresses
from tests.support.web_client import WebClient

REFUSED = "This page cannot be shown inside another website"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    ("mode", "dest"),
    [
        *(("no-cors", "script"), ("no-cors", "image"), ("no-cors", "style"), ("cors", "empty")),
        *(("navigate", "iframe"), ("navigate", "embed"), ("navigate", "object"), ("websocket", "websocket")),
    ],
)
def test_other_site_cannot_load_or_frame_a_page(admin: WebClient, site: str, mode: str, dest: str) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    for path in ("/Admin/Accounts", "/SignIn", "/static/portal.css", "/Admin/Accounts/export"):
        response = admin.get(path, headers=headers)
        assert response.status_code == 400, path
        assert REFUSED in response.text
        assert "Olive" not in response.text


@pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin", "none"])
def test_link_from_another_site_opens_a_page(admin: WebClient, site: str) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert admin.get("/Admin/Accounts", headers=headers).status_code == 200


def test_portal_may_frame_its_own_email(admin: WebClient, sent_communications: dict[str, int]) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    assert admin.get("/Admin/Automations/Templates/1/email", headers=headers).status_code == 200


def test_web_mail_may_show_the_logo(visitor: WebClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert visitor.get(f"/organization/logo/{'0' * 32}", headers=headers).status_code == 404


@pytest.fixture
def written(web_app: Flask) -> Iterator[list[str]]:
    """The statements that change rows."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.split(maxsplit=1)[0] in ("INSERT", "UPDATE", "DELETE"):
            statements.append(" ".join(statement.split()[:3]))

    with web_app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def test_opening_a_page_changes_nothing_but_records_and_caches(
    web_app: Flask, sysadmin: WebClient, sent_communications: dict[str, int], recipient_file: int, written: list[str]
) -> None:
    """So a link from another site has no effect. Downloads are recorded; the signing key is made when it is shown."""
    for address in set(addresses(web_app)) - set(PAGES_FOR_BOTH):
        sysadmin.get(address)
    inserted = {f"INSERT INTO {table}" for table in ("audit_entry", "log_mac", "signing_key", "statistic_cache")}
    assert set(written) == {*inserted, "UPDATE log_head SET"}
