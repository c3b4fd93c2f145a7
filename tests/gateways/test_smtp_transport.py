"""What goes over the wire: mails as composed, and a password by TLS alone."""

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
from portal.delivery.rules.email_circuit_breaker import ServerSignal
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
BOARD = "Board <board@example.org>"
LOOK_ALIKE = "=?utf-8?q?Law=0ABcc:_x=40evil.example?="


def ehlo_reply(*extensions: str) -> str:
    return "\r\n".join(f"250-{each}" for each in ("here", *extensions)) + "\r\n250 HELP"


@pytest.mark.parametrize("extensions", [[], ["SIZE", "8BITMIME", "SMTPUTF8", "PIPELINING"]])
def test_a_server_that_offers_nothing_takes_every_mail_as_composed(
    simulator: servers.SimulatorClient, extensions: list[str]
) -> None:
    simulator.set_faults(smtp_extensions=extensions)
    mail = replace(MAIL, subject=LOOK_ALIKE, name="Rivera, MD; “Élite”")
    assert isinstance(send_mail(simulator.smtp_url, BOARD, mail), Accepted)
    (found,) = simulator.received_emails()
    with urllib.request.urlopen(f"{simulator.url}/mailbox/{found['id']}/raw") as answer:
        raw = answer.read()
    assert raw.isascii()
    parsed = message_from_bytes(raw, policy=policy.default)
    assert parsed["Bcc"] is None
    assert (parsed["Subject"], parsed["To"].addresses[0].display_name) == (mail.subject, mail.recipient_name)
    assert found["text"].replace("\r\n", "\n") == mail.text


def test_the_bytes_of_a_mail_arrive_as_composed() -> None:
    with scripted_smtp_server() as talk:
        assert isinstance(send_mail(talk.url, BOARD, MAIL), Accepted)
    (raw,) = talk.mails
    assert b"\r\n=46rom us.\r\n=2E\r\nMany greetings, Zo=C3=AB\r\n" in raw
    assert not any("8BITMIME" in line for line in talk.lines)


@pytest.mark.parametrize("option", ["", "?starttls=always"])
def test_a_password_never_leaves_when_starttls_is_missing(option: str) -> None:
    def stripped(line: str, mails: int) -> str | None:
        return ehlo_reply("AUTH PLAIN LOGIN") if line.upper().startswith("EHLO") else accept_everything(line, mails)

    with scripted_smtp_server(stripped) as talk:
        outcome = send_mail(f"smtp://portal:secret@{stub_servers.OTHER_HOST}:{talk.port}{option}", BOARD, MAIL)
    assert isinstance(outcome, NotSent)
    assert (outcome.code, "no STARTTLS" in outcome.message) == (SERVER_DOWN, True)
    assert [line.split(" ")[0].upper() for line in talk.lines] == ["EHLO"]


def test_nor_when_starttls_is_offered_and_refused() -> None:
    def refusing(line: str, mails: int) -> str | None:
        if line.upper().startswith("EHLO"):
            return ehlo_reply("STARTTLS", "AUTH PLAIN")
        return "454 4.7.0 TLS not available" if line.upper() == "STARTTLS" else accept_everything(line, mails)

    with scripted_smtp_server(refusing) as talk:
        outcome = send_mail(f"smtp://portal:secret@{stub_servers.OTHER_HOST}:{talk.port}", BOARD, MAIL)
    assert isinstance(outcome, NotSent)
    assert not [line for line in talk.lines if line.upper().startswith(("AUTH", "MAIL"))]


def test_on_this_machine_a_server_whose_tls_does_not_work_is_used_without() -> None:
    def refusing(line: str, mails: int) -> str | None:
        if line.upper().startswith("EHLO"):
            return ehlo_reply("STARTTLS")
        return "454 4.7.0 TLS not available" if line.upper() == "STARTTLS" else accept_everything(line, mails)

    with scripted_smtp_server(refusing) as talk:
        assert isinstance(send_mail(talk.url, BOARD, MAIL), Accepted)
        assert isinstance(send_mail(f"{talk.url}?starttls=always", BOARD, MAIL), NotSent)


@pytest.mark.parametrize("sign_in", ["", "portal:secret@"])
def test_a_certificate_that_nobody_trusts_is_no_hindrance_on_this_machine(
    simulator: servers.SimulatorClient, sign_in: str
) -> None:
    """As Debian's Postfix has it, just installed."""
    simulator.set_faults(smtp_extensions=["STARTTLS", "AUTH"])
    url = simulator.smtp_url.replace("smtp://", f"smtp://{sign_in}")
    assert isinstance(send_mail(url, BOARD, MAIL), Accepted)
    elsewhere = url.replace("127.0.0.1", stub_servers.OTHER_HOST)
    refused = send_mail(elsewhere, BOARD, MAIL)
    assert isinstance(refused, NotSent)
    assert "TLS" in refused.message
    plain = send_mail(f"{elsewhere}?starttls=never", BOARD, MAIL) if not sign_in else None
    assert isinstance(plain, Accepted | None)


