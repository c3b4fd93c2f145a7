"""Who performs an action and from where, as the consent ledger records it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Actor:
    """Without an account: somebody at the shell, who has no IP address."""

    account_id: int | None = None
    ip: str = ""
    user_agent: str = ""
    is_admin: bool = False

    @property
    def ledger_columns(self) -> dict[str, Any]:
        return {"actor_id": self.account_id, "ip": self.ip, "user_agent": self.user_agent}


SHELL_ACTOR = Actor()
