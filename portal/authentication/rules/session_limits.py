"""When a sign-in session ends by itself: after inactivity, and some time after signing in (ADR 61)."""

from dataclasses import dataclass
from enum import StrEnum

from portal.accounts.rules.roles import ROLES

ACTIVITY_INTERVAL_MS = 60_000
"""Activity is stored no more often, so that reading pages hardly ever writes."""


class SessionEnd(StrEnum):
    """Why a session grants nothing any more."""

    IDLE = "idle"
    LIFETIME = "lifetime"
    REVOKED = "revoked"
    """Somebody ended it, or the account has another identity by now."""


@dataclass(frozen=True)
class SessionLimits:
    """`admin_idle_ms` is for every role that may do more than users."""

    idle_ms: int
    admin_idle_ms: int
    lifetime_ms: int

    def idle_ms_of(self, role: str) -> int:
        return self.idle_ms if role == ROLES[0] else self.admin_idle_ms


def session_end(
    created_at_ms: int, last_seen_at_ms: int, role: str, limits: SessionLimits, now_ms: int
) -> SessionEnd | None:
    """None while the session is valid."""
    if now_ms - created_at_ms >= limits.lifetime_ms:
        return SessionEnd.LIFETIME
    return SessionEnd.IDLE if now_ms - last_seen_at_ms >= limits.idle_ms_of(role) else None
