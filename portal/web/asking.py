"""Who asks for something on a page, as the ledger keeps it."""

from flask import request
from flask_security import current_user

from portal.actions.asker import Asker

_LONGEST_USER_AGENT = 300


def asker(by_admin: bool = False) -> Asker:
    """Whoever is signed in. `by_admin` is true where an administrator acts for somebody else."""
    agent = request.user_agent.string.replace("\x00", "")[:_LONGEST_USER_AGENT]
    return Asker(current_user.id, request.remote_addr or "", agent, by_admin)
