"""Results of the diagnostics: for each check a verdict, the reason and the fix. Also the checks of the portal itself.

What could not be checked is unknown, never ok.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from portal.core.rules.connection_errors import ErrorExplanation
from portal.core.rules.phone import mask_phone
from portal.core.rules.process_kinds import SCHEDULER, WORKER_QUEUE_LABELS
from portal.core.rules.routing import Mode, Switches
from portal.gateways.rules.provider_codes import code_in_pause_reason, explain_error_code

Verdict = Literal["failing", "warning", "unknown", "ok"]
CheckGroup = Literal["Twilio", "Portal", "Mail"]
CheckAction = Literal["", "set_webhooks", "resume"]
GROUPS: tuple[CheckGroup, ...] = get_args(CheckGroup)
_VERDICT_LABELS = {"failing": "failing", "warning": "with a warning", "unknown": "not checked", "ok": "ok"}
_SEVERITY_ORDER = tuple(_VERDICT_LABELS)


@dataclass(frozen=True)
class CheckResult:
    """`action` is the button that the page offers beside the result."""

    group: CheckGroup
    name: str
    verdict: Verdict
    reason: str
    fix: str = ""
    action: CheckAction = ""


@dataclass(frozen=True)
class CheckSpec:
    """A check; its methods make its results."""

    group: CheckGroup
    name: str

    def ok(self, reason: str) -> CheckResult:
        return CheckResult(self.group, self.name, "ok", reason)

    def warning(self, reason: str, fix: str, action: CheckAction = "") -> CheckResult:
        return CheckResult(self.group, self.name, "warning", reason, fix, action)

    def failing(self, reason: str, fix: str, action: CheckAction = "") -> CheckResult:
        return CheckResult(self.group, self.name, "failing", reason, fix, action)

    def unknown(self, reason: str, fix: str = "") -> CheckResult:
        return CheckResult(self.group, self.name, "unknown", reason, fix)


CREDENTIALS = CheckSpec("Twilio", "Credentials")
MODE = CheckSpec("Portal", "Mode")
QUIET_HOURS_CHECK = CheckSpec("Portal", "Quiet hours")
LANES = CheckSpec("Portal", "Lanes")
DATABASE = CheckSpec("Portal", "Database")
QUEUE = CheckSpec("Portal", "Queue")
NO_EVICTION = "noeviction"
WORKER_HEARTBEATS = CheckSpec("Portal", "Workers")
SCHEDULER_HEARTBEAT = CheckSpec("Portal", "Scheduler")


def unknown_results(specs: Iterable[CheckSpec], reason: str) -> list[CheckResult]:
    return [spec.unknown(reason) for spec in specs]


def group_checks(checks: Sequence[CheckResult]) -> list[tuple[CheckGroup, list[CheckResult]]]:
    """Put failing checks first in each group, then keep the given order. Leave out empty groups."""
    groups = [(name, sorted((check for check in checks if check.group == name), key=_severity)) for name in GROUPS]
    return [(name, results) for name, results in groups if results]


def summarize_checks(checks: Sequence[CheckResult]) -> str:
    """“1 failing, 2 with a warning, 14 ok”."""
    counts = [(sum(check.verdict == verdict for check in checks), label) for verdict, label in _VERDICT_LABELS.items()]
    return ", ".join(f"{count} {label}" for count, label in counts if count)


def has_failure(checks: Iterable[CheckResult]) -> bool:
    return any(check.verdict == "failing" for check in checks)


def resume_blocker(checks: Iterable[CheckResult]) -> str | None:
    """Why sending stays paused: a Twilio check fails, or the credentials could not be tried."""
    for check in checks:
        is_unproven = check.name == CREDENTIALS.name and check.verdict == "unknown"
        if check.group == "Twilio" and (check.verdict == "failing" or is_unproven):
            return f"Sending stays paused. {check.name}: {check.reason} {check.fix}".strip()
    return None


def merge_sender_checks(results: Sequence[tuple[str, CheckResult]]) -> CheckResult:
    """Merge one check’s results for several sending numbers: the worst verdict, with the reasons of all with it."""
    worst = min((check for _, check in results), key=_severity)
    if {check.reason for _, check in results} == {worst.reason}:
        return worst
    reasons = [
        check.reason if sender_label(number) in check.reason else f"{sender_label(number)}: {check.reason}"
        for number, check in results
        if check.verdict == worst.verdict
    ]
    return replace(worst, reason=" ".join(reasons))


def check_mode(switches: Switches, simulated: bool, stopped_override: str | None = None) -> CheckResult:
    """`simulated`: texts go to the simulator. `stopped_override`: an override number that replied STOP."""
    if stopped_override:
        return MODE.failing(
            f"The override is on, and its number {mask_phone(stopped_override)} replied STOP, so no texts are sent.",
            "Text START from that phone, or choose another SmsOverrideNumber.",
        )
    if switches.mode == Mode.OFF:
        return MODE.warning("Texts are switched off: messages go by email only.", "Turn EnableSmsNotifications on.")
    if switches.test_mode:
        return MODE.warning("Test mode is on: texts reach no phone.", "Turn EnableSmsTestMode off to send real texts.")
    if switches.override_number:
        return MODE.warning(
            f"The override is on: every text goes to {mask_phone(switches.override_number)} instead.",
            "Turn EnableSmsOverrideNumber off to text people.",
        )
    if not switches.configured:
        return MODE.failing(
            "The gateway settings are incomplete, so no texts are sent.", "Complete them under Settings."
        )
    if simulated:
        return MODE.warning("Texts go to a simulator, not real phones.", "Unset PORTAL_TWILIO_API_URL to use Twilio.")
    return MODE.ok("Live: texts reach real phones.")


def check_quiet_hours(hours: str, simulated: bool) -> CheckResult:
    """`hours` such as “21:00 to 08:00”; "" if there are none."""
    if hours:
        return QUIET_HOURS_CHECK.ok(f"From {hours} local time, only urgent texts and replies to requests are sent.")
    if simulated:
        return QUIET_HOURS_CHECK.ok("None are set, and no texts reach real phones.")
    return QUIET_HOURS_CHECK.warning("None are set: texts are sent all night.", "Set PORTAL_QUIET_HOURS=21:00-08:00.")


def check_lanes(paused: Sequence[tuple[str, str]], limited: Sequence[tuple[str, str]] = ()) -> CheckResult:
    """`paused` senders with their reasons, and senders `limited` by a quota with Twilio's error code."""
    limits = [(sender_label(sender), explain_error_code(code)) for sender, code in limited]
    codes = [*(code_in_pause_reason(reason) for _, reason in paused), *(limit.code for _, limit in limits)]
    links = " ".join(f"See {explain_error_code(code).docs_url}" for code in dict.fromkeys(filter(None, codes)))
    reasons = [f"Nothing is sent from {sender_label(sender)}: {reason.rstrip('.')}." for sender, reason in paused]
    reasons += [f"{label} waits: {limit.sentence} (code {limit.code})" for label, limit in limits]
    if paused:
        fix = f"Fix the failing Twilio checks, then resume sending. {links}".strip()
        return LANES.failing(" ".join(reasons), fix, "resume")
    if limited:
        return LANES.warning(" ".join(reasons), f"Sending resumes automatically, and no text is lost. {links}")
    return LANES.ok("No lane is paused.")