def test_an_authority_of_our_own_is_trusted(tmp_path: Path) -> None:
    with stub_servers.tls_smtp_server(tmp_path) as port:
        url = f"smtp://{stub_servers.SMTP_USER}:{stub_servers.SMTP_PASSWORD}@{stub_servers.OTHER_HOST}:{port}"
        assert isinstance(send_mail(url, BOARD, MAIL), NotSent)
        with SmtpGateway(f"{url}?ca={tmp_path / 'cert.pem'}", BOARD) as gateway:
            gateway._connect().noop()


@pytest.mark.parametrize("mechanisms", ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2 LOGIN PLAIN"])
def test_a_password_of_any_letters_signs_in(mechanisms: str) -> None:
    user, password, challenge = "pügge", "päss😰 %", b"<12@here>"
    proof = hmac.new(password.encode(), challenge, "md5").hexdigest()
    said = {
        f"AUTH PLAIN {b64(f'{chr(0)}{user}{chr(0)}{password}')}": "235 in",
        "AUTH LOGIN": "334 VXNlcm5hbWU6",
        b64(user): "334 UGFzc3dvcmQ6",
        b64(password): "235 in",
        "AUTH CRAM-MD5": f"334 {b64(challenge.decode())}",
        b64(f"{user} {proof}"): "235 in",
    }
    known = ("", "MAIL", "RCPT", "DATA", ".")

    def server(line: str, mails: int) -> str | None:
        if line.upper().startswith("EHLO"):
            return ehlo_reply(f"AUTH {mechanisms}")
        return accept_everything(line, mails) if line.split(" ")[0] in known else said.get(line, "535 no")

    with scripted_smtp_server(server) as talk:
        url = talk.url.replace("//", f"//{quote(user)}:{quote(password)}@")
        assert isinstance(send_mail(url, BOARD, MAIL), Accepted)
        refused = send_mail(url.replace("%25", "%21"), BOARD, MAIL)
    assert isinstance(refused, NotSent)
    assert (refused.code, "535" in refused.message) == (SERVER_DOWN, True)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.usefixtures("app")
def test_a_drain_that_is_broken_off_gives_back_what_it_had_not_begun(
    simulator: servers.SimulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = SmtpGateway.deliver

    def interrupted(self: SmtpGateway, mail: OutgoingEmail) -> Outcome:
        if mail.to == "p1@example.org":
            raise SystemExit
        return whole(self, mail)

    three_mails()
    monkeypatch.setattr(SmtpGateway, "deliver", interrupted)
    with pytest.raises(SystemExit):
        scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 1, "sending": 1, "ready": 1}


def three_mails() -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3)
    scenario.add_template()
    scenario.create_expanded_send()


def test_a_fault_of_ours_says_nothing_of_the_mail_server() -> None:
    assert (
        mail_server_status.server_signal(NotSent("The portal could not send it.", code="portal")) is ServerSignal.NONE
    )
    assert (
        mail_server_status.server_signal(NotSent("The mail could not be written.", code="compose")) is ServerSignal.NONE
    )


@pytest.mark.one_engine
@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("broken", [UnicodeEncodeError("ascii", "ü", 0, 1, "no"), ValueError("?"), KeyError("?")])
def test_a_fault_of_ours_while_sending_is_told_and_costs_nobody_their_mail(
    simulator: servers.SimulatorClient, monkeypatch: pytest.MonkeyPatch, broken: Exception
) -> None:
    whole = smtplib.SMTP.docmd

    def breaks(self: smtplib.SMTP, cmd: str, args: str = "") -> tuple[int, bytes]:
        if "p1@example.org" in args:
            raise broken
        return whole(self, cmd, args)

    three_mails()
    monkeypatch.setattr(smtplib.SMTP, "docmd", breaks)
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 2, "ready": 1}
    assert mail_server_status.mail_server_status().down_since_ms is None
    (waiting,) = [row for row in scenario.deliveries("email") if row.state == "ready"]
    assert f"The portal could not send it ({type(broken).__name__})" in timeline_entries(waiting)[-1].detail
    monkeypatch.undo()
    db.session.execute(update(Delivery).values(due_at_ms=0))
    db.session.commit()
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 3}
