import json

import pytest

from portal.core.rules.setting_error import SettingError
from portal.core.rules.smtp_url import parse_smtp_url
from portal.gateways.rules.twilio_settings import TWILIO_SCHEMA
from portal.settings.rules.configuration import Configuration
from portal.settings.rules.installation_settings import smtp_url

SERVER = {"Host": "smtp.example.org", "From": "Example Office <notices@example.org>"}
CONFIG = Configuration({"Twilio": TWILIO_SCHEMA})


def problem(name: str, text: str) -> str:
    with pytest.raises(SettingError) as refused:
        CONFIG.parse(name, text)
    return refused.value.message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://portal.example.org", "must begin with https://"),
        ("http://10.0.0.5:8000", "must begin with https://"),
        ("http://127.0.0.1.example.org", "must begin with https://"),
        *((text, "a full address without a path") for text in ("portal.example.org", "https://", "ftp://example.org")),
        *((f"https://example.org{rest}", "without a path") for rest in ("/portal", "?a=1", "#top")),
        *(
            (text, "without a path")
            for text in ("https://a:b@example.org", "https://example.org:99999", "https://[::1")
        ),
        ("https://exa mple.org", "spaces"),
        ("https://example.org\\evil", "backslashes"),
    ],
)
def test_public_address_that_cannot_be_used_is_refused_with_the_rule(text: str, reason: str) -> None:
    assert reason in problem("PublicUrl", text)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("PublicUrl", " https://Portal.Example.org/ ", "https://portal.example.org"),
        ("PublicUrl", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("PublicUrl", "", None),
        ("Region", "ca", "CA"),
        ("TimeZone", "America/New_York", "America/New_York"),
        ("Language", "ES", "es"),
    ],
)
def test_valid_value_is_stored_in_its_usual_form(name: str, text: str, value: str | None) -> None:
    assert CONFIG.parse(name, text) == value


@pytest.mark.parametrize(("name", "text"), [("TimeZone", "America/Springfield"), ("Region", "ZZ"), ("Region", "U")])
def test_zone_or_region_that_does_not_exist_is_refused(name: str, text: str) -> None:
    assert "such as" in problem(name, text)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        *(
            ({"Host": host}, "Host")
            for host in ("smtp://example.org", "example.org/x", "a b", "user@example.org", "", 7)
        ),
        *(({"Port": port}, "Port") for port in (0, 65_536, 1.5, "587", True)),
        *(({"From": sender}, "From") for sender in ("nobody", "a@b@c", "Office <notices@>", "x@example.org\nBcc: y")),
        ({"Security": "ssl"}, "Security"),
        ({"User": "u"}, "Password"),
        ({"Password": "p"}, "User"),
        ({"User": "u", "Password": "p", "Security": "none"}, "Security"),
        ({"Security": "none"}, "Security"),
        ({"host": "example.org"}, "host"),
    ],
    ids=str,
)
def test_invalid_mail_server_is_refused_at_its_key(changes: dict[str, object], key: str) -> None:
    with pytest.raises(SettingError) as refused:
        CONFIG.parse("EmailServer", json.dumps({**SERVER, **changes}))
    assert list(refused.value.errors_by_key) == [key]


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, "smtp://smtp.example.org"),
        ({"Port": 587, "Security": "starttls"}, "smtp://smtp.example.org:587?starttls=always"),
        ({"Security": "tls", "User": "a@b", "Password": "p/w?"}, "smtps://a%40b:p%2Fw%3F@smtp.example.org"),
        ({"Host": "127.0.0.1", "Security": "none"}, "smtp://127.0.0.1?starttls=never"),
        ({"Host": "[::1]", "Port": 25}, "smtp://[::1]:25"),
    ],
)
def test_mail_server_becomes_the_url_of_the_variable(changes: dict[str, object], url: str) -> None:
    assert smtp_url(CONFIG.parse("EmailServer", json.dumps({**SERVER, **changes}))) == url


def test_server_that_was_stored_without_encryption_has_to_offer_it_now() -> None:
    assert parse_smtp_url(smtp_url({**SERVER, "Security": "none"})).requires_tls


def test_password_of_the_mail_server_is_kept_and_never_shown() -> None:
    stored = {**SERVER, "User": "u", "Password": "mail-secret-0451"}
    config = Configuration({"Twilio": TWILIO_SCHEMA}, {"EmailServer": stored})
    assert config.parse("EmailServer", json.dumps({**stored, "Password": ""})) == stored
    assert "mail-secret" not in config.display_value("EmailServer", 0)
