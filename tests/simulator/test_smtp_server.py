"""Email from a real SMTP client."""

import smtplib
import ssl
from email.message import EmailMessage

import pytest
import requests

from tests.simulator.simulator_server import Simulator


def _email(subject: str = "Your licence – renewed") -> EmailMessage:
    email = EmailMessage()
    email["From"], email["To"], email["Subject"] = "Example <board@example.org>", "ana@example.org", subject
    email["Message-ID"] = "<1@example.org>"
    email.set_content("Open https://example.org/m/abc now.\nGrüße")
    email.add_alternative(
        "<html><head><title>x</title></head><body><a href='https://example.org/m/abc'>Open</a></body></html>",
        subtype="html",
    )
    return email


def _send(simulator: Simulator, to: str = "ana@example.org", timeout: float = 10) -> None:
    with smtplib.SMTP("127.0.0.1", simulator.smtp_port, timeout=timeout) as smtp:
        smtp.send_message(_email(), to_addrs=[to])


def test_an_email_arrives_in_the_mailbox(simulator_fresh: Simulator) -> None:
    _send(simulator_fresh)
    (email,) = simulator_fresh.get("/simulator/mail")["mail"]
    assert (email["from"], email["to"]) == ("board@example.org", ["ana@example.org"])
    assert (email["subject"], email["message_id"]) == ("Your licence – renewed", "<1@example.org>")
    assert "Grüße" in email["text"]
    assert "<a href" in email["html"]
    assert ["Subject", "Your licence – renewed"] in email["headers"]


def test_the_mailbox_pages_show_an_email(simulator_fresh: Simulator) -> None:
    _send(simulator_fresh)
    mailbox_page = requests.get(f"{simulator_fresh.url}/mailbox", timeout=10).text
    assert "Your licence – renewed" in mailbox_page
    email_page = requests.get(f"{simulator_fresh.url}/mailbox/1", timeout=10).text
    assert '<a href="https://example.org/m/abc"' in email_page
    html = requests.get(f"{simulator_fresh.url}/mailbox/1/html", timeout=10)
    assert "sandbox allow-popups" in html.headers["Content-Security-Policy"]
    assert "allow-scripts" not in html.headers["Content-Security-Policy"]
    assert '<head><base target="_blank">' in html.text
    raw = requests.get(f"{simulator_fresh.url}/mailbox/1/raw", timeout=10)
    assert raw.headers["Content-Type"].startswith("text/plain")
    assert "Message-ID: <1@example.org>" in raw.text


def test_the_mailbox_can_be_searched_by_recipient(simulator_fresh: Simulator) -> None:
    _send(simulator_fresh)
    search_url = f"{simulator_fresh.url}/mailbox?to=ANA%40"
    assert "Your licence" in requests.get(search_url, timeout=10).text
    assert "No emails to" in requests.get(f"{simulator_fresh.url}/mailbox?to=bob", timeout=10).text
    assert simulator_fresh.get("/simulator/mail?to=bob@example.org")["mail"] == []


@pytest.mark.parametrize("kind", ["421", "refuse_connect"])
def test_the_mail_server_refuses_a_connection(simulator_fresh: Simulator, kind: str) -> None:
    simulator_fresh.faults(smtp={"kind": kind, "count": 1})
    with pytest.raises((smtplib.SMTPConnectError, smtplib.SMTPServerDisconnected)) as error:
        _send(simulator_fresh)
    assert (getattr(error.value, "smtp_code", None) == 421) is (kind == "421")
    _send(simulator_fresh)
    assert len(simulator_fresh.get("/simulator/mail")["mail"]) == 1


@pytest.mark.parametrize(("kind", "code"), [("451_rcpt", 451), ("550_rcpt", 550), ("421", 421)])
def test_the_mail_server_refuses_one_recipient(simulator_fresh: Simulator, kind: str, code: int) -> None:
    simulator_fresh.faults(smtp=[{"kind": kind, "to": "bob@*"}])
    with pytest.raises(smtplib.SMTPRecipientsRefused) as error:
        _send(simulator_fresh, "bob@example.org")
    assert error.value.recipients["bob@example.org"][0] == code
    _send(simulator_fresh)
    assert len(simulator_fresh.get("/simulator/mail")["mail"]) == 1


