"""The settings of a process, read once from the `PORTAL_*` environment variables into a frozen object.

Every variable is optional with the embedded default (SQLite and Valkey under `instance/`). Invalid settings are
refused before anything starts.
"""

import base64
import binascii
import hashlib
import os
import re
import secrets
import ssl
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import phonenumbers

from portal.core import production_checks
from portal.core.environment.key_files import key_file, new_key
from portal.core.environment.secret_files import SecretFileError, with_secret_files
from portal.core.rules import email_address, smtp_url
from portal.core.rules.limits.frequency_cap import MAX_CAP, parse_frequency_cap
from portal.core.rules.limits.quiet_hours import parse_quiet_hours
from portal.core.rules.oidc_settings import SingleSignOn, SingleSignOnError, parse_single_sign_on
from portal.core.rules.time_zones import is_timezone
from portal.core.translation import ENGLISH, LANGUAGES

TWILIO_API_URL = "https://api.twilio.com"
_HOST_NAME = re.compile(r"[a-z0-9_.:-]+")
_MIN_TOKEN_LENGTH = 32
_UNIX_SOCKET_PATH_LIMIT = 100  # sockaddr_un holds 108 bytes on Linux, 104 on macOS


class ConfigError(ValueError):
    """A setting is missing or invalid; the message names it and how to fix it."""


def _http_url(name: str, text: str) -> str:
    url = text.rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"{name} must be a full URL such as https://portal.example.org, not {url!r}.")
    return url


def _smtp_url(name: str, url: str) -> str:
    try:
        ca_file = smtp_url.parse_smtp_url(url).ca_file
        if ca_file:
            ssl.create_default_context(cafile=ca_file)
    except smtp_url.SmtpUrlError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(f"{name}: ca must be a file of certificates in PEM, and {ca_file} cannot be read.") from error
    return url


def _mail_from(name: str, text: str) -> str:
    try:
        email_address.parse_mailbox(text)
    except email_address.EmailAddressError as error:
        message = f"{name} cannot be used: {error} Write it like Example Office <notices@example.org>."
        raise ConfigError(message) from error
    return text


def _checked(parse: Callable[[str], object], rule: str) -> Callable[[str, str], str]:
    """Empty text, or what `parse` accepts: for other text it returns False or raises `ValueError`."""

    def check(name: str, text: str) -> str:
        with suppress(ValueError):
            if not text or parse(text) is not False:
                return text
        raise ConfigError(f"{name} must be {rule}, not {text!r}.")

    return check


_log_format = _checked(("text", "json").__contains__, "one of text, json")
_time_zone = _checked(is_timezone, "a time zone such as America/New_York")
_language = _checked(LANGUAGES.__contains__, f"one of {', '.join(LANGUAGES)}")
_hsts = _checked(("subdomains", "host").__contains__, "one of subdomains, host")
_quiet_hours = _checked(parse_quiet_hours, "two different times such as 20:00-08:00, or off")
_second_factor = _checked(("required", "optional").__contains__, "one of required, optional")
_on_or_off = _checked(("on", "off").__contains__, "on or off")
_frequency_cap = _checked(parse_frequency_cap, f"a number of texts from 1 to {MAX_CAP}, or off")


def _single_sign_on(env: Mapping[str, str]) -> SingleSignOn | None:
    try:
        return parse_single_sign_on(env)
    except SingleSignOnError as error:
        raise ConfigError(str(error)) from error


