"""Twilio's webhook signature (docs/twilio.md#webhooks).

It is base64(HMAC-SHA1(auth token, URL + name and value of each parameter, sorted by name)).
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping


def sign(auth_token: str, url: str, params: Mapping[str, str]) -> str:
    """`url` is the requested URL without its fragment."""
    text = url + "".join(name + params[name] for name in sorted(params))
    digest = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()
