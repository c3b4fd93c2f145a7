"""What moves from one account to another when they are merged. Where both have a row, each keeps its own."""

from typing import Any

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import aliased

from portal.accounts.tables.accounts import Account
from portal.content.tables.topics import TopicOptOut
from portal.core.extensions import db
from portal.core.statements import updated_count
from portal.messages.tables.communications import Communication
from portal.records.tables.saved_searches import SavedSearch
from portal.sends.tables.recipient_files import RecipientRow
from portal.sends.tables.resends import ResendRecipient
from portal.sends.tables.schedule_recipients import ScheduleRecipient

_KEYS: dict[Any, tuple[str, ...]] = {
    ScheduleRecipient: ("schedule_id", "offset_days", "date"),
    ResendRecipient: ("resend_id", "source_send_id"),
    RecipientRow: ("file_id",),
    SavedSearch: ("name_folded",),
    TopicOptOut: ("topic_id",),
}
"""With the account, these identify a row."""


def count_communications(from_id: int, to_id: int) -> tuple[int, int]:
    """How many would move, and how many stay because both accounts got the same send."""
    total = db.session.scalar(select(func.count()).where(Communication.account_id == from_id)) or 0
    staying = select(func.count()).where(Communication.account_id == from_id, _has_same_communication(to_id))
    kept = db.session.scalar(staying) or 0
    return total - kept, kept


def move_communications(from_id: int, to_id: int) -> int:
    query = update(Communication).where(Communication.account_id == from_id, ~_has_same_communication(to_id))
    return updated_count(query.values(account_id=to_id))


def _has_same_communication(account_id: int) -> Any:
    other = aliased(Communication)
    same_event = and_(other.consent_event_id == Communication.consent_event_id, other.kind == Communication.kind)
    same = or_(other.send_id == Communication.send_id, same_event)
    return select(other.id).where(other.account_id == account_id, same).correlate(Communication).exists()


def move_rows(from_id: int, to_id: int) -> None:
    """Of sends, schedules and searches; and accounts that were merged before follow."""
    for table, key in _KEYS.items():
        other = aliased(table)
        same = [getattr(other, name) == getattr(table, name) for name in key]
        has_row = select(other.account_id).where(other.account_id == to_id, *same).correlate(table).exists()
        updated_count(update(table).where(table.account_id == from_id, ~has_row).values(account_id=to_id))
    updated_count(update(Account).where(Account.merged_into_id == from_id).values(merged_into_id=to_id))
