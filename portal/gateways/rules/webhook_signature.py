"""Twilio's webhook signatures: an HMAC of the URL and all fields, sorted by name.

Twilio is inconsistent about including the port and the fragment with connection overrides in the URL, so both are
tried with and without. A repeated field counts once for each of its distinct values.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

CONNECTION_OVERRIDES = "rc=3&rp=5xx,ct,rt"
"""Asks Twilio to retry if it cannot connect or we respond with an error."""
_RETRY_FRAGMENTS = tuple(f"rc={times}{kinds}" for times in range(1, 6) for kinds in ("", "&rp=all"))
URL_FRAGMENTS = ("", f"#{CONNECTION_OVERRIDES}", *(f"#{fragment}" for fragment in _RETRY_FRAGMENTS))
"""Possible ends of the URL: none, our own, or one that an administrator configured at Twilio."""
_DIGESTS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_SIGNATURE_LENGTHS = (28, 44)
"""Lengths of valid signatures in base64, by hash."""


@dataclass(frozen=True)
class WebhookCall:
    """The signed parts of a call. `fields` has all values of each name.

    A form has no `body`; another body is signed by its hash in the query. `signature_settings` is the header that
    describes a signature not made with the account's token.
    """

    path: str
    query: str
    fields: Mapping[str, Sequence[str]]
    signature: str
    signature_settings: str = ""
    body: bytes | None = None

    @property
    def has_signature(self) -> bool:
        return len(self.signature) in _SIGNATURE_LENGTHS

    @property
    def algorithm(self) -> str | None:
        """The `hashlib` name; None for an unknown algorithm."""
        pairs = (part.partition("=") for part in self.signature_settings.split(","))
        options = {name.strip(): value.strip().upper() for name, _, value in pairs}
        return _DIGESTS.get(options.get("algorithm") or "HMAC_SHA1")

    @property
    def path_and_query(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def has_valid_body(self) -> bool:
        """Whether the body matches its hash in the signed URL."""
        if self.body is None:
            return True
        expected = parse_qs(self.query).get("bodySHA256", [""])[0]
        return hmac.compare_digest(hashlib.sha256(self.body).hexdigest().encode(), expected.lower().encode())


def is_signed_by(call: WebhookCall, token: str, base_url: str) -> bool:
    """Whether the signature is valid for a URL that starts with `base_url`."""
    return matches_signature(call, token, f"{base_url}{call.path_and_query}")


def matches_signature(call: WebhookCall, token: str, url: str, fragments: Sequence[str] = URL_FRAGMENTS) -> bool:
    algorithm = call.algorithm
    if not call.has_signature or algorithm is None or not call.has_valid_body:
        return False
    mac, fields = hmac.new(token.encode(), digestmod=algorithm), _concatenate_fields(call.fields)
    signature = call.signature.encode("utf-8", "replace")
    candidates = (
        _encode_signature(mac, f"{variant}{fragment}{fields}")
        for variant in _url_variants(url)
        for fragment in fragments
    )
    return any(hmac.compare_digest(signature, candidate) for candidate in candidates)


def _concatenate_fields(fields: Mapping[str, Sequence[str]]) -> str:
    return "".join(f"{name}{value}" for name in sorted(fields) for value in sorted(set(fields[name])))


def _encode_signature(mac: hmac.HMAC, text: str) -> bytes:
    signed = mac.copy()
    signed.update(text.encode("utf-8", "replace"))
    return base64.b64encode(signed.digest())


def _url_variants(url: str) -> Iterator[str]:
    """The URL as it is, and with its port removed or added."""
    yield url
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return
    default_port = 443 if parts.scheme == "https" else 80
    host = parts.netloc.rpartition(":")[0] if port else f"{parts.netloc}:{default_port}"
    yield url.replace(parts.netloc, host, 1)
