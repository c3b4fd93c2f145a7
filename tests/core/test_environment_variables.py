"""Invalid environment variables are refused with a sentence that names them."""

from dataclasses import fields
from datetime import time
from pathlib import Path

import pytest

from portal.core.config import ConfigError, Settings, load_settings, secret_variables
from portal.core.rules.limits.quiet_hours import QuietHours, parse_quiet_hours
from portal.core.rules.smtp_url import SmtpServer, parse_smtp_url


def quiet_hours(tmp_path: Path, text: str) -> QuietHours | None:
    return parse_quiet_hours(load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_QUIET_HOURS": text}).quiet_hours)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("off", None),
        (" OFF ", None),
        ("21-8", QuietHours(time(21), time(8))),
        ("21:00-08:00", QuietHours(time(21), time(8))),
        (" 20:30 - 09:15 ", QuietHours(time(20, 30), time(9, 15))),
    ],
)
def test_quiet_hours_are_two_times_or_none(tmp_path: Path, text: str, expected: QuietHours | None) -> None:
    assert quiet_hours(tmp_path, text) == expected


@pytest.mark.parametrize("text", ["off", "Required", "no", " "])
def test_invalid_choice_about_second_factors_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="PORTAL_SECOND_FACTOR must be one of required, optional"):
        load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_SECOND_FACTOR": text})


def test_second_factors_are_required_unless_a_variable_says_otherwise(tmp_path: Path) -> None:
    assert load_settings({"PORTAL_INSTANCE": str(tmp_path)}).second_factor == "required"


@pytest.mark.parametrize("text", ["0", "101", "-1", "3.5", "three", "٣", " "])
def test_invalid_frequency_cap_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="PORTAL_FREQUENCY_CAP must be a number of texts from 1 to 100, or off"):
        load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_FREQUENCY_CAP": text})


@pytest.mark.parametrize(
    "text", ["21", "21-", "-8", "21-8-9", "25:00-08:00", "9pm-8am", "21-21", "21:00Z-08:00Z", "on"]
)
def test_invalid_quiet_hours_are_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="PORTAL_QUIET_HOURS must be two"):
        quiet_hours(tmp_path, text)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mail.example.org", "must look like"),
        ("http://mail.example.org", "must look like"),
        ("smtp://mail.example.org:port", "must look like"),
        ("smtp://mail.example.org:70000", "must look like"),
        ("smtp://portal:pa/ss@mail.example.org", "must look like"),
        ("smtp://portal:pass@mail.example.org/inbox", "must look like"),
        ("smtp://[::1", "must look like"),
        ("smtp://portal:pa#ss@mail.example.org", "must look like"),
        ("smtp://portal@mail.example.org", "a user without a password"),
        ("smtp://portal:p%FCss@mail.example.org", "in UTF-8"),
        ("smtp://portal:p\udcfcss@mail.example.org", "in UTF-8"),
        ("smtp://mail.ex\udce4mple.org", "in UTF-8"),
        ("smtp://portal:p%00ss@mail.example.org", "control characters"),
        ("smtp://portal:pass@mail.example.org?starttls=never", "in the clear"),
        ("smtp://portal:pass@127.0.0.1.example.org?starttls=never", "in the clear"),
        ("smtp://mail.example.org?starttls=perhaps", "two options"),
        ("smtp://mail.example.org?verify=no", "two options"),
        ("smtps://mail.example.org?starttls=never", "takes no starttls"),
        ("smtp://mail.example.org?ca=/nowhere/ca.pem", "ca must be a file"),
        ("smtp://mail.example.org?ca=pyproject.toml", "ca must be a file"),
    ],
)
def test_invalid_smtp_url_is_refused_by_name(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"PORTAL_SMTP_URL.*{message}") as error:
        load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_SMTP_URL": url})
    assert "ss@" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.org", SmtpServer("mail.example.org", 25, starttls="always")),
        ("smtps://mail.example.org", SmtpServer("mail.example.org", 465, tls=True)),
        ("smtp://bücher.example:587", SmtpServer("xn--bcher-kva.example", 587, starttls="always")),
        ("smtp://a%40b.org:p%3A%2F%C3%BC@h.org:587", SmtpServer("h.org", 587, False, "a@b.org", "p:/ü", "always")),
        ("smtp://a@b.org:pä@h.org", SmtpServer("h.org", 25, False, "a@b.org", "pä", "always")),
        ("smtp://127.0.0.1", SmtpServer("127.0.0.1", 25, starttls="offered")),
        ("smtp://u:p@localhost?starttls=never", SmtpServer("localhost", 25, False, "u", "p", "never")),
        ("smtp://[::1]:2525?starttls=always", SmtpServer("::1", 2525, starttls="always")),
    ],
)
def test_smtp_url_is_parsed(tmp_path: Path, url: str, server: SmtpServer) -> None:
    assert parse_smtp_url(load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_SMTP_URL": url}).smtp_url) == server
    assert "password" not in repr(server)


@pytest.mark.parametrize(
    "text",
    [
        "not an address",
        "a@b.org, c@d.org",
        "Office",
        "Office <>",
        "@b.org",
        "a@b..org",
        "bü@b.org",
        "a@☃.org",
        "a @b.org",
        "B\udcfcrd <a@b.org>",
        "a\u200b@b.org",
    ],
)
def test_invalid_sender_address_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="PORTAL_MAIL_FROM cannot be used"):
        load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_MAIL_FROM": text})


