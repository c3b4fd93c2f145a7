"""How Twilio signs a call to a webhook: the secret, the address it called, then every field by name.

Twilio is not of one mind about the port in the address, nor about the fragment that asks it to call again, so an
address counts with and without either. A field that stands there several times counts once for each of its values.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

CONNECTION_OVERRIDES = "rc=3&rp=5xx,ct,rt"
"""Asks Twilio to tell it again when nobody listens, or we are busy."""
_RETRY_FRAGMENTS = tuple(f"rc={times}{kinds}" for times in range(1, 6) for kinds in ("", "&rp=all"))
URL_FRAGMENTS = ("", f"#{CONNECTION_OVERRIDES}", *(f"#{asked}" for asked in _RETRY_FRAGMENTS))
"""What may follow an address: nothing, ours, or what an administrator has added at Twilio."""
_DIGESTS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_SIGNATURE_LENGTHS = (28, 44)
"""Of a signature in base64, by either hash: what has another length is none."""


@dataclass(frozen=True)
class WebhookCall:
    """One call as far as a signature covers it. `fields` has all values of each name.

    A `body` that is no form is covered by its hash, which stands in the query; of a form it is None. `signature_settings` is what
    Twilio says of a signature that is not made with the account's token.
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
        """As `hashlib` calls it; None for one that nobody knows."""
        pairs = (part.partition("=") for part in self.signature_settings.split(","))
        named = {name.strip(): value.strip().upper() for name, _, value in pairs}
        return _DIGESTS.get(named.get("algorithm") or "HMAC_SHA1")

    @property
    def path_and_query(self) -> str:
        """Path and query, which follow the host."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def has_valid_body(self) -> bool:
        """Whether the body is the one whose hash is signed with the address."""
        if self.body is None:
            return True
        told = parse_qs(self.query).get("bodySHA256", [""])[0]
        return hmac.compare_digest(hashlib.sha256(self.body).hexdigest().encode(), told.lower().encode())


def is_signed_by(call: WebhookCall, token: str, base_url: str) -> bool:
    """Whether Twilio signed this call to an address that begins with `base_url`."""
    return matches_signature(call, token, f"{base_url}{call.path_and_query}")


def matches_signature(call: WebhookCall, token: str, address: str, fragments: Sequence[str] = URL_FRAGMENTS) -> bool:
    algorithm = call.algorithm
    if not call.has_signature or algorithm is None or not call.has_valid_body:
        return False
    keyed, fields = hmac.new(token.encode(), digestmod=algorithm), _concatenate_fields(call.fields)
    signature = call.signature.encode("utf-8", "replace")
    signed = (
        _encode_signature(keyed, f"{one}{fragment}{fields}")
        for one in _url_spellings(address)
        for fragment in fragments
    )
    return any(hmac.compare_digest(signature, one) for one in signed)


def _concatenate_fields(fields: Mapping[str, Sequence[str]]) -> str:
    return "".join(f"{name}{value}" for name in sorted(fields) for value in sorted(set(fields[name])))


def _encode_signature(keyed: hmac.HMAC, text: str) -> bytes:
    made = keyed.copy()
    made.update(text.encode("utf-8", "replace"))
    return base64.b64encode(made.digest())


def _url_spellings(address: str) -> Iterator[str]:
    """With its port and without it."""
    yield address
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return
    usual = 443 if parts.scheme == "https" else 80
    host = parts.netloc.rpartition(":")[0] if port else f"{parts.netloc}:{usual}"
    yield address.replace(parts.netloc, host, 1)
