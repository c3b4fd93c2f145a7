"""Emails and calls of the webhook about alerts: to whom, what they say, and what happens if they fail."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3
from sqlalchemy import select, update

from portal.accounts.tables.accounts import Account
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.monitoring.alert_checks import send_test_alert
from portal.monitoring.alert_notices import MAX_ATTEMPTS, send_due_notices
from portal.monitoring.tables.alerts import Alert, AlertNotice
from tests.support import scenario, servers
from tests.support.fakes.stub_servers import fixed_status_server, serving_in_thread, silent_server

pytestmark = [pytest.mark.usefixtures("app")]
NOW_MS, MINUTE_MS = scenario.now_ms(), 60_000
SECRET = "a secret of the receiver"
Call = tuple[dict[str, str], bytes]


@pytest.fixture(autouse=True)
def two_sysadmins(app: object, simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3)
    sysadmins = update(Account).where(Account.external_id.in_(("P-0", "P-1"))).values(role="sysadmin")
    with transaction() as session:
        session.execute(sysadmins)


def set_webhook(url: str) -> None:
    scenario.configure_gateway(AlertWebhook=json.dumps({"Url": url, "Secret": SECRET}))


@contextmanager
def receiver() -> Iterator[tuple[str, list[Call]]]:
    """The address of a webhook, and the headers and bodies that it has received."""
    calls: list[Call] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            calls.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving_in_thread(server):
        yield f"http://127.0.0.1:{server.server_port}/alerts", calls


def send_notices(minute: int = 0) -> None:
    db.session.remove()
    send_due_notices(lambda: NOW_MS + minute * MINUTE_MS)
    db.session.remove()


def webhook_notice() -> AlertNotice:
    return db.session.scalars(select(AlertNotice).where(AlertNotice.route == "webhook")).one()


def test_every_sysadmin_gets_one_email(simulator: servers.SimulatorClient) -> None:
    send_test_alert(1, NOW_MS)
    for minute in (0, 1, 60):
        send_notices(minute)
    mails = simulator.received_emails()
    assert sorted(mail["to"] for mail in mails) == [["p0@example.org"], ["p1@example.org"]]
    assert {mail["subject"] for mail in mails} == {"[Notification portal] Test alert"}
    assert "http://127.0.0.1:9/SysAdmin/Alerts" in mails[0]["text"]


def test_each_sysadmin_is_told_in_the_own_language_and_the_webhook_in_english(
    simulator: servers.SimulatorClient,
) -> None:
    with transaction() as session:
        session.execute(update(Account).where(Account.external_id == "P-1").values(language="es"))
    with receiver() as (url, calls):
        set_webhook(url)
        send_test_alert(1, NOW_MS)
        send_notices()
    subjects = {mail["to"][0]: mail["subject"] for mail in simulator.received_emails()}
    assert subjects["p0@example.org"] == "[Notification portal] Test alert"
    assert subjects["p1@example.org"] == "[Notification portal] Alerta de prueba"
    assert json.loads(calls[0][1])["title"] == "Test alert"


def test_override_of_emails_holds_for_alerts_too(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(EmailOverrideAddress="inbox@example.org", EnableEmailOverride="true")
    send_test_alert(1, NOW_MS)
    send_notices()
    assert {address for mail in simulator.received_emails() for address in mail["to"]} == {"inbox@example.org"}


def test_email_waits_for_a_mail_server_that_refuses(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(smtp=[{"kind": "451_rcpt", "count": 4}])
    send_test_alert(1, NOW_MS)
    send_notices()
    assert simulator.received_emails() == []
    simulator.set_faults(smtp=[])
    send_notices(1)
    assert len(simulator.received_emails()) == 2


def test_webhook_call_is_signed_and_says_what_is_wrong() -> None:
    with receiver() as (url, calls):
        set_webhook(url)
        send_test_alert(1, NOW_MS)
        send_notices()
        send_notices(5)
    ((headers, body),) = calls
    timestamp, signature = (part.partition("=")[2] for part in headers["Portal-Signature"].split(","))
    expected = hmac.new(SECRET.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert (int(timestamp), signature) == (NOW_MS // 1000, expected)
    content = json.loads(body)
    assert (content["event"], content["kind"], content["title"]) == ("started", "test", "Test alert")
    assert set(content) == {
        *("id", "event", "kind", "subject", "title", "meaning", "advice", "started_at", "ended_at", "page")
    }
    assert SECRET.encode() not in body


@pytest.mark.parametrize(
    ("status", "headers", "problem"),
    [
        (500, {}, "It did not accept the alert: it answered 500."),
        (302, {"Location": "http://127.0.0.1:1/"}, "It redirects, and redirects are not followed."),
    ],
)
def test_refused_webhook_is_called_again_later(status: int, headers: dict[str, str], problem: str) -> None:
    with fixed_status_server(status, **headers) as url:
        set_webhook(url)
        send_test_alert(1, NOW_MS)
        send_notices()
    notice = webhook_notice()
    assert (notice.problem, notice.attempts, notice.sent_at_ms) == (problem, 1, None)
    with receiver() as (working_url, calls):
        set_webhook(working_url)
        send_notices()
        assert calls == []
        send_notices(1)
    assert (len(calls), webhook_notice().sent_at_ms, webhook_notice().problem) == (1, NOW_MS + MINUTE_MS, "")


def test_webhook_is_given_up_in_the_end() -> None:
    set_webhook("http://127.0.0.1:9/alerts")
    send_test_alert(1, NOW_MS)
    for attempt in range(MAX_ATTEMPTS + 2):
        send_notices(attempt * 300)
    notice = webhook_notice()
    assert (notice.attempts, notice.due_at_ms, notice.problem) == (
        MAX_ATTEMPTS,
        None,
        "The address could not be reached.",
    )


def test_notice_that_another_process_has_claimed_is_not_sent(
    simulator: servers.SimulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It read the notice at the same time."""
    send_test_alert(1, NOW_MS)
    stale = list(db.session.scalars(select(AlertNotice)))
    db.session.expunge_all()
    with transaction() as session:
        session.execute(update(AlertNotice).values(attempts=1))
    monkeypatch.setattr("portal.monitoring.tables.alerts.due_notices", lambda _now_ms, _limit: attached(stale))
    send_due_notices(lambda: NOW_MS)
    assert simulator.received_emails() == []


