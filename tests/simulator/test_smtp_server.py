"""Mail by a real SMTP client."""

import smtplib
import ssl
from email.message import EmailMessage

import pytest
import requests

from tests.simulator.simulator_server import SimulatorServer


def _email(subject: str = "Your licence – renewed") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Board <board@example.org>", "ana@example.org", subject
    mail["Message-ID"] = "<1@example.org>"
    mail.set_content("Open https://example.org/m/abc now.\nGrüße")
    mail.add_alternative(
        "<html><head><title>x</title></head><body><a href='https://example.org/m/abc'>Open</a></body></html>",
        subtype="html",
    )
    return mail


def _send(simulator: SimulatorServer, to: str = "ana@example.org", timeout: float = 10) -> None:
    with smtplib.SMTP("127.0.0.1", simulator.smtp_port, timeout=timeout) as smtp:
        smtp.send_message(_email(), to_addrs=[to])


def test_a_mail_arrives_in_the_mailbox(clean_simulator: SimulatorServer) -> None:
    _send(clean_simulator)
    (mail,) = clean_simulator.get("/simulator/mail")["mail"]
    assert (mail["from"], mail["to"]) == ("board@example.org", ["ana@example.org"])
    assert (mail["subject"], mail["message_id"]) == ("Your licence – renewed", "<1@example.org>")
    assert "Grüße" in mail["text"]
    assert "<a href" in mail["html"]
    assert ["Subject", "Your licence – renewed"] in mail["headers"]


def test_a_mail_is_read_on_its_pages(clean_simulator: SimulatorServer) -> None:
    _send(clean_simulator)
    listed = requests.get(f"{clean_simulator.url}/mailbox", timeout=10).text
    assert "Your licence – renewed" in listed
    shown = requests.get(f"{clean_simulator.url}/mailbox/1", timeout=10).text
    assert '<a href="https://example.org/m/abc"' in shown
    html = requests.get(f"{clean_simulator.url}/mailbox/1/html", timeout=10)
    assert "sandbox allow-popups" in html.headers["Content-Security-Policy"]
    assert "allow-scripts" not in html.headers["Content-Security-Policy"]
    assert '<head><base target="_blank">' in html.text
    raw = requests.get(f"{clean_simulator.url}/mailbox/1/raw", timeout=10)
    assert raw.headers["Content-Type"].startswith("text/plain")
    assert "Message-ID: <1@example.org>" in raw.text


def test_the_mailbox_is_searched_by_recipient(clean_simulator: SimulatorServer) -> None:
    _send(clean_simulator)
    found = f"{clean_simulator.url}/mailbox?to=ANA%40"
    assert "Your licence" in requests.get(found, timeout=10).text
    assert "No mail to" in requests.get(f"{clean_simulator.url}/mailbox?to=bob", timeout=10).text
    assert clean_simulator.get("/simulator/mail?to=bob@example.org")["mail"] == []


@pytest.mark.parametrize("kind", ["421", "refuse_connect"])
def test_the_mail_server_turns_everybody_away(clean_simulator: SimulatorServer, kind: str) -> None:
    clean_simulator.set_faults(smtp={"kind": kind, "count": 1})
    with pytest.raises((smtplib.SMTPConnectError, smtplib.SMTPServerDisconnected)) as refused:
        _send(clean_simulator)
    assert (getattr(refused.value, "smtp_code", None) == 421) is (kind == "421")
    _send(clean_simulator)
    assert len(clean_simulator.get("/simulator/mail")["mail"]) == 1


@pytest.mark.parametrize(("kind", "code"), [("451_rcpt", 451), ("550_rcpt", 550), ("421", 421)])
def test_the_mail_server_refuses_one_recipient(clean_simulator: SimulatorServer, kind: str, code: int) -> None:
    clean_simulator.set_faults(smtp=[{"kind": kind, "to": "bob@*"}])
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        _send(clean_simulator, "bob@example.org")
    assert refused.value.recipients["bob@example.org"][0] == code
    _send(clean_simulator)
    assert len(clean_simulator.get("/simulator/mail")["mail"]) == 1


