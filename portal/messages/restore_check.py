"""Whether the scheduler has checked that this database is not an older copy, so that messages may be sent."""

from portal.core.context import settings
from portal.core.coordination import sync_cursor
from portal.gateways import queue
from portal.messages.rules.restore_detection import is_restored

_CURSOR_NAME = "restore_guard"


def restore_check_passed(now_ms: int) -> bool:
    return not is_restored(sync_cursor(_CURSOR_NAME), queue.load_value(settings().redis_url, _CURSOR_NAME), now_ms)
