"""SMTP on the wire: emails arrive as composed, and passwords are only sent over TLS."""

import base64
import hmac
import smtplib
import urllib.request
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import update

from portal.core.extensions import db
from portal.delivery import mail_server_status
from portal.delivery.rules.circuit_breaker import Signal
from portal.gateways.outcomes import Accepted, NotSent, Outcome
from portal.gateways.rules.email_message import OutgoingEmail
from portal.gateways.smtp import SERVER_DOWN, SmtpGateway, send_mail
from portal.messages.tables.communications import Delivery
from portal.messages.timeline import timeline_entries
from tests.support import scenario, servers
from tests.support.fakes import stub_servers
from tests.support.fakes.scripted_smtp_server import accept_everything, scripted_smtp_server

TEXT = "From us.\n.\nMany greetings, Zoë\n"
MAIL = OutgoingEmail("jordan@example.org", "Jordan", "Hello", TEXT, "<p>Hello</p>\n", "<1.a@example.org>")
SENDER = "Office <office@example.org>"
FAKE_ENCODED_WORD = "=?utf-8?q?Law=0ABcc:_x=40evil.example?="


def ehlo_reply(*extensions: str) -> str:
    return "\r\n".join(f"250-{line}" for line in ("ready", *extensions)) + "\r\n250 HELP"


@pytest.mark.parametrize("extensions", [[], ["SIZE", "8BITMIME", "SMTPUTF8", "PIPELINING"]])
def test_email_arrives_as_composed_with_any_extensions(
    simulator: servers.SimulatorClient, extensions: list[str]
) -> None:
    simulator.set_faults(smtp_extensions=extensions)
    mail = replace(MAIL, subject=FAKE_ENCODED_WORD, recipient_name="Rivera, MD; “Élite”")
    assert isinstance(send_mail(simulator.smtp_url, SENDER, mail), Accepted)
    (received,) = simulator.received_emails()
    with urllib.request.urlopen(f"{simulator.url}/mailbox/{received['id']}/raw") as response:
        raw = response.read()
    assert raw.isascii()
    parsed = message_from_bytes(raw, policy=policy.default)
    assert parsed["Bcc"] is None
    assert (parsed["Subject"], parsed["To"].addresses[0].display_name) == (mail.subject, mail.recipient_name)
    assert received["text"].replace("\r\n", "\n") == mail.text


def test_content_is_sent_in_quoted_printable() -> None:
    with scripted_smtp_server() as transcript:
        assert isinstance(send_mail(transcript.url, SENDER, MAIL), Accepted)
    (raw,) = transcript.mails
    assert b"\r\n=46rom us.\r\n=2E\r\nMany greetings, Zo=C3=AB\r\n" in raw
    assert not any("8BITMIME" in line for line in transcript.lines)


@pytest.mark.parametrize("option", ["", "?starttls=always"])
def test_password_is_not_sent_if_starttls_is_missing(option: str) -> None:
    def without_starttls(line: str, mails: int) -> str | None:
        return ehlo_reply("AUTH PLAIN LOGIN") if line.upper().startswith("EHLO") else accept_everything(line, mails)

    with scripted_smtp_server(without_starttls) as transcript:
        outcome = send_mail(f"smtp://portal:secret@{stub_servers.OTHER_HOST}:{transcript.port}{option}", SENDER, MAIL)
    assert isinstance(outcome, NotSent)
    assert (outcome.code, "no STARTTLS" in outcome.message) == (SERVER_DOWN, True)
    assert [line.split(" ")[0].upper() for line in transcript.lines] == ["EHLO"]


def test_password_is_not_sent_if_starttls_is_refused() -> None:
    def refusing_starttls(line: str, mails: int) -> str | None:
        if line.upper().startswith("EHLO"):
            return ehlo_reply("STARTTLS", "AUTH PLAIN")
        return "454 4.7.0 TLS not available" if line.upper() == "STARTTLS" else accept_everything(line, mails)

    with scripted_smtp_server(refusing_starttls) as transcript:
        outcome = send_mail(f"smtp://portal:secret@{stub_servers.OTHER_HOST}:{transcript.port}", SENDER, MAIL)
    assert isinstance(outcome, NotSent)
    assert not [line for line in transcript.lines if line.upper().startswith(("AUTH", "MAIL"))]


def test_local_server_with_broken_tls_is_used_without_tls() -> None:
    def refusing_starttls(line: str, mails: int) -> str | None:
        if line.upper().startswith("EHLO"):
            return ehlo_reply("STARTTLS")
        return "454 4.7.0 TLS not available" if line.upper() == "STARTTLS" else accept_everything(line, mails)

    with scripted_smtp_server(refusing_starttls) as transcript:
        assert isinstance(send_mail(transcript.url, SENDER, MAIL), Accepted)
        assert isinstance(send_mail(f"{transcript.url}?starttls=always", SENDER, MAIL), NotSent)


