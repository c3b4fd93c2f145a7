"""Settings that `PORTAL_ENV=production` refuses to start with, because they protect nothing."""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parseaddr
from itertools import pairwise
from math import log2
from urllib.parse import parse_qs, unquote, urlsplit

from portal.core.rules.connection_errors import ErrorExplanation
from portal.core.rules.transport.loopback import is_loopback
from portal.core.rules.transport.required_tls import database_tls_problem, mail_tls_problem, redis_tls_problem

NEW_KEY_HELP = 'Generate one with: python3 -c "import base64, os; print(base64.b64encode(os.urandom(32)).decode())"'
_MIN_SECRET_LENGTH, _MIN_ENTROPY_BITS = 32, 90
_PLACEHOLDERS = (
    "development", "production", "insecure", "changeme", "generate", "password", "default", "example", "replace",
    "before", "change", "django", "please", "portal", "random", "secret", "string", "flask", "super", "token", "value",
    "here", "long", "some", "this", "very", "with", "your",
)  # fmt: skip
"""Longest first. Each is so long that random text hardly ever contains it."""
_COMMON_PASSWORDS = (
    "", "changeme", "password", "postgres", "portal", "secret", "admin", "root", "x", "redis", "valkey",
)  # fmt: skip


def find_problems(env: Mapping[str, str]) -> list[str]:
    """A sentence for each unsafe setting. Malformed values are left to their parsers."""
    return [
        *_secret_key_problems(env.get("PORTAL_SECRET_KEY") or ""),
        *_encryption_key_problems(env.get("PORTAL_ENCRYPTION_KEY") or ""),
        *_public_url_problems(env.get("PORTAL_PUBLIC_URL") or ""),
        *_redis_problems(env.get("PORTAL_REDIS_URL") or ""),
        *_database_problems(env.get("PORTAL_DATABASE_URL") or "", env),
        *_twilio_problems(env.get("PORTAL_TWILIO_API_URL") or ""),
        *_described(mail_tls_problem(env.get("PORTAL_SMTP_URL") or "")),
        *_mail_from_problems(env.get("PORTAL_MAIL_FROM") or ""),
        *_debug_problems(env),
    ]


def _secret_key_problems(text: str) -> Iterator[str]:
    """Check every key: what an older one has signed is accepted still."""
    keys = [key for part in text.split(",") if (key := part.strip())]
    if not keys:
        yield f"Set PORTAL_SECRET_KEY: every process must share it. {NEW_KEY_HELP}"
    elif any(map(_is_guessable, keys)):
        yield f"PORTAL_SECRET_KEY can be guessed: it is short or has a pattern. {NEW_KEY_HELP}"


def _is_guessable(key: str) -> bool:
    return len(key) < _MIN_SECRET_LENGTH or _entropy_bits(_without_placeholders(key)) < _MIN_ENTROPY_BITS


def _encryption_key_problems(text: str) -> Iterator[str]:
    """Check only the newest key: older ones, which `portal keys rotate` needs, no longer encrypt anything."""
    if not text:
        yield f"Set PORTAL_ENCRYPTION_KEY: every process must share it. {NEW_KEY_HELP}"
        return
    try:
        key = base64.b64decode(text.partition(",")[0].strip(), validate=True)
    except binascii.Error:
        return
    if key.isascii() or _entropy_bits(key) < _MIN_ENTROPY_BITS:
        yield (
            "PORTAL_ENCRYPTION_KEY can be guessed: it is text or a pattern, not 32 random bytes. To replace it, put a "
            f"new key and a comma before it, and run: portal keys rotate. {NEW_KEY_HELP}"
        )


def _public_url_problems(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    if not url:
        yield "Set PORTAL_PUBLIC_URL to the portal's public https:// address: links in emails and texts begin with it."
    elif parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        yield "PORTAL_PUBLIC_URL must begin with https://: over http://, passwords and sessions can be read in transit."


def _redis_problems(url: str) -> Iterator[str]:
    yield from _described(redis_tls_problem(url))
    if (password := _url_password(url)) is not None and _is_common_password(password):
        yield "PORTAL_REDIS_URL has a common password: choose a random one."


def _database_problems(url: str, env: Mapping[str, str]) -> Iterator[str]:
    if url.startswith("sqlite"):
        return
    if (password := _url_password(url)) is not None and _is_common_password(password):
        yield "PORTAL_DATABASE_URL has a common password: choose a random one."
    yield from _described(database_tls_problem(url, env))


def _described(problem: ErrorExplanation | None) -> Iterator[str]:
    if problem is not None:
        yield str(problem)


def _twilio_problems(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        yield "PORTAL_TWILIO_API_URL must begin with https://: the account's credentials are sent there."


def _mail_from_problems(text: str) -> Iterator[str]:
    domain = parseaddr(text)[1].rpartition("@")[2].lower()
    if not text or domain in ("localhost", "localhost.localdomain") or domain.endswith((".localhost", ".localdomain")):
        yield "Set PORTAL_MAIL_FROM to an address in your domain: mail servers refuse or discard mail from localhost."


def _debug_problems(env: Mapping[str, str]) -> Iterator[str]:
    if (env.get("FLASK_DEBUG") or "0").lower() not in ("0", "false", "no"):
        yield "Unset FLASK_DEBUG: its error pages show code and stored values."
    if env.get("SSLKEYLOGFILE"):
        yield "Unset SSLKEYLOGFILE: whoever reads that file can decrypt every connection."


def _url_password(url: str) -> str | None:
    """The password before the host, or in the query string, where some clients read it too."""
    password = urlsplit(url).password
    return (_query_option(url, "password") or None) if password is None else password


def _query_option(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query).get(name, [""])[-1]


def _is_common_password(password: str) -> bool:
    return "".join(filter(str.isalnum, unquote(password).lower())) in _COMMON_PASSWORDS


def _without_placeholders(text: str) -> str:
    """What remains of a phrase such as change-this-secret-key."""
    remainder = text.lower()
    if not any(word in remainder for word in _PLACEHOLDERS):
        return text
    for word in _PLACEHOLDERS:
        remainder = remainder.replace(word, "")
    return remainder


def _entropy_bits(symbols: bytes | str) -> float:
    """An upper bound from the frequencies of the symbols and of the steps between them, in bits.

    A repeated part counts once.
    """
    codes = list(symbols) if isinstance(symbols, bytes) else [ord(symbol) for symbol in symbols]
    part = codes[: _repeat_length(codes)]
    steps = [second - first for first, second in pairwise(part)]
    return min(_entropy(part), _entropy(steps) if len(part) > 2 else _entropy(part))


def _repeat_length(codes: Sequence[int]) -> int:
    total = len(codes)
    return next((size for size in range(1, total) if codes[size:] == codes[: total - size]), total)


def _entropy(codes: Sequence[int]) -> float:
    total = len(codes)
    counts = [codes.count(code) for code in set(codes)]
    return sum(count * log2(total / count) for count in counts)
