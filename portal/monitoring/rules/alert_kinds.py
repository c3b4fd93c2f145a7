"""The kinds of alerts: how long each must last before anybody is told, and its words."""

from dataclasses import dataclass
from enum import StrEnum

from portal.core.rules.process_kinds import SCHEDULER, WORKER_QUEUE_LABELS
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.messages.rules.lane_labels import LANE_LABELS_BY_KEY

_CONFIRM_MS = 50_000
"""Two checks, a minute apart: a restart is no outage."""
_QUIET_MS = 300_000
"""What comes and goes is one alert, and not an email every few minutes."""
BUDGET_STEPS = (80, 100)
"""At which percentages of the budget an alert starts."""
END_SHARE = 0.8
"""The share of a limit below which an alert ends, so that it does not start and end again and again."""


class AlertKind(StrEnum):
    """What an alert is about."""

    FAILURE_RATE = "failure_rate"
    SEGMENT_BUDGET = "segment_budget"
    LANE_STUCK = "lane_stuck"
    PROCESS_MISSING = "process_missing"
    LANES_PAUSED = "lanes_paused"
    SENDER_PAUSED = "sender_paused"
    PROVIDER_AWAY = "provider_away"
    MAIL_SERVER_AWAY = "mail_server_away"
    QUEUE_AWAY = "queue_away"
    CHECK_FAILING = "check_failing"
    LOG_CHANGED = "log_changed"
    TEST = "test"

    @property
    def confirm_ms(self) -> int:
        """For how long it must last. A count, or what is looked at once an hour, does not come and go."""
        return 0 if self in _LASTING else _CONFIRM_MS

    @property
    def quiet_ms(self) -> int:
        """For how long it must be gone before it has ended."""
        return _QUIET_MS if self.confirm_ms else 0

    @property
    def needs_banner(self) -> bool:
        """Whether no other banner says the same."""
        return self in _WITHOUT_BANNER


_LASTING = (AlertKind.FAILURE_RATE, AlertKind.SEGMENT_BUDGET, AlertKind.CHECK_FAILING, AlertKind.LOG_CHANGED)
_WITHOUT_BANNER = (
    AlertKind.LOG_CHANGED,
    AlertKind.FAILURE_RATE,
    AlertKind.SEGMENT_BUDGET,
    AlertKind.LANE_STUCK,
    AlertKind.PROCESS_MISSING,
)
_KINDS = {kind.value: kind for kind in AlertKind}


def known_kind(kind: str) -> AlertKind | None:
    """None for a kind that only a later version of the portal knows."""
    return _KINDS.get(kind)


@dataclass(frozen=True)
class Condition:
    """Something that is wrong now. `subject` tells one of a kind from another; it is no phone number."""

    kind: AlertKind
    subject: str = ""


@dataclass(frozen=True)
class AlertText:
    title: str
    meaning: str
    advice: str


_TEXTS = {
    AlertKind.FAILURE_RATE: (
        "",
        N_("More of the messages of the last 24 hours were not delivered than AlertFailurePercent permits."),
        N_("Open Communications, filter by “Not delivered” and read the reasons."),
    ),
    AlertKind.SEGMENT_BUDGET: (
        "",
        N_("The texts of the last 24 hours have used that part of AlertSegmentsPerDay. Texts are still sent."),
        N_("Pause a send if this is not intended, or raise the budget."),
    ),
    AlertKind.LANE_STUCK: (
        N_("Nothing is sent: %(lane)s"),
        N_("Messages have been due for ten minutes, and none has been tried. No cause is known."),
        N_("Open Queues, and look at the log of the worker. Restart it if it does nothing."),
    ),
    AlertKind.PROCESS_MISSING: (
        "",
        N_("It has had no heartbeat for a minute. What it should send waits, and none of it is lost."),
        N_("Start it, and look at its log for why it ended."),
    ),
    AlertKind.LANES_PAUSED: (
        N_("Sending is paused"),
        N_("The portal or the command line paused it. Messages wait, and none is lost."),
        N_("Open Queues, read why, and resume what may be sent."),
    ),
    AlertKind.SENDER_PAUSED: (
        N_("A sending number is paused"),
        N_("The provider refuses its texts for a reason that concerns the account. Texts wait, and none is lost."),
        N_("Open Queues for the reason. Run the diagnostics after you have fixed it, and resume sending."),
    ),
    AlertKind.PROVIDER_AWAY: (
        N_("%(provider)s does not answer"),
        N_("Texts wait, and none is lost. The portal tries one from time to time until it gets an answer."),
        N_("Look at the provider’s status page, and run the diagnostics."),
    ),
    AlertKind.MAIL_SERVER_AWAY: (
        N_("The mail server does not accept emails"),
        N_("Emails wait, and none is lost. The portal keeps trying."),
        N_("Open Queues for its last error, and run the diagnostics."),
    ),
    AlertKind.QUEUE_AWAY: (
        N_("The queue accepts no work"),
        N_("Sending continues more slowly: workers poll the database."),
        N_("Open Queues for the cause, and start Redis again."),
    ),
    AlertKind.CHECK_FAILING: (
        N_("A check fails: %(check)s"),
        N_("The portal runs the diagnostics once an hour. This check had passed, and now it fails."),
        N_("Run the diagnostics in the test harness. They say why, and how to fix it."),
    ),
    AlertKind.LOG_CHANGED: (
        N_("Somebody has changed a log in the database"),
        N_("An entry of the audit log, the history of settings or the consent ledger is not as the portal wrote it."),
        N_("Run portal audit verify: it names the entry. Keep a copy of the database as evidence."),
    ),
    AlertKind.TEST: (
        N_("Test alert"),
        N_("A system administrator asked for it. Nothing is wrong."),
        N_("If you can read this, alerts reach you."),
    ),
}
_ANY_RATE_TITLE = N_("Many messages are not delivered")
"""For a subject that only a later version of the portal knows."""
_RATE_TITLES = {"sms": N_("Many texts are not delivered"), "email": N_("Many emails are not delivered")}


def describe_alert(kind: str, subject: str) -> AlertText:
    if (known := known_kind(kind)) is None:
        return AlertText(_("Unknown alert"), _("A later version of the portal recorded it."), "")
    title, meaning, advice = _TEXTS[known]
    return AlertText(_title(known, title, subject), _(meaning), _(advice))


def _title(kind: AlertKind, title: str, subject: str) -> str:
    if kind is AlertKind.FAILURE_RATE:
        return _(_RATE_TITLES.get(subject, _ANY_RATE_TITLE))
    if kind is AlertKind.SEGMENT_BUDGET:
        return _("%(percent)s%% of the segments a day are used", percent=subject)
    if kind is AlertKind.PROCESS_MISSING:
        return _process_title(subject)
    return _(title, lane=_(LANE_LABELS_BY_KEY.get(subject, "")), provider=subject, check=_(subject) if subject else "")


def _process_title(subject: str) -> str:
    if subject == SCHEDULER:
        return _("The scheduler is not running")
    return _("The worker for %(queue)s is not running", queue=_(WORKER_QUEUE_LABELS.get(subject, subject)))


def is_step_used(segments: int, budget: int, step: int, was_used: bool = False) -> bool:
    """An alert ends clearly below its step: hour by hour, some of the last 24 hours’ texts drop out of the count."""
    return segments * 100 >= budget * step * (END_SHARE if was_used else 1)
