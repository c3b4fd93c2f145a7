"""Who acts on a page, from where: what the ledger keeps of the click."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Actor:
    """Without an account it is somebody at the shell, who comes from no address."""

    account_id: int | None = None
    ip: str = ""
    user_agent: str = ""
    is_admin: bool = False

    @property
    def ledger_columns(self) -> dict[str, Any]:
        """As the ledger holds it."""
        return {"actor_id": self.account_id, "ip": self.ip, "user_agent": self.user_agent}


SHELL_ACTOR = Actor()
