"""Delete the values of recipient files after 30 days. Who was in a file stays, and so does every message."""

from collections.abc import Callable

from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.sends.file_audience import MAX_AGE_MS
from portal.sends.tables import recipient_files, sends

_MARGIN_MS = 3_600_000
"""After a send may last have begun with the file."""


def delete_old_values(clock: Callable[[], int]) -> None:
    """A file that an unfinished fan-out needs keeps its values until then."""
    in_use = {audience.get("recipient_file") for audience in sends.unfinished_audiences()}
    old = recipient_files.old_file_ids(clock() - MAX_AGE_MS - _MARGIN_MS)
    db.session.rollback()
    for file_id in old:
        while file_id not in in_use and _delete_batch(file_id, clock()):
            pass


def _delete_batch(file_id: int, now_ms: int) -> bool:
    """Returns whether there may be more."""
    with transaction():
        if recipient_files.clear_rows(file_id):
            return True
        recipient_files.mark_cleared(file_id, now_ms)
        return False
