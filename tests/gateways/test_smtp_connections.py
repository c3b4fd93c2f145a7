"""A connection that ends is replaced, and no email is lost or sent twice."""

import time
from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy import select

from portal.core.extensions import db
from portal.delivery import mail_server_status
from portal.gateways import smtp
from portal.gateways.outcomes import Accepted, NotSent, Unknown
from portal.gateways.rules.email_message import OutgoingEmail
from portal.gateways.smtp import SmtpGateway, send_mail
from portal.messages.tables.communications import Attempt
from tests.support import scenario, servers
from tests.support.fakes.scripted_smtp_server import ReplyFunction, accept_everything, scripted_smtp_server

MAIL = OutgoingEmail("jordan@example.org", "Jordan", "Hello", "Hello\n", "<p>Hello</p>\n", "<1.a@example.org>")
SENDER = "Office <office@example.org>"
RECIPIENTS = 23


def send_emails() -> None:
    scenario.configure_gateway()
    scenario.create_accounts(RECIPIENTS)
    scenario.add_template()
    scenario.create_expanded_send()


def assert_all_delivered_once(simulator: servers.SimulatorClient) -> None:
    recipients = [mail["to"][0] for mail in simulator.received_emails()]
    assert scenario.count_states("email") == {"handed_off": RECIPIENTS}
    assert Counter(recipients) == Counter(f"p{index}@example.org" for index in range(RECIPIENTS))
    assert {row.attempt_count for row in scenario.deliveries("email")} == {1}
    assert set(db.session.scalars(select(Attempt.outcome))) <= {"accepted", "released"}
    assert mail_server_status.mail_server_status().down_since_ms is None


@pytest.mark.one_engine
@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "421_after", "max_emails": 5},
        {"kind": "close_after", "max_emails": 1},
        {"kind": "421_after", "max_emails": 1},
    ],
)
def test_worker_continues_on_a_new_connection(simulator: servers.SimulatorClient, fault: dict[str, object]) -> None:
    send_emails()
    simulator.set_faults(smtp=[fault])
    scenario.run_email_worker()
    assert_all_delivered_once(simulator)


def reply_after(mails: int, verb: str, reply: str | None) -> ReplyFunction:
    """Accept `mails` emails on a connection, then reply to `verb` with `reply`, or hang up if it is None."""

    def reply_to(line: str, accepted: int) -> str | None:
        return reply if accepted >= mails and line.startswith(verb) else accept_everything(line, accepted)

    return reply_to


@pytest.mark.parametrize(
    "reply_to",
    [
        reply_after(3, "MAIL", "452 4.5.3 Too many messages over this connection"),
        reply_after(3, "MAIL", "450 4.7.1 Error: too much mail"),
        reply_after(3, "MAIL", "554 5.5.0 Enough for one connection"),
        reply_after(2, "RCPT", "421 4.7.0 Try again later, closing connection"),
        reply_after(2, "RCPT", None),
        reply_after(1, "DATA", None),
    ],
)
def test_every_email_arrives_once_however_a_connection_ends(reply_to: ReplyFunction) -> None:
    mails = [replace(MAIL, message_id=f"<{index}.a@example.org>") for index in range(RECIPIENTS)]
    with scripted_smtp_server(reply_to) as transcript, SmtpGateway(transcript.url, SENDER) as gateway:
        outcomes = [gateway.deliver(mail) for mail in mails]
    assert outcomes == [Accepted(mail.message_id) for mail in mails]
    assert [mail.message_id.encode() in raw for mail, raw in zip(mails, transcript.mails, strict=True)] == [
        True
    ] * RECIPIENTS


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_hanging_up_before_the_content_means_not_sent(verb: str) -> None:
    with scripted_smtp_server(reply_after(0, verb, None)) as transcript:
        outcome = send_mail(transcript.url, SENDER, MAIL)
    assert isinstance(outcome, NotSent)
    assert "closed the connection" in outcome.message
    assert len(transcript.connections) == 1, "a new connection that ends like this is not replaced"


@pytest.mark.parametrize("reply", ["", "garbage", "2", "-1 no", "150 wait", "650 x", "HTTP/1.1 400 No"])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "."])
def test_invalid_reply_is_not_a_rejection(verb: str, reply: str) -> None:
    def reply_to(line: str, accepted: int) -> str | None:
        return reply if line.startswith(verb) else accept_everything(line, accepted)

    with scripted_smtp_server(reply_to) as transcript:
        outcome = send_mail(transcript.url, SENDER, MAIL)
    assert isinstance(outcome, Unknown if verb == "." else NotSent), outcome
    assert "sent an invalid reply" in outcome.message


@pytest.mark.parametrize(("verb", "reply"), [("MAIL", "251 x"), ("RCPT", "252 x"), ("DATA", "350 x"), (".", "251 x")])
def test_first_digit_of_a_reply_means_success(verb: str, reply: str) -> None:
    def reply_to(line: str, accepted: int) -> str | None:
        return reply if line.startswith(verb) else accept_everything(line, accepted)

    with scripted_smtp_server(reply_to) as transcript:
        assert isinstance(send_mail(transcript.url, SENDER, MAIL), Accepted)


def test_server_that_times_out_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(line: str, mails: int) -> str | None:
        if mails and line.startswith("MAIL"):
            time.sleep(1)
        return accept_everything(line, mails)

    monkeypatch.setattr(smtp, "_TIMEOUT_SECONDS", 0.3)
    with scripted_smtp_server(silent) as transcript, SmtpGateway(transcript.url, SENDER) as gateway:
        outcomes = [gateway.deliver(MAIL) for _ in range(2)]
    assert isinstance(outcomes[1], NotSent)
    assert "did not answer in time" in outcomes[1].message
    assert len(transcript.connections) == 1


def test_only_an_email_with_content_sent_has_an_unknown_outcome() -> None:
    with scripted_smtp_server(reply_after(1, ".", None)) as transcript, SmtpGateway(transcript.url, SENDER) as gateway:
        assert isinstance(gateway.deliver(MAIL), Accepted)
        assert isinstance(gateway.deliver(MAIL), Unknown)
        assert isinstance(gateway.deliver(MAIL), Accepted)
    assert len(transcript.mails) == 3