@pytest.mark.parametrize("sign_in", ["", "portal:secret@"])
def test_untrusted_certificate_is_accepted_on_this_machine(simulator: servers.SimulatorClient, sign_in: str) -> None:
    """A fresh Postfix on Debian has such a certificate."""
    simulator.set_faults(smtp_extensions=["STARTTLS", "AUTH"])
    url = simulator.smtp_url.replace("smtp://", f"smtp://{sign_in}")
    assert isinstance(send_mail(url, SENDER, MAIL), Accepted)
    remote_url = url.replace("127.0.0.1", stub_servers.OTHER_HOST)
    outcome = send_mail(remote_url, SENDER, MAIL)
    assert isinstance(outcome, NotSent)
    assert "TLS" in outcome.message
    unencrypted = send_mail(f"{remote_url}?starttls=never", SENDER, MAIL) if not sign_in else None
    assert isinstance(unencrypted, Accepted | None)


def test_configured_ca_file_is_trusted(tmp_path: Path) -> None:
    with stub_servers.tls_smtp_server(tmp_path) as port:
        url = f"smtp://{stub_servers.SMTP_USER}:{stub_servers.SMTP_PASSWORD}@{stub_servers.OTHER_HOST}:{port}"
        assert isinstance(send_mail(url, SENDER, MAIL), NotSent)
        with SmtpGateway(f"{url}?ca={tmp_path / 'cert.pem'}", SENDER) as gateway:
            gateway._connect().noop()


@pytest.mark.parametrize(
    ("mechanisms", "user", "password"),
    [
        ("PLAIN", "pügge", "päss😰 %"),
        ("XOAUTH2 LOGIN PLAIN", "pügge", "päss😰 %"),
        *((mechanisms, "portal", "secret %") for mechanisms in ("PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2 LOGIN PLAIN")),
    ],
)
def test_password_signs_in(mechanisms: str, user: str, password: str) -> None:
    challenge = b"<12@here>"
    proof = hmac.new(password.encode(), challenge, "md5").hexdigest()
    replies = {
        f"AUTH PLAIN {b64(f'{chr(0)}{user}{chr(0)}{password}')}": "235 in",
        f"AUTH LOGIN {b64(user)}": "334 UGFzc3dvcmQ6",
        b64(password): "235 in",
        "AUTH CRAM-MD5": f"334 {b64(challenge.decode())}",
        b64(f"{user} {proof}"): "235 in",
    }
    other_commands = ("", "MAIL", "RCPT", "DATA", ".")

    def server(line: str, mails: int) -> str | None:
        if line.upper().startswith("EHLO"):
            return ehlo_reply(f"AUTH {mechanisms}")
        return accept_everything(line, mails) if line.split(" ")[0] in other_commands else replies.get(line, "535 no")

    with scripted_smtp_server(server) as transcript:
        url = transcript.url.replace("//", f"//{quote(user)}:{quote(password)}@")
        assert isinstance(send_mail(url, SENDER, MAIL), Accepted)
        outcome = send_mail(url.replace("%25", "%21"), SENDER, MAIL)
    assert isinstance(outcome, NotSent)
    assert (outcome.code, "535" in outcome.message) == (SERVER_DOWN, True)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.usefixtures("app")
def test_interrupted_worker_releases_emails_it_had_not_started(
    simulator: servers.SimulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver = SmtpGateway.deliver

    def interrupted(self: SmtpGateway, mail: OutgoingEmail) -> Outcome:
        if mail.to == "p1@example.org":
            raise SystemExit
        return deliver(self, mail)

    send_three_emails()
    monkeypatch.setattr(SmtpGateway, "deliver", interrupted)
    with pytest.raises(SystemExit):
        scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 1, "sending": 1, "ready": 1}


def send_three_emails() -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3)
    scenario.add_template()
    scenario.create_expanded_send()


@pytest.mark.parametrize("code", ["portal", "compose"])
def test_portal_error_says_nothing_about_the_mail_server(code: str) -> None:
    assert mail_server_status.server_signal(NotSent("The portal failed.", code=code)) is Signal.NONE


@pytest.mark.one_engine
@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("error", [UnicodeEncodeError("ascii", "ü", 0, 1, "no"), ValueError("?"), KeyError("?")])
def test_portal_error_while_sending_is_shown_and_loses_no_email(
    simulator: servers.SimulatorClient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    docmd = smtplib.SMTP.docmd

    def failing(self: smtplib.SMTP, cmd: str, args: str = "") -> tuple[int, bytes]:
        if "p1@example.org" in args:
            raise error
        return docmd(self, cmd, args)

    send_three_emails()
    monkeypatch.setattr(smtplib.SMTP, "docmd", failing)
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 2, "ready": 1}
    assert mail_server_status.mail_server_status().down_since_ms is None
    (waiting,) = [row for row in scenario.deliveries("email") if row.state == "ready"]
    assert f"The portal could not send the email ({type(error).__name__})" in timeline_entries(waiting)[-1].detail
    monkeypatch.undo()
    db.session.execute(update(Delivery).values(due_at_ms=0))
    db.session.commit()
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 3}