@pytest.mark.parametrize("kind", ["drop_after_data", "hang_after_data"])
def test_an_email_is_stored_but_not_acknowledged(simulator_fresh: Simulator, kind: str) -> None:
    simulator_fresh.faults(smtp={"kind": kind, "count": 1, "seconds": 20})
    with pytest.raises((smtplib.SMTPServerDisconnected, TimeoutError, ConnectionError)):
        _send(simulator_fresh, timeout=1)
    assert len(simulator_fresh.get("/simulator/mail")["mail"]) == 1


def _offered(simulator: Simulator) -> set[str]:
    with smtplib.SMTP("127.0.0.1", simulator.smtp_port, timeout=10) as smtp:
        smtp.ehlo()
        return {name.upper() for name in smtp.esmtp_features}


@pytest.mark.parametrize(
    "extensions", [[], ["SIZE", "8BITMIME", "SMTPUTF8"], ["STARTTLS", "AUTH"], ["PIPELINING", "ENHANCEDSTATUSCODES"]]
)
def test_the_mail_server_offers_the_set_extensions(simulator_fresh: Simulator, extensions: list[str]) -> None:
    simulator_fresh.faults(smtp_extensions=extensions)
    assert _offered(simulator_fresh) - {"HELP"} == set(extensions)
    simulator_fresh.faults()
    assert _offered(simulator_fresh) >= {"8BITMIME", "SMTPUTF8"}


def test_without_8bitmime_8_bit_emails_are_rejected(simulator_fresh: Simulator) -> None:
    simulator_fresh.faults(smtp_extensions=[])
    with smtplib.SMTP("127.0.0.1", simulator_fresh.smtp_port, timeout=10) as smtp:
        smtp.sendmail("a@example.org", ["b@example.org"], b"Subject: Hello\r\n\r\nHello\r\n")
        with pytest.raises(smtplib.SMTPDataError):
            smtp.sendmail("a@example.org", ["b@example.org"], "Subject: Hello\r\n\r\nGrüße\r\n".encode())
        smtp.ehlo()
        assert smtp.docmd("MAIL", "FROM:<a@example.org> BODY=8BITMIME")[0] == 555
    assert len(simulator_fresh.get("/simulator/mail")["mail"]) == 1


def test_starttls_and_auth_work_if_offered(simulator_fresh: Simulator) -> None:
    simulator_fresh.faults(smtp_extensions=["8BITMIME", "STARTTLS", "AUTH"])
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP("127.0.0.1", simulator_fresh.smtp_port, timeout=10) as smtp:
        smtp.starttls(context=context)
        smtp.login("board", "secret")
        smtp.send_message(_email())
    assert len(simulator_fresh.get("/simulator/mail")["mail"]) == 1


def test_a_connection_ends_after_max_emails(simulator_fresh: Simulator) -> None:
    for kind, error in (("421_after", smtplib.SMTPSenderRefused), ("close_after", smtplib.SMTPServerDisconnected)):
        simulator_fresh.faults(smtp=[{"kind": kind, "max_emails": 2}])
        with smtplib.SMTP("127.0.0.1", simulator_fresh.smtp_port, timeout=10) as smtp:
            for _ in range(2):
                smtp.send_message(_email())
            with pytest.raises((error, smtplib.SMTPServerDisconnected)):
                smtp.send_message(_email())


def test_a_rule_can_set_the_smtp_reply(simulator_fresh: Simulator) -> None:
    reply = "554 delivery error: dd This user doesn't have an account"
    simulator_fresh.faults(smtp=[{"kind": "reply_rcpt", "reply": reply}])
    with pytest.raises(smtplib.SMTPRecipientsRefused) as error:
        _send(simulator_fresh)
    assert error.value.recipients == {"ana@example.org": (554, reply[4:].encode())}
