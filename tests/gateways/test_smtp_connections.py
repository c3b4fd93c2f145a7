"""A connection that ends is neither the end of the mail server, nor of a mail that was not under way."""

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
BOARD = "Board <board@example.org>"
PEOPLE = 23


def many_mails() -> None:
    scenario.configure_gateway()
    scenario.create_accounts(PEOPLE)
    scenario.add_template()
    scenario.create_expanded_send()


def assert_all_delivered_once(simulator: servers.SimulatorClient) -> None:
    recipients = [mail["to"][0] for mail in simulator.received_emails()]
    assert scenario.count_states("email") == {"handed_off": PEOPLE}
    assert Counter(recipients) == Counter(f"p{number}@example.org" for number in range(PEOPLE))
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
def test_mail_goes_on_at_once_over_a_new_connection(
    simulator: servers.SimulatorClient, fault: dict[str, object]
) -> None:
    many_mails()
    simulator.set_faults(smtp=[fault])
    scenario.run_email_worker()
    assert_all_delivered_once(simulator)


def reply_after(mails: int, verb: str, answer: str | None) -> ReplyFunction:
    """So many mails over a connection are fine; then a command gets this answer, or none."""

    def answers(line: str, taken: int) -> str | None:
        return answer if taken >= mails and line.startswith(verb) else accept_everything(line, taken)

    return answers


@pytest.mark.parametrize(
    "answers",
    [
        reply_after(3, "MAIL", "452 4.5.3 Too many messages over this connection"),
        reply_after(3, "MAIL", "450 4.7.1 Error: too much mail"),
        reply_after(3, "MAIL", "554 5.5.0 Enough for one connection"),
        reply_after(2, "RCPT", "421 4.7.0 Try again later, closing connection"),
        reply_after(2, "RCPT", None),
        reply_after(1, "DATA", None),
    ],
)
def test_whatever_a_server_ends_a_connection_with_every_mail_arrives_once(answers: ReplyFunction) -> None:
    mails = [replace(MAIL, message_id=f"<{number}.a@example.org>") for number in range(PEOPLE)]
    with scripted_smtp_server(answers) as talk, SmtpGateway(talk.url, BOARD) as gateway:
        outcomes = [gateway.deliver(mail) for mail in mails]
    assert outcomes == [Accepted(mail.message_id) for mail in mails]
    assert [mail.message_id.encode() in raw for mail, raw in zip(mails, talk.mails, strict=True)] == [True] * PEOPLE


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_a_server_that_always_hangs_up_before_the_mail_certainly_did_not_take_it(verb: str) -> None:
    with scripted_smtp_server(reply_after(0, verb, None)) as talk:
        outcome = send_mail(talk.url, BOARD, MAIL)
    assert isinstance(outcome, NotSent)
    assert "closed the connection" in outcome.message
    assert len(talk.connections) == 1, "a new connection that ends so is not followed by another"


@pytest.mark.parametrize("answer", ["", "garbage", "2", "-1 no", "150 wait", "650 x", "HTTP/1.1 400 No"])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "."])
def test_what_no_mail_server_answers_is_nobodys_refusal(verb: str, answer: str) -> None:
    def answers(line: str, taken: int) -> str | None:
        return answer if line.startswith(verb) else accept_everything(line, taken)

    with scripted_smtp_server(answers) as talk:
        outcome = send_mail(talk.url, BOARD, MAIL)
    assert isinstance(outcome, Unknown if verb == "." else NotSent), outcome
    assert "did not answer as mail servers do" in outcome.message


@pytest.mark.parametrize(("verb", "answer"), [("MAIL", "251 x"), ("RCPT", "252 x"), ("DATA", "350 x"), (".", "251 x")])
def test_the_first_digit_of_an_answer_says_yes(verb: str, answer: str) -> None:
    def answers(line: str, taken: int) -> str | None:
        return answer if line.startswith(verb) else accept_everything(line, taken)

    with scripted_smtp_server(answers) as talk:
        assert isinstance(send_mail(talk.url, BOARD, MAIL), Accepted)


def test_a_server_that_falls_silent_is_not_waited_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(line: str, mails: int) -> str | None:
        if mails and line.startswith("MAIL"):
            time.sleep(1)
        return accept_everything(line, mails)

    monkeypatch.setattr(smtp, "_TIMEOUT_SECONDS", 0.3)
    with scripted_smtp_server(silent) as talk, SmtpGateway(talk.url, BOARD) as gateway:
        outcomes = [gateway.deliver(MAIL) for _ in range(2)]
    assert isinstance(outcomes[1], NotSent)
    assert "did not answer in time" in outcomes[1].message
    assert len(talk.connections) == 1


def test_only_a_mail_under_way_is_in_doubt_when_the_connection_ends() -> None:
    with scripted_smtp_server(reply_after(1, ".", None)) as talk, SmtpGateway(talk.url, BOARD) as gateway:
        assert isinstance(gateway.deliver(MAIL), Accepted)
        assert isinstance(gateway.deliver(MAIL), Unknown)
        assert isinstance(gateway.deliver(MAIL), Accepted)
    assert len(talk.mails) == 3