def _seconds(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise ConfigError(f"{name} must be a number of seconds, not {text!r}.") from error
    if not 0 < value < 86_400:
        raise ConfigError(f"{name} must be more than 0 and less than 86,400 seconds.")
    return value


def _session_seconds(name: str, text: str) -> float:
    """Activity is stored once a minute, so that a shorter time would end sessions that are in use."""
    if (value := _seconds(name, text)) < 300:
        raise ConfigError(f"{name} must be at least 300 seconds, not {text!r}.")
    return value


def _integer(name: str, text: str, minimum: int = 1) -> int:
    if not text.isdecimal() or not minimum <= int(text) < 1_000_000:
        raise ConfigError(f"{name} must be a whole number of at least {minimum}, not {text!r}.")
    return int(text)


def _hosts(name: str, text: str) -> tuple[str, ...]:
    hosts = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    if any(set("/@ ") & set(host) for host in hosts):
        raise ConfigError(f"{name} must be names of hosts, separated by commas, such as alerts.example.org.")
    return hosts


def _host_names(name: str, text: str) -> tuple[str, ...]:
    hosts = tuple(part.strip().lower().strip("[]") for part in text.split(",") if part.strip())
    if invalid := [host for host in hosts if not _HOST_NAME.fullmatch(host)]:
        raise ConfigError(f"{name} must be names of hosts without ports, such as portal,10.0.0.5, not {invalid[0]!r}.")
    return hosts


def _metrics_token(name: str, text: str) -> str:
    if text and (len(text) < _MIN_TOKEN_LENGTH or not text.isascii() or not text.isprintable() or " " in text):
        raise ConfigError(f"{name} must be at least {_MIN_TOKEN_LENGTH} ASCII characters without spaces.")
    return text


def _variable(name: str, default: str, parse: Callable[[str, str], Any], is_secret: bool = False) -> Any:
    """The field of an environment variable. `parse` gets its name and text; an empty one has the default."""

    def read(env: Mapping[str, str]) -> Any:
        return parse(name, env.get(name) or default)

    return field(repr=not is_secret, metadata={"read": read, "secret": name if is_secret else ""})


@dataclass(frozen=True)
class Settings:
    """`load_settings` reads the fields that have no variable here: their defaults depend on other variables."""

    instance: Path
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    secret_keys: tuple[str, ...] = field(repr=False)
    """Newest first. It signs; the others still verify what was signed before."""
    encryption_keys: tuple[bytes, ...] = field(repr=False)
    sms_countries: tuple[str, ...]
    """Where invitations may be sent, as ISO 3166 codes; by default the organisation's own region."""
    public_url: str
    single_sign_on: SingleSignOn | None
    """`PORTAL_OIDC_…`"""
    from_environment: frozenset[str]
    """The variables that are set: they take precedence over what is saved in the browser (ADR 50)."""
    local_url: str = _variable("PORTAL_LOCAL_URL", "http://127.0.0.1:8000", _http_url)
    """Where `portal up` listens on this machine."""
    twilio_api_url: str = _variable("PORTAL_TWILIO_API_URL", TWILIO_API_URL, _http_url)
    smtp_url: str = _variable("PORTAL_SMTP_URL", "smtp://127.0.0.1:25", _smtp_url, is_secret=True)
    mail_from: str = _variable("PORTAL_MAIL_FROM", "Notifications <notifications@localhost.localdomain>", _mail_from)
    log_heads_folder: str = _variable("PORTAL_LOG_HEADS", "", lambda _name, text: text)
    """Where the ends of the logs are noted; by default in the instance folder."""
    log_format: str = _variable("PORTAL_LOG_FORMAT", "text", _log_format)
    region: str = _variable("PORTAL_REGION", "US", lambda _name, text: text.upper())
    time_zone: str = _variable("PORTAL_TIME_ZONE", "UTC", _time_zone)
    """That of new accounts."""
    language: str = _variable("PORTAL_LANGUAGE", ENGLISH.code, _language)
    """For people who have chosen none."""
    organisation: str = _variable("PORTAL_ORGANISATION", "Notification portal", lambda _name, text: text)
    invitations_per_day: int = _variable("PORTAL_INVITATIONS_PER_DAY", "500", _integer)
    quiet_hours: str = _variable("PORTAL_QUIET_HOURS", "", _quiet_hours)
    """Two local times, or off; if empty, the setting in the database counts. So it is with the next."""
    frequency_cap: str = _variable("PORTAL_FREQUENCY_CAP", "", _frequency_cap)
    """The most texts to one phone number in 24 hours, or off."""
    session_idle_seconds: float = _variable("PORTAL_SESSION_IDLE_TIMEOUT", "28800", _session_seconds)
    """After so long without activity, people are signed out; administrators after the next."""
    session_idle_admin_seconds: float = _variable("PORTAL_SESSION_IDLE_TIMEOUT_ADMIN", "1800", _session_seconds)
    session_lifetime_seconds: float = _variable("PORTAL_SESSION_LIFETIME", "43200", _session_seconds)
    second_factor: str = _variable("PORTAL_SECOND_FACTOR", "required", _second_factor)
    """For administrators; others choose for themselves."""
    trusted_device_days: int = _variable("PORTAL_TRUSTED_DEVICE_DAYS", "30", partial(_integer, minimum=0))
    """For how long a device that the person trusts is not asked for the second factor; 0 for never."""
    webhook_hosts: tuple[str, ...] = _variable("PORTAL_WEBHOOK_HOSTS", "", _hosts)
    """Where alerts may be sent, also at private addresses; empty for any host with a public one."""
    trusted_proxies: int = _variable("PORTAL_TRUSTED_PROXIES", "0", partial(_integer, minimum=0))
    """Proxies in front of the web process: the count of X-Forwarded-For addresses that are trusted."""
    trusted_hosts: tuple[str, ...] = _variable("PORTAL_TRUSTED_HOSTS", "", _host_names)
    """Names beside those of the public address and of this machine by which proxies may call the portal."""
    hsts: str = _variable("PORTAL_HSTS", "subdomains", _hsts)
    """What browsers open by https:// alone: the host of the public address, or its subdomains too."""
    metrics_token: str = _variable("PORTAL_METRICS_TOKEN", "", _metrics_token, is_secret=True)
    """With it, other machines read `/readyz` and `/metrics`."""
    sms_timeout_seconds: float = _variable("PORTAL_SMS_TIMEOUT", "15", _seconds)
    sms_lease_seconds: float = _variable("PORTAL_SMS_LEASE", "60", _seconds)
    sms_unknown_seconds: float = _variable("PORTAL_SMS_SETTLE", "300", _seconds)
    maintenance_interval_seconds: float = _variable("PORTAL_MAINTENANCE_INTERVAL", "5", _seconds)
    password_sign_in: bool = _variable(
        "PORTAL_PASSWORD_SIGN_IN", "on", lambda name, text: _on_or_off(name, text) == "on"
    )
    """Off where everybody signs in by single sign-on."""

    @property
    def secret_key(self) -> str:
        return self.secret_keys[0]

    @property
    def secure_cookies(self) -> bool:
        return self.public_url.startswith("https://")


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the environment. Raises `ConfigError` with a sentence for the operator."""
    env = _with_secret_files(os.environ if environ is None else environ)
    _check_production(env)
    instance = instance_folder(env)
    database_url = _database_url(env.get("PORTAL_DATABASE_URL") or f"sqlite:///{instance / 'portal.sqlite'}")
    may_generate = database_url.startswith("sqlite") and not is_production(env)
    settings = Settings(
        instance=instance,
        database_url=database_url,
        redis_url=_redis_url(env.get("PORTAL_REDIS_URL") or f"unix://{redis_socket(instance)}"),
        secret_keys=_secret_keys(_key(env, "PORTAL_SECRET_KEY", instance, may_generate)),
        encryption_keys=_encryption_keys(_key(env, "PORTAL_ENCRYPTION_KEY", instance, may_generate)),
        sms_countries=_countries(env),
        public_url=_public_url(env),
        single_sign_on=_single_sign_on(env),
        from_environment=frozenset(name for name, text in env.items() if name.startswith("PORTAL_") and text),
        **{variable.name: variable.metadata["read"](env) for variable in fields(Settings) if variable.metadata},
    )
    _check_sms_timing(settings)
    _check_sign_in(settings)
    return settings


def secret_variables() -> tuple[str, ...]:
    """The variables that may be in files (`environment.secret_files`)."""
    return (*_SECRETS, *(name for each in fields(Settings) if (name := each.metadata.get("secret"))))


_SECRETS = (
    "PORTAL_SECRET_KEY",
    "PORTAL_ENCRYPTION_KEY",
    "PORTAL_DATABASE_URL",
    "PORTAL_REDIS_URL",
    "PORTAL_OIDC_CLIENT_SECRET",
)


def _with_secret_files(env: Mapping[str, str]) -> Mapping[str, str]:
    try:
        return with_secret_files(env, secret_variables())
    except SecretFileError as error:
        raise ConfigError(str(error)) from error


def _public_url(env: Mapping[str, str]) -> str:
    """Without one, the portal is only known on this machine."""
    name = "PORTAL_PUBLIC_URL" if env.get("PORTAL_PUBLIC_URL") else "PORTAL_LOCAL_URL"
    return _http_url(name, env.get(name) or "http://127.0.0.1:8000")


def is_production(env: Mapping[str, str]) -> bool:
    """Raises `ConfigError` for an unknown value: a typo must not switch the checks off."""
    name = (env.get("PORTAL_ENV") or "").strip().lower()
    if name not in ("", "development", "production"):
        raise ConfigError(f"PORTAL_ENV must be production, development or empty, not {name!r}.")
    return name == "production"


def _check_production(env: Mapping[str, str]) -> None:
    problems = production_checks.find_problems(env) if is_production(env) else []
    if problems:
        listed = " ".join(f"({index}) {problem}" for index, problem in enumerate(problems, 1))
        raise ConfigError(f"PORTAL_ENV is production, but these settings are not safe: {listed}")


def instance_folder(env: Mapping[str, str]) -> Path:
    """The folder for the embedded database and Valkey: `PORTAL_INSTANCE`, else `instance/` next to the package."""
    configured = env.get("PORTAL_INSTANCE")
    return Path(configured).resolve() if configured else Path(__file__).resolve().parents[2] / "instance"


def redis_socket(instance: Path) -> Path:
    """The embedded server's socket; in the temporary folder if the path would be too long for a socket."""
    preferred = instance / "valkey" / "valkey.sock"
    if len(str(preferred)) <= _UNIX_SOCKET_PATH_LIMIT:
        return preferred
    digest = hashlib.sha256(str(instance).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"portal-{os.getuid()}-{digest}" / "valkey.sock"


def _database_url(url: str) -> str:
    """Accept `postgres://` too; SQLAlchemy 2.1 uses psycopg 3 for `postgresql://`."""
    url = re.sub(r"\Apostgres://", "postgresql://", url)
    if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
        raise ConfigError("PORTAL_DATABASE_URL must begin with sqlite:/// or postgresql://.")
    if not url.startswith("sqlite"):
        _check_database_host(url)
    return url


def _check_database_host(url: str) -> None:
    """An unescaped character in the password would make part of it look like the host."""
    server = re.split(r"[/?]", url.partition("://")[2], maxsplit=1)[0]
    if url.partition("?")[0].count("@") > 1 or (":" in server and "@" not in server and "@" in url.partition("?")[0]):
        raise ConfigError(
            "PORTAL_DATABASE_URL is not a valid URL. "
            "In its password write %40 for @, %2F for /, %3F for ? and %23 for #."
        )
    port = re.sub(r"^\[.*\]", "", server.rpartition("@")[2]).partition(":")[2]
    if port and not port.isdecimal():
        raise ConfigError(
            "PORTAL_DATABASE_URL has a port that is not a number: write it like postgresql://user:password@host:5432/name."
        )


def _redis_url(url: str) -> str:
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ConfigError("PORTAL_REDIS_URL must begin with redis://, rediss:// (TLS) or unix://.")
    return url


def _key(env: Mapping[str, str], variable: str, instance: Path, may_generate: bool) -> str:
    """The key in the variable, else the one in a file of the instance folder, which is generated if it is missing."""
    if key := env.get(variable):
        return key
    if not may_generate:
        raise ConfigError(
            f"Set {variable}: with PostgreSQL or PORTAL_ENV=production, every process must share it. "
            f"{production_checks.NEW_KEY_HELP}"
        )
    path = key_file(instance, variable)
    try:
        if not path.exists():
            instance.mkdir(parents=True, exist_ok=True)
            _write_private_file(path, new_key())
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read or created ({os.strerror(error.errno or 0)}). Give this user the right to read and "
            "write that folder, or choose another with PORTAL_INSTANCE."
        ) from error


def _write_private_file(path: Path, text: str) -> None:
    """Write the file atomically with mode 0600. If two processes start at once, the first one's key is kept."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _secret_keys(text: str) -> tuple[str, ...]:
    keys = tuple(key for part in text.split(",") if (key := part.strip()))
    if not keys:
        raise ConfigError("PORTAL_SECRET_KEY has no key (several are separated by commas, newest first).")
    return keys


def _encryption_keys(text: str) -> tuple[bytes, ...]:
    try:
        keys = tuple(base64.b64decode(part.strip(), validate=True) for part in text.split(","))
    except binascii.Error as error:
        raise ConfigError(
            "PORTAL_ENCRYPTION_KEY must be base64 (several keys are separated by commas, newest first)."
        ) from error
    if any(len(key) != 32 for key in keys):
        raise ConfigError("PORTAL_ENCRYPTION_KEY must be the base64 of exactly 32 bytes for each key.")
    return keys


def _countries(env: Mapping[str, str]) -> tuple[str, ...]:
    text = env.get("PORTAL_SMS_COUNTRIES") or env.get("PORTAL_REGION") or "US"
    countries = tuple(part.strip().upper() for part in text.split(",") if part.strip())
    unknown = [country for country in countries if country not in phonenumbers.SUPPORTED_REGIONS]
    if unknown or not countries:
        raise ConfigError(f"PORTAL_SMS_COUNTRIES must be ISO country codes such as US,CA, not {text!r}.")
    return countries


def _check_sms_timing(settings: Settings) -> None:
    """A call must end well within its lease, and receipts need time to arrive (docs/reliability.md#timeouts)."""
    timeout, lease, settle = settings.sms_timeout_seconds, settings.sms_lease_seconds, settings.sms_unknown_seconds
    if not timeout < lease / 2 < settle:
        raise ConfigError(
            "PORTAL_SMS_TIMEOUT must be less than half of PORTAL_SMS_LEASE, and half of PORTAL_SMS_LEASE less than "
            f"PORTAL_SMS_SETTLE, but {timeout:g} < {lease / 2:g} < {settle:g} is false."
        )


def _check_sign_in(settings: Settings) -> None:
    if not settings.password_sign_in and settings.single_sign_on is None:
        raise ConfigError(
            "PORTAL_PASSWORD_SIGN_IN is off, so nobody could sign in: set PORTAL_OIDC_ISSUER for a single sign-on, or "
            "PORTAL_PASSWORD_SIGN_IN=on."
        )
