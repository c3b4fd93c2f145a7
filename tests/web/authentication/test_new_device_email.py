"""Who signs in on a new device is told by email, in their language."""

from flask import Flask
from sqlalchemy import update

from portal.accounts.tables.accounts import Account
from portal.core.extensions import db
from portal.gateways.rules.email_message import OutgoingEmail
from tests.support.web_client import WebClient

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def sign_in(client: WebClient) -> None:
    client.client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    client.sign_in("P-1").close()
    client.post("/SignOut").close()


def test_second_device_is_told_and_the_first_is_not(
    visitor: WebClient, web_app: Flask, sent_emails: list[OutgoingEmail]
) -> None:
    sign_in(visitor)
    sign_in(visitor)
    assert not sent_emails
    sign_in(WebClient(web_app.test_client()))
    (mail,) = sent_emails
    assert (mail.to, mail.subject) == ("owner@example.org", "Sign-in on a new device")
    for text in (mail.text, mail.html):
        assert "Firefox (Linux)" in text
        assert "127.0.0.1" in text
        assert "If that was not you, set a new password at once" in text
        assert "/ForgotPassword" in text


def test_email_is_in_the_language_of_the_account(
    visitor: WebClient, web_app: Flask, sent_emails: list[OutgoingEmail]
) -> None:
    with web_app.app_context():
        db.session.execute(update(Account).values(language="es"))
        db.session.commit()
    sign_in(visitor)
    sign_in(WebClient(web_app.test_client()))
    assert sent_emails[0].subject == "Inicio de sesión en un dispositivo nuevo"
    assert "Si no fue usted" in sent_emails[0].text
