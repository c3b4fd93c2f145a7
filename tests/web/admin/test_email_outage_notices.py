"""Pages show an outage of the mail server, and emails that it did not accept."""

import re

from flask import Flask

from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.delivery.email_claim import server_address
from portal.delivery.tables import mail_server
from portal.messages.tables.communications import Communication
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import QUEUES_PATH, app_transaction, visible_text
from tests.support.web_client import WebClient


def test_mail_server_outage_is_shown_and_can_be_retried(
    web_app: Flask, sysadmin: WebClient, ready_text_id: int
) -> None:
    with app_transaction(web_app):
        row = mail_server.lock_mail_server(server_address())
        row.consecutive_failures, row.last_error = 10, "The mail server could not be reached."
        row.down_since_ms, row.retry_at_ms = now_ms() - 120_000, now_ms() + 180_000
    page = sysadmin.get(QUEUES_PATH).text
    assert find_page_problems(page) == []
    assert "stopped accepting email 2 minutes ago" in visible_text(page)
    assert re.search(r"One email is tried in \d minutes", visible_text(page))
    assert "Mail server unreachable" in visible_text(sysadmin.get("/Admin/Sends").text)
    assert sysadmin.get("/readyz").json["mail_server"] == "down"  # type: ignore[index]
    sysadmin.post(f"{QUEUES_PATH}/mail/try")
    assert "One email is being tried now." in visible_text(sysadmin.get(QUEUES_PATH).text)


def test_failed_email_is_shown_until_one_is_accepted(
    web_app: Flask, admin: WebClient, sent_communications: dict[str, int]
) -> None:
    with app_transaction(web_app):
        communication = db.session.get_one(Communication, sent_communications["P-1"])
        account_id, email = communication.account_id, communication.deliveries[0]
        email.state, email.error_code = "rejected", "5.1.1"
    account, reason = f"/Admin/Accounts/{account_id}", "There is no such mailbox. Ask the person for another address"
    for address in (account, "/Admin/Communications", f"/Admin/Communications/{sent_communications['P-1']}"):
        page = admin.get(address).text
        assert reason in visible_text(page), address
        assert find_page_problems(page) == []
    assert "The last email was not delivered" in visible_text(admin.get(account).text)
    with app_transaction(web_app):
        db.session.get_one(Account, account_id).email = "another@example.org"
    assert "The last email was not delivered" not in admin.get(account).text, "it was another address"
    with app_transaction(web_app):
        db.session.get_one(Account, account_id).email = "owner@example.org"
        db.session.get_one(Communication, sent_communications["P-1"]).deliveries[0].state = "handed_off"
    assert "The last email was not delivered" not in admin.get(account).text