def attached(notices: list[AlertNotice]) -> list[AlertNotice]:
    db.session.add_all(notices)
    return notices


def test_notice_survives_a_process_that_dies_while_sending(
    simulator: servers.SimulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_arguments: object) -> None:
        raise Killed

    send_test_alert(1, NOW_MS)
    with monkeypatch.context() as patch:
        patch.setattr("portal.monitoring.alert_notices.send_mail", die)
        with pytest.raises(Killed):
            send_notices()
    send_notices(1)
    assert len(simulator.received_emails()) == 2


def test_silent_webhook_delays_nothing_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.gateways.alert_webhook._TIMEOUT", urllib3.Timeout(connect=0.2, read=0.2))
    with silent_server() as port:
        set_webhook(f"http://127.0.0.1:{port}/")
        send_test_alert(1, NOW_MS)
        send_notices()
    assert webhook_notice().problem == "It did not answer in time."


def test_deactivated_sysadmin_is_not_told(simulator: servers.SimulatorClient) -> None:
    send_test_alert(1, NOW_MS)
    with transaction() as session:
        session.execute(update(Account).where(Account.external_id == "P-0").values(active=False))
    send_notices()
    assert [mail["to"] for mail in simulator.received_emails()] == [["p1@example.org"]]
    assert db.session.scalars(select(Alert)).one().announced_at_ms == NOW_MS
