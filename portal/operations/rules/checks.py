"""The doctor's findings: a line for each check, with a verdict, why, and how to mend it; and what its own side shows.

What could not be checked is unknown, never ok.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from portal.core.rules.connection_errors import ErrorExplanation
from portal.core.rules.phone import mask_phone
from portal.core.rules.process_kinds import SCHEDULER, WORKER_QUEUE_LABELS
from portal.core.rules.routing import Mode, Switches
from portal.gateways.rules.provider_codes import code_in_pause_reason, explain_error_code

Verdict = Literal["failing", "warning", "unknown", "ok"]
CheckGroup = Literal["Twilio", "Portal", "Mail"]
CheckAction = Literal["", "set_webhooks", "resume"]
GROUPS: tuple[CheckGroup, ...] = ("Twilio", "Portal", "Mail")
_SEVERITY_ORDER: tuple[Verdict, ...] = ("failing", "warning", "unknown", "ok")
_VERDICT_LABELS = {"failing": "failing", "warning": "with a warning", "unknown": "not checked", "ok": "ok"}


@dataclass(frozen=True)
class CheckResult:
    """`action` names what the page offers beside the line."""

    group: CheckGroup
    name: str
    verdict: Verdict
    reason: str
    fix: str = ""
    action: CheckAction = ""


@dataclass(frozen=True)
class CheckSpec:
    """What is checked; its methods are the verdicts."""

    group: CheckGroup
    name: str

    def ok(self, why: str) -> CheckResult:
        return CheckResult(self.group, self.name, "ok", why)

    def warning(self, why: str, fix: str, button: CheckAction = "") -> CheckResult:
        return CheckResult(self.group, self.name, "warning", why, fix, button)

    def failing(self, why: str, fix: str, button: CheckAction = "") -> CheckResult:
        return CheckResult(self.group, self.name, "failing", why, fix, button)

    def unknown(self, why: str, fix: str = "") -> CheckResult:
        return CheckResult(self.group, self.name, "unknown", why, fix)


CREDENTIALS = CheckSpec("Twilio", "Credentials")
MODE = CheckSpec("Portal", "Mode")
QUIET_HOURS_CHECK = CheckSpec("Portal", "Quiet hours")
LANES = CheckSpec("Portal", "Lanes")
DATABASE = CheckSpec("Portal", "Database")
QUEUE = CheckSpec("Portal", "Queue")
NO_EVICTION = "noeviction"
WORKER_HEARTBEATS = CheckSpec("Portal", "Workers")
SCHEDULER_HEARTBEAT = CheckSpec("Portal", "Scheduler")


def group_checks(checks: Iterable[CheckResult]) -> list[tuple[CheckGroup, list[CheckResult]]]:
    """By group, failing first; within a verdict in the order of the checks. Empty groups are left out."""
    found = list(checks)
    sorted_ = [(group, sorted((c for c in found if c.group == group), key=_severity)) for group in GROUPS]
    return [(group, lines) for group, lines in sorted_ if lines]


def summarize_checks(checks: Sequence[CheckResult]) -> str:
    """“1 failing, 2 with a warning, 14 ok”."""
    counts = [(verdict, sum(check.verdict == verdict for check in checks)) for verdict in _SEVERITY_ORDER]
    return ", ".join(f"{count} {_VERDICT_LABELS[verdict]}" for verdict, count in counts if count)


def has_failure(checks: Iterable[CheckResult]) -> bool:
    return any(check.verdict == "failing" for check in checks)


def resume_blocker(checks: Iterable[CheckResult]) -> str | None:
    """What keeps a paused lane paused: a failing check of Twilio, or credentials that nobody could try."""
    for check in checks:
        unproven = check.name == CREDENTIALS.name and check.verdict == "unknown"
        if check.group == "Twilio" and (check.verdict == "failing" or unproven):
            return f"Sending stays paused. {check.name}: {check.reason} {check.fix}".strip()
    return None


def merge_sender_checks(found: Sequence[tuple[str, CheckResult]]) -> CheckResult:
    """The same check of several sending numbers as one line: the worst of them, with all that are as bad."""
    worst = min((check for _, check in found), key=_severity)
    alike = [(number, check.reason) for number, check in found if check.verdict == worst.verdict]
    if {why for _, why in alike} == {check.reason for _, check in found} == {worst.reason}:
        return worst
    said = [why if sender_label(number) in why else f"{sender_label(number)}: {why}" for number, why in alike]
    return replace(worst, reason=" ".join(said))


def check_mode(switches: Switches, simulated: bool, stopped_override: str | None = None) -> CheckResult:
    """`simulated`: texts go to a stand-in for Twilio. `stopped_override`: an override number that said STOP."""
    if stopped_override:
        return MODE.failing(
            f"The override is on, and its number {mask_phone(stopped_override)} replied STOP: not one text leaves.",
            "Text START from that phone, or choose another SmsOverrideNumber.",
        )
    if switches.mode == Mode.OFF:
        return MODE.warning("Texts are switched off: everything goes by email only.", "Set EnableSmsNotifications.")
    if switches.test_mode:
        return MODE.warning(
            "Test mode is on: texts are made with test credentials and no real text leaves.",
            "Switch EnableSmsTestMode off to send.",
        )
    if switches.override_number:
        return MODE.warning(
            f"The override is on: every text goes to {mask_phone(switches.override_number)} instead.",
            "Switch EnableSmsOverrideNumber off to text people.",
        )
    if not switches.configured:
        return MODE.failing("The gateway's settings are incomplete, so no text leaves.", "Complete them on AppConfig.")
    if simulated:
        return MODE.warning(
            "Texts go to a stand-in for Twilio, so no real phone rings.",
            "Leave PORTAL_TWILIO_API_URL out to send through Twilio.",
        )
    return MODE.ok("Live: texts reach real phones.")


def check_quiet_hours(hours: str, simulated: bool) -> CheckResult:
    """`hours` in words, empty where there are none."""
    if hours:
        return QUIET_HOURS_CHECK.ok(
            f"From {hours}, where each person is, only urgent texts and those just asked for leave."
        )
    if simulated:
        return QUIET_HOURS_CHECK.ok("There are none, and no real phone rings.")
    return QUIET_HOURS_CHECK.warning(
        "There are none: texts leave at any hour of the night.", "Set PORTAL_QUIET_HOURS, such as 21:00-08:00."
    )


def check_lanes(paused: Sequence[tuple[str, str]], limited: Sequence[tuple[str, str]] = ()) -> CheckResult:
    """Sending number or service, and the reason it was paused for, or the code of the limit that it rests for."""
    said = [f"Nothing leaves from {sender_label(sender)}: {reason.rstrip('.')}." for sender, reason in paused]
    codes = [*(code_in_pause_reason(reason) for _, reason in paused), *(code for _, code in limited)]
    links = " ".join(f"See {explain_error_code(code).docs_url}" for code in dict.fromkeys(filter(None, codes)))
    said += [
        f"{sender_label(sender)} rests: {explain_error_code(code).sentence} (code {code})" for sender, code in limited
    ]
    if paused:
        fix = f"Mend what is failing under Twilio, then resume sending. {links}".strip()
        return LANES.failing(" ".join(said), fix, "resume")
    if limited:
        return LANES.warning(" ".join(said), f"It goes on by itself; nothing is lost. {links}")
    return LANES.ok("No lane is paused.")


def sender_label(sender: str) -> str:
    return mask_phone(sender) if sender.startswith("+") else "the messaging service" if sender[:2] == "MG" else sender


def check_database(revisions: Iterable[str], heads: Iterable[str], missing_limits: Sequence[str] = ()) -> CheckResult:
    """`revisions` are those the tables stand at, `heads` those this version of the portal wants.

    `missing_limits` are time limits of PostgreSQL that do not hold.
    """
    if missing_limits:
        return DATABASE.failing(
            f"It answers, but {' and '.join(missing_limits)} did not take effect, so a call may wait for ever.",
            "Name PostgreSQL itself in PORTAL_DATABASE_URL, or a pooler with pool_mode = session.",
        )
    if set(revisions) == set(heads):
        return DATABASE.ok("It answers, and its tables are up to date.")
    return DATABASE.failing(
        "It answers, but its tables are not those of this version of the portal.", "Run: portal db upgrade"
    )


def check_queue(trouble: ErrorExplanation | None, policy: str = NO_EVICTION) -> CheckResult:
    """`policy` is what the server does when its memory is full."""
    if trouble is not None:
        return QUEUE.failing(
            f"{trouble.reason} Sends go on: workers look into the database by themselves.", trouble.fix
        )
    if policy != NO_EVICTION:
        return QUEUE.warning(
            f"Redis takes work, but it has maxmemory-policy {policy}, which drops queued work when memory is short. "
            "Sends would go on, some seconds later.",
            f"Set maxmemory-policy {NO_EVICTION} there.",
        )
    return QUEUE.ok("Redis takes work.")


def check_heartbeats(missing_kinds: Iterable[str]) -> list[CheckResult]:
    """`missing_kinds` are the kinds that gave no sign of life for a minute."""
    quiet = set(missing_kinds)
    return [
        _check_workers([kind for kind in WORKER_QUEUE_LABELS if kind in quiet]),
        _check_scheduler(SCHEDULER in quiet),
    ]


def _check_workers(missing_kinds: list[str]) -> CheckResult:
    if not missing_kinds:
        return WORKER_HEARTBEATS.ok("One for each queue gave a sign of life within a minute.")
    stuck = " and ".join(WORKER_QUEUE_LABELS[kind] for kind in missing_kinds)
    commands = ", ".join(kind.replace("worker:", "portal worker ") for kind in missing_kinds)
    return WORKER_HEARTBEATS.failing(
        f"No worker for {stuck} gave a sign of life for a minute.",
        f"Start: {commands}. With portal up, look at what it prints.",
    )


def _check_scheduler(missing_kinds: bool) -> CheckResult:
    if not missing_kinds:
        return SCHEDULER_HEARTBEAT.ok("It gave a sign of life within a minute.")
    return SCHEDULER_HEARTBEAT.failing(
        "It gave no sign of life for a minute: what was left behind is not found again.", "Start: portal scheduler"
    )


def _severity(check: CheckResult) -> int:
    return _SEVERITY_ORDER.index(check.verdict)
