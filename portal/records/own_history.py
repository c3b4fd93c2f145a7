"""What a person does with their own Communications History."""

from portal.core.transaction import transaction
from portal.records.tables import person_history

_BATCH_SIZE = 1_000


def mark_all_read(account_id: int, through_id: int, with_sms: bool, now_ms: int) -> None:
    """Up to the newest that the person saw, in small transactions: what came meanwhile stays new."""
    while ids := person_history.unread_ids(account_id, through_id, _BATCH_SIZE, with_sms):
        with transaction():
            person_history.mark_all_read(ids, now_ms)
