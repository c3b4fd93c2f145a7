"""Mark communications as read."""

from sqlalchemy import update

from portal.core.transaction import transaction
from portal.messages.tables.communications import Communication


def mark_read(communication_id: int, account_id: int, now_ms: int) -> None:
    """Only the first visit by the account itself counts, also after it marked everything as read."""
    is_own = (Communication.id == communication_id, Communication.account_id == account_id)
    with transaction() as session:
        query = update(Communication).where(*is_own, Communication.opened_at_ms.is_(None))
        session.execute(query.values(read_at_ms=now_ms, is_only_marked_read=False))
