"""What a recipient does with a communication."""

from sqlalchemy import update

from portal.core.transaction import transaction
from portal.messages.tables.communications import Communication


def mark_read(communication_id: int, account_id: int, now_ms: int) -> None:
    """The first visit of its owner counts; nobody else's does."""
    query = update(Communication).where(
        Communication.id == communication_id,
        Communication.account_id == account_id,
        Communication.read_at_ms.is_(None),
    )
    with transaction() as session:
        session.execute(query.values(read_at_ms=now_ms))