@pytest.mark.parametrize(
    "text", ["a@b.org", "Office, Inc. <a@bücher.example>", '"Office" <a@b.org>', "portal@localhost"]
)
def test_sender_is_an_address_with_or_without_a_name(tmp_path: Path, text: str) -> None:
    assert load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_MAIL_FROM": text}).mail_from == text


def secret_file(folder: Path, text: str = "a secret key from a file", mode: int = 0o600) -> str:
    path = folder / "PORTAL_SECRET_KEY"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440])
def test_secret_is_read_from_a_private_file(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path, "a secret key from a file\n", mode)
    settings = load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_SECRET_KEY_FILE": path})
    assert settings.secret_key == "a secret key from a file"
    assert "PORTAL_SECRET_KEY" in settings.from_environment


def test_secret_is_read_from_a_credential_of_systemd(tmp_path: Path) -> None:
    secret_file(tmp_path)
    settings = load_settings({"PORTAL_INSTANCE": str(tmp_path), "CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.secret_key == "a secret key from a file"


@pytest.mark.parametrize(
    ("text", "mode", "more", "message"),
    [
        ("secret", 0o644, {}, "PORTAL_SECRET_KEY: other users can read or change .* chmod 0440"),
        ("secret", 0o660, {}, "other users can read or change"),
        (" \n", 0o600, {}, "is empty"),
        ("secret", 0o600, {"PORTAL_SECRET_KEY": "another"}, "is set twice"),
        ("secret", 0o600, {"PORTAL_SECRET_KEY_FILE": "/nowhere/key"}, "/nowhere/key cannot be read"),
    ],
)
def test_secret_file_that_protects_nothing_is_refused(
    tmp_path: Path, text: str, mode: int, more: dict[str, str], message: str
) -> None:
    environment = {"PORTAL_INSTANCE": str(tmp_path), "PORTAL_SECRET_KEY_FILE": secret_file(tmp_path, text, mode)}
    with pytest.raises(ConfigError, match=message):
        load_settings({**environment, **more})


def test_every_secret_of_the_settings_may_be_in_a_file() -> None:
    hidden = {field.name for field in fields(Settings) if not field.repr}
    from_key_variables = {"secret_keys", "encryption_keys", "database_url", "redis_url"}
    by_variable = {field.name for field in fields(Settings) if field.metadata.get("secret")}
    assert hidden == from_key_variables | by_variable
    assert {"PORTAL_SMTP_URL", "PORTAL_DATABASE_URL"} <= set(secret_variables())


OIDC = {
    "PORTAL_OIDC_ISSUER": "https://login.example.org",
    "PORTAL_OIDC_CLIENT_ID": "portal",
    "PORTAL_OIDC_CLIENT_SECRET": "a-secret-of-the-client",
}


def test_single_sign_on_is_read_and_hides_its_secret(tmp_path: Path) -> None:
    values = {"PORTAL_OIDC_ROLE_CLAIM": "groups", "PORTAL_OIDC_ADMIN_VALUES": "office, admins ,"}
    settings = load_settings({"PORTAL_INSTANCE": str(tmp_path), **OIDC, **values, "PORTAL_PASSWORD_SIGN_IN": "off"})
    assert settings.single_sign_on
    assert settings.single_sign_on.name == "login.example.org"
    assert settings.single_sign_on.admin_values == {"office", "admins"}
    assert settings.password_sign_in is False
    assert "a-secret" not in repr(settings)


def test_secret_of_single_sign_on_may_be_in_a_file(tmp_path: Path) -> None:
    path = secret_file(tmp_path, "a-secret-from-a-file\n")
    environment = {"PORTAL_INSTANCE": str(tmp_path), **OIDC, "PORTAL_OIDC_CLIENT_SECRET_FILE": path}
    del environment["PORTAL_OIDC_CLIENT_SECRET"]
    single_sign_on = load_settings(environment).single_sign_on
    assert single_sign_on
    assert single_sign_on.client_secret == "a-secret-from-a-file"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PORTAL_OIDC_ISSUER": "http://login.example.org"}, "PORTAL_OIDC_ISSUER must be the https://"),
        ({"PORTAL_OIDC_ISSUER": "login.example.org"}, "PORTAL_OIDC_ISSUER must be the https://"),
        ({"PORTAL_OIDC_ISSUER": "https://user@login.example.org"}, "PORTAL_OIDC_ISSUER must be the https://"),
        ({"PORTAL_OIDC_ISSUER": "https://[::1"}, "PORTAL_OIDC_ISSUER must be the https://"),
        ({"PORTAL_OIDC_ISSUER": ""}, "is set without PORTAL_OIDC_ISSUER"),
        ({"PORTAL_OIDC_CLIENT_ID": ""}, "Set PORTAL_OIDC_CLIENT_ID"),
        ({"PORTAL_OIDC_CLIENT_SECRET": ""}, "Set PORTAL_OIDC_CLIENT_SECRET"),
        ({"PORTAL_OIDC_ROLE_CLAIM": "groups"}, "together with PORTAL_OIDC_ADMIN_VALUES"),
        ({"PORTAL_OIDC_SYSADMIN_VALUES": "admins"}, "Set PORTAL_OIDC_ROLE_CLAIM together"),
        ({"PORTAL_PASSWORD_SIGN_IN": "no"}, "PORTAL_PASSWORD_SIGN_IN must be on or off"),
    ],
)
def test_incomplete_single_sign_on_is_refused_by_name(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        load_settings({"PORTAL_INSTANCE": str(tmp_path), **OIDC, **changes})
    assert "a-secret" not in str(error.value)


def test_passwords_are_not_switched_off_without_another_way_to_sign_in(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PORTAL_PASSWORD_SIGN_IN is off, so nobody could sign in"):
        load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_PASSWORD_SIGN_IN": "off"})


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("PORTAL_HSTS", "on", "must be one of subdomains, host"),
        ("PORTAL_METRICS_TOKEN", "short", "must be at least 32 ASCII characters"),
        ("PORTAL_METRICS_TOKEN", "a token with spaces, however long it is", "without spaces"),
    ],
)
def test_invalid_setting_of_a_defence_is_refused_by_name(tmp_path: Path, name: str, text: str, rule: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} {rule}|{name} .*{rule}"):
        load_settings({"PORTAL_INSTANCE": str(tmp_path), name: text})


def test_metrics_token_stands_in_no_description_of_the_settings(tmp_path: Path) -> None:
    token = "metrics-of-the-portal-for-prometheus"
    assert token not in repr(load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_METRICS_TOKEN": token}))


@pytest.mark.parametrize("name", ["IDLE_TIMEOUT", "IDLE_TIMEOUT_ADMIN", "LIFETIME"])
@pytest.mark.parametrize("text", ["299", "0", "-1", "86400", "never"])
def test_invalid_limit_of_sessions_is_refused_by_name(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"PORTAL_SESSION_{name} must be"):
        load_settings({"PORTAL_INSTANCE": str(tmp_path), f"PORTAL_SESSION_{name}": text})


def test_secret_keys_are_separated_by_commas_newest_first(tmp_path: Path) -> None:
    settings = load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_SECRET_KEY": " new , old,"})
    assert (settings.secret_keys, settings.secret_key) == (("new", "old"), "new")
    with pytest.raises(ConfigError, match="PORTAL_SECRET_KEY has no key"):
        load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_SECRET_KEY": " , "})
