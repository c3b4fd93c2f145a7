"""Twilio's webhook signatures, checked by Twilio's own client.

Twilio is inconsistent about including the port and the fragment with connection overrides in the URL. Its client tries
the URL with and without the port; the fragments are tried here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twilio.request_validator import HMAC_SHA1, HMAC_SHA256, RequestValidator, compare, get_signature_algorithm
from werkzeug.datastructures import MultiDict

CONNECTION_OVERRIDES = "rc=3&rp=5xx,ct,rt"
"""Asks Twilio to retry if it cannot connect or we respond with an error."""
_RETRY_FRAGMENTS = tuple(f"rc={times}{kinds}" for times in range(1, 6) for kinds in ("", "&rp=all"))
URL_FRAGMENTS = ("", f"#{CONNECTION_OVERRIDES}", *(f"#{fragment}" for fragment in _RETRY_FRAGMENTS))
"""Possible ends of the URL: none, our own, or one that an administrator configured at Twilio."""
_SIGNATURE_LENGTHS = {HMAC_SHA1: 28, HMAC_SHA256: 44}
"""Lengths of valid signatures in base64, by the algorithm that the call names."""


@dataclass(frozen=True)
class WebhookCall:
    """The signed parts of a call. `fields` has all values of each name.

    `signature_settings` is the header that describes a signature not made with the account's token.
    """

    path: str
    query: str
    fields: Mapping[str, Sequence[str]]
    signature: str
    signature_settings: str = ""

    @property
    def path_and_query(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


def is_signed_by(call: WebhookCall, token: str, base_url: str) -> bool:
    """Whether the signature is valid for a URL that starts with `base_url`."""
    return matches_signature(call, token, f"{base_url}{call.path_and_query}")


def matches_signature(call: WebhookCall, token: str, url: str, fragments: Sequence[str] = URL_FRAGMENTS) -> bool:
    """Every webhook that we use is a form; the signature of any other body would not cover it."""
    algorithm = get_signature_algorithm(call.signature_settings).upper()
    if len(call.signature) != _SIGNATURE_LENGTHS.get(algorithm) or not call.fields:
        return False
    validator, fields = RequestValidator(token), MultiDict(call.fields)
    try:
        # nearly always it is the URL as it stands, which takes half the time of trying it with and without the port
        if compare(validator.compute_signature(url, fields, algorithm), call.signature):
            return True
        return any(validator.validate(f"{url}{end}", fields, call.signature, algorithm) for end in fragments)
    except ValueError:  # a forged Host header can make the URL invalid
        return False
