"""Mark communications as read."""

from sqlalchemy import update

from portal.core.transaction import transaction
from portal.messages.tables.communications import Communication


def mark_read(communication_id: int, account_id: int, now_ms: int) -> None:
    """Only the first visit by the account itself counts."""
    query = update(Communication).where(
        Communication.id == communication_id,
        Communication.account_id == account_id,
        Communication.read_at_ms.is_(None),
    )
    with transaction() as session:
        session.execute(query.values(read_at_ms=now_ms))
