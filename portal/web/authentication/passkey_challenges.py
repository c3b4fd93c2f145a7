"""The challenge that an authenticator signs: for one answer, in this browser, for five minutes."""

import secrets

from flask import session

from portal.authentication.rules.passkey_site import PasskeySite, passkey_site
from portal.authentication.tables.spent_challenges import CHALLENGE_LIFETIME_MS
from portal.core.clock import now_ms
from portal.core.context import settings

ADDING, SIGN_IN, PROOF = "adding", "sign-in", "proof"
"""What a challenge is for: one does not take the place of another."""
_BYTES = 32


def new_challenge(purpose: str) -> bytes:
    """Takes the place of one that was not answered yet, as in another tab."""
    challenge = secrets.token_bytes(_BYTES)
    session[_session_key(purpose)] = {"value": challenge.hex(), "at_ms": now_ms()}
    return challenge


def take_challenge(purpose: str) -> bytes | None:
    """None if there is none, or it is too old."""
    stored = session.pop(_session_key(purpose), None)
    if not stored or not 0 <= now_ms() - stored["at_ms"] < CHALLENGE_LIFETIME_MS:
        return None
    return bytes.fromhex(stored["value"])


def _session_key(purpose: str) -> str:
    return f"passkey_challenge_{purpose}"


def current_site() -> PasskeySite | None:
    """None if the public address is none for passkeys."""
    return passkey_site(settings().public_url)
