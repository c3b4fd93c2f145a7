"""States of schedules and of their runs."""

from enum import StrEnum

from portal.core.translation import N_


class ScheduleState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


class RunState(StrEnum):
    """`PLANNED` becomes `SENT`, `EMPTY`, `FAILED` or `MISSED`. The others are final from the beginning."""

    PLANNED = "planned"
    SENT = "sent"
    EMPTY = "empty"
    FAILED = "failed"
    SKIPPED = "skipped"
    MISSED = "missed"


TOO_LATE = N_("The portal could not send it in time.")
NOT_ACTIVE = N_("It came due before the schedule was changed or resumed, or the database restored.")
ENDED = N_("The schedule was ended before the run had begun.")
OVERTAKEN = N_("A later run was due as well, so only that one was sent.")
RESTORED = N_("The database was restored from a backup, so nobody knows whether it had been sent.")
NOBODY = N_("The audience was empty, so nothing was sent.")
"""Reasons, as a run stores them."""