def sender_label(sender: str) -> str:
    return mask_phone(sender) if sender.startswith("+") else "the messaging service" if sender[:2] == "MG" else sender


def check_database(revisions: Iterable[str], heads: Iterable[str], missing_limits: Sequence[str] = ()) -> CheckResult:
    """`revisions` are those of the tables, `heads` those that this version of the portal needs.

    `missing_limits` are PostgreSQL timeouts that are not in force.
    """
    if missing_limits:
        return DATABASE.failing(
            f"It answers, but {' and '.join(missing_limits)} did not take effect, so a query may wait forever.",
            "Connect PORTAL_DATABASE_URL to PostgreSQL itself, or to a pooler with pool_mode = session.",
        )
    if set(revisions) == set(heads):
        return DATABASE.ok("It answers, and its tables are up to date.")
    return DATABASE.failing("It answers, but its tables are of another version.", "Run: portal db upgrade")


def check_queue(error: ErrorExplanation | None, policy: str = NO_EVICTION) -> CheckResult:
    """`policy` is what Redis does when its memory is full."""
    if error is not None:
        return QUEUE.failing(f"{error.reason} Sends continue: workers poll the database themselves.", error.fix)
    if policy != NO_EVICTION:
        return QUEUE.warning(
            f"Redis accepts work, but maxmemory-policy {policy} drops queued work when memory is full. Sends would "
            "then start some seconds later.",
            f"Set maxmemory-policy {NO_EVICTION} in Redis.",
        )
    return QUEUE.ok("Redis accepts work.")


def check_heartbeats(missing_kinds: Iterable[str]) -> list[CheckResult]:
    """`missing_kinds` of processes had no heartbeat for a minute."""
    missing = set(missing_kinds)
    workers = [kind for kind in WORKER_QUEUE_LABELS if kind in missing]
    worker_check = WORKER_HEARTBEATS.ok("Every queue has a worker with a heartbeat in the last minute.")
    if workers:
        labels = " and ".join(WORKER_QUEUE_LABELS[kind] for kind in workers)
        commands = ", ".join(kind.replace("worker:", "portal worker ") for kind in workers)
        worker_check = WORKER_HEARTBEATS.failing(
            f"No worker for {labels} had a heartbeat in the last minute.",
            f"Start: {commands}. If portal up is running, check its output.",
        )
    scheduler_check = SCHEDULER_HEARTBEAT.ok("It had a heartbeat in the last minute.")
    if SCHEDULER in missing:
        scheduler_check = SCHEDULER_HEARTBEAT.failing(
            "It had no heartbeat in the last minute, so interrupted work is not picked up.", "Start: portal scheduler"
        )
    return [worker_check, scheduler_check]


def _severity(check: CheckResult) -> int:
    return _SEVERITY_ORDER.index(check.verdict)
