"""The signed-in account as the actor that the ledger and the audit log record."""

from flask import request
from flask_security import current_user

from portal.core.actor import Actor

_MAX_USER_AGENT_LENGTH = 300


def current_actor(by_admin: bool = False) -> Actor:
    """`by_admin`: an administrator acts for somebody else."""
    agent = request.user_agent.string.replace("\x00", "")[:_MAX_USER_AGENT_LENGTH]
    return Actor(current_user.id, request.remote_addr or "", agent, by_admin)
