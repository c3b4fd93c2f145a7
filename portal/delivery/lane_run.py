"""What surrounds a run over a lane, for emails and texts alike."""

from collections.abc import Callable

from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.transaction import transaction
from portal.gateways import queue
from portal.messages import restore_check
from portal.sends.tables import sends

DRAIN_SECONDS = 20.0


def drain_lane(channel: str, run: Callable[[], bool]) -> None:
    """Nothing is sent before the restore check. `run` returns whether more is due, so that another run is needed."""
    if not restore_check.restore_check_passed(now_ms()):
        return
    has_more = run()
    with transaction():
        sends.finish_sends(now_ms())
    if has_more:
        queue.enqueue(settings().redis_url, f"drain_{channel}")
