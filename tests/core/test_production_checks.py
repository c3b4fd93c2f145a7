"""PORTAL_ENV=production refuses settings that protect nothing, and names all of them at once."""

import base64
import re
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from portal.core import production_checks
from portal.core.config import ConfigError, load_settings

KEY = "q8Zt2mVxP0c7JwN5hYbR1uKdSgLfE3aTiOoXvQ9yM4A="
GOOD = {
    "PORTAL_ENV": "production",
    "PORTAL_SECRET_KEY": "f3c1a97e5b08d264f3e1c0b7a95d8e42061b7f9c3da8",
    "PORTAL_ENCRYPTION_KEY": KEY,
    "PORTAL_PUBLIC_URL": "https://portal.example.org",
    "PORTAL_MAIL_FROM": "Office <notifications@example.org>",
}


def load(tmp_path: Path, **changes: str) -> None:
    load_settings({"PORTAL_INSTANCE": str(tmp_path), **GOOD, **changes})


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (
            "PORTAL_SECRET_KEY",
            [
                *(
                    "",
                    "x",
                    "change-me",
                    "a" * 64,
                    "change-me" * 5,
                    "0123456789" * 5,
                    "abcdefghijklmnopqrstuvwxyz0123456789",
                ),
                *("please-change-this-secret-key-before-production", "your-super-secret-key-here-please-change-it"),
                *("django-insecure-this-is-not-a-secret-key-at-all", secrets.token_hex(12)),
                *(" , ", f"{secrets.token_hex(32)},change-me"),
            ],
        ),
        (
            "PORTAL_ENCRYPTION_KEY",
            [
                *("", encoded(bytes(32)), encoded(b"\xff" * 32), encoded(bytes(range(32))), encoded(b"\x01\xfe" * 16)),
                *(encoded(b"12345678901234567890123456789012"), encoded(b"\x80" + bytes(31))),
                *(encoded(b"a passphrase of thirty-two chars"), f"{encoded(bytes(32))},{KEY}"),
            ],
        ),
        ("PORTAL_PUBLIC_URL", ["", "http://portal.example.org", "http://192.0.2.1:8000", "http://portal"]),
        (
            "PORTAL_REDIS_URL",
            [
                *("redis://queue.example.org", "redis://:long-random-Pq9@10.0.0.5:6379/0", "redis://valkey:6379/0"),
                *("rediss://:change-me@queue.example.org", "redis://:password@127.0.0.1"),
                *("unix:///run/valkey.sock?password=changeme", "rediss://queue.example.org/0?ssl_cert_reqs=none"),
            ],
        ),
        (
            "PORTAL_DATABASE_URL",
            [
                *("postgresql://portal:change-me@postgres/portal", "postgres://portal:postgres@db.example.org/portal"),
                *(
                    "postgresql://portal:@db.example.org/portal",
                    "postgresql://portal@db.example.org/portal?sslmode=disable",
                    "postgresql://portal:9tWk2LrX0c@db.example.org/portal?sslmode=require",
                    "postgresql://db.example.org/portal?user=portal&password=postgres",
                ),
            ],
        ),
        ("PORTAL_SMTP_URL", ["smtp://mail.example.org?starttls=offered", "smtp://10.0.0.5:25?starttls=never"]),
        ("PORTAL_TWILIO_API_URL", ["http://twilio.example.org", "http://10.0.0.5:8001"]),
        (
            "PORTAL_MAIL_FROM",
            ["", "Notifications <notifications@localhost.localdomain>", "portal@localhost", "x@web1.localdomain"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unsafe_setting_is_refused_by_name(tmp_path: Path, name: str, values: list[str]) -> None:
    for value in values:
        with pytest.raises(ConfigError, match=rf"\(\d\) (Set )?{name} ?"):
            load(tmp_path, **{name: value})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"PORTAL_PUBLIC_URL": "http://127.0.0.1:8000"},
        {"PORTAL_REDIS_URL": "redis://127.0.0.1:6379/0"},
        {"PORTAL_REDIS_URL": "rediss://:long-random-Pq9@queue.example.org"},
        {"PORTAL_REDIS_URL": "unix:///run/valkey/valkey.sock"},
        {"PORTAL_DATABASE_URL": "postgresql://portal:9tWk2LrX0c@db.example.org/portal?sslmode=verify-full"},
        {"PORTAL_DATABASE_URL": "postgresql://portal:9tWk2LrX0c@/portal?host=/run/postgresql"},
        {"PORTAL_SMTP_URL": "smtp://mail.example.org"},
        {"PORTAL_DATABASE_URL": "postgresql://portal@127.0.0.1/portal?sslmode=disable"},
        {"PORTAL_ENCRYPTION_KEY": f"{KEY},{encoded(bytes(32))}"},
        {"PORTAL_ENV": "Production "},
    ],
    ids=str,
)
def test_safe_settings_are_accepted(tmp_path: Path, changes: dict[str, str]) -> None:
    load(tmp_path, **changes)


@pytest.mark.parametrize("name", ["FLASK_DEBUG", "SSLKEYLOGFILE"])
def test_modes_for_debugging_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"\(1\) Unset {name}:"):
        load(tmp_path, **{name: "1"})
    load(tmp_path, FLASK_DEBUG="0")


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    names = ("SECRET_KEY", "ENCRYPTION_KEY", "PUBLIC_URL", "REDIS_URL", "DATABASE_URL", "TWILIO_API_URL", "MAIL_FROM")
    unsafe = (
        "x",
        encoded(bytes(32)),
        "http://p.example",
        "redis://q.example",
        "postgresql://p:9tWk2LrX0c@d/p",
        "http://t.example",
        "",
    )
    with pytest.raises(ConfigError) as error:
        load(tmp_path, **{f"PORTAL_{name}": value for name, value in zip(names, unsafe, strict=True)})
    assert re.findall(r"\(\d\) (?:Set )?PORTAL_(\w+)", str(error.value)) == list(names)


@pytest.mark.parametrize("name", ["prod", "live", "productoin"])
def test_mistyped_environment_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="PORTAL_ENV must be"):
        load(tmp_path, PORTAL_ENV=name)


def test_development_allows_unsafe_settings(tmp_path: Path) -> None:
    load(tmp_path, PORTAL_ENV="", PORTAL_SECRET_KEY="x", PORTAL_PUBLIC_URL="http://portal.example.org")


@pytest.mark.parametrize(
    "generate",
    [lambda: secrets.token_hex(32), lambda: secrets.token_urlsafe(32), lambda: encoded(secrets.token_bytes(32))],
)
def test_random_keys_are_accepted(generate: Callable[[], str]) -> None:
    for _ in range(200):
        keys = {"PORTAL_SECRET_KEY": generate(), "PORTAL_ENCRYPTION_KEY": encoded(secrets.token_bytes(32))}
        assert production_checks.find_problems({**GOOD, **keys}) == []