@pytest.mark.parametrize("kind", ["drop_after_data", "hang_after_data"])
def test_a_mail_is_taken_but_never_acknowledged(clean_simulator: SimulatorServer, kind: str) -> None:
    clean_simulator.set_faults(smtp={"kind": kind, "count": 1, "seconds": 20})
    with pytest.raises((smtplib.SMTPServerDisconnected, TimeoutError, ConnectionError)):
        _send(clean_simulator, timeout=1)
    assert len(clean_simulator.get("/simulator/mail")["mail"]) == 1


def _offered_extensions(simulator: SimulatorServer) -> set[str]:
    with smtplib.SMTP("127.0.0.1", simulator.smtp_port, timeout=10) as smtp:
        smtp.ehlo()
        return {name.upper() for name in smtp.esmtp_features}


@pytest.mark.parametrize(
    "extensions", [[], ["SIZE", "8BITMIME", "SMTPUTF8"], ["STARTTLS", "AUTH"], ["PIPELINING", "ENHANCEDSTATUSCODES"]]
)
def test_the_mail_server_offers_what_it_is_told(clean_simulator: SimulatorServer, extensions: list[str]) -> None:
    clean_simulator.set_faults(smtp_extensions=extensions)
    assert _offered_extensions(clean_simulator) - {"HELP"} == set(extensions)
    clean_simulator.set_faults()
    assert _offered_extensions(clean_simulator) >= {"8BITMIME", "SMTPUTF8"}


def test_without_8bitmime_it_takes_seven_bits_only(clean_simulator: SimulatorServer) -> None:
    clean_simulator.set_faults(smtp_extensions=[])
    with smtplib.SMTP("127.0.0.1", clean_simulator.smtp_port, timeout=10) as smtp:
        smtp.sendmail("a@example.org", ["b@example.org"], b"Subject: Hello\r\n\r\nHello\r\n")
        with pytest.raises(smtplib.SMTPDataError):
            smtp.sendmail("a@example.org", ["b@example.org"], "Subject: Hello\r\n\r\nGrüße\r\n".encode())
        smtp.ehlo()
        assert smtp.docmd("MAIL", "FROM:<a@example.org> BODY=8BITMIME")[0] == 555
    assert len(clean_simulator.get("/simulator/mail")["mail"]) == 1


def test_starttls_and_sign_in_work_where_they_are_offered(clean_simulator: SimulatorServer) -> None:
    clean_simulator.set_faults(smtp_extensions=["8BITMIME", "STARTTLS", "AUTH"])
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP("127.0.0.1", clean_simulator.smtp_port, timeout=10) as smtp:
        smtp.starttls(context=context)
        smtp.login("board", "secret")
        smtp.send_message(_email())
    assert len(clean_simulator.get("/simulator/mail")["mail"]) == 1


def test_it_ends_a_connection_that_has_taken_so_many_mails(clean_simulator: SimulatorServer) -> None:
    for kind, error in (("421_after", smtplib.SMTPSenderRefused), ("close_after", smtplib.SMTPServerDisconnected)):
        clean_simulator.set_faults(smtp=[{"kind": kind, "mails": 2}])
        with smtplib.SMTP("127.0.0.1", clean_simulator.smtp_port, timeout=10) as smtp:
            for _ in range(2):
                smtp.send_message(_email())
            with pytest.raises((error, smtplib.SMTPServerDisconnected)):
                smtp.send_message(_email())


def test_it_answers_in_the_words_it_is_given(clean_simulator: SimulatorServer) -> None:
    words = "554 delivery error: dd This user doesn't have an account"
    clean_simulator.set_faults(smtp=[{"kind": "reply_rcpt", "words": words}])
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        _send(clean_simulator)
    assert refused.value.recipients == {"ana@example.org": (554, words[4:].encode())}
