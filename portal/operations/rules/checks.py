"""Results of the diagnostics: for each check a verdict, the reason and the fix. Also the checks of the portal itself.

What could not be checked is unknown, never ok.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from portal.core.rules.connection_errors import ErrorExplanation
from portal.core.rules.phone import mask_phone
from portal.core.rules.process_kinds import SCHEDULER, WORKER_QUEUE_LABELS
from portal.core.rules.routing import Mode, Switches
from portal.core.translation import N_, join_words, ngettext
from portal.core.translation import gettext as _
from portal.gateways.rules.provider_codes import ProviderCode, code_in_pause_reason, explain_error_code

Verdict = Literal["failing", "warning", "unknown", "ok"]
CheckGroup = Literal["Twilio", "Portal", "Mail"]
CheckAction = Literal["", "set_webhooks", "resume"]
GROUPS: dict[CheckGroup, str] = {"Twilio": N_("Twilio"), "Portal": N_("Portal"), "Mail": N_("Mail")}
_VERDICT_COUNTS = {
    "failing": N_("%(count)s failing"),
    "warning": N_("%(count)s with a warning"),
    "unknown": N_("%(count)s not checked"),
    "ok": N_("%(count)s ok"),
}
_SEVERITY_ORDER = tuple(_VERDICT_COUNTS)


@dataclass(frozen=True)
class CheckResult:
    """`name` is English, `reason` and `fix` are translated. `action` is the button that the page offers beside them."""

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


CREDENTIALS = CheckSpec("Twilio", N_("Credentials"))
MODE = CheckSpec("Portal", N_("Mode"))
QUIET_HOURS_CHECK = CheckSpec("Portal", N_("Quiet hours"))
LANES = CheckSpec("Portal", N_("Lanes"))
DATABASE = CheckSpec("Portal", N_("Database"))
QUEUE = CheckSpec("Portal", N_("Queue"))
NO_EVICTION = "noeviction"
WORKER_HEARTBEATS = CheckSpec("Portal", N_("Workers"))
SCHEDULER_HEARTBEAT = CheckSpec("Portal", N_("Scheduler"))


def unknown_results(specs: Iterable[CheckSpec], reason: str) -> list[CheckResult]:
    return [spec.unknown(reason) for spec in specs]


def group_checks(checks: Sequence[CheckResult]) -> list[tuple[CheckGroup, list[CheckResult]]]:
    """Put failing checks first in each group, then keep the given order. Leave out empty groups."""
    groups = [(name, sorted((check for check in checks if check.group == name), key=_severity)) for name in GROUPS]
    return [(name, results) for name, results in groups if results]


def summarize_checks(checks: Sequence[CheckResult]) -> str:
    """“1 failing, 2 with a warning, 14 ok”."""
    counts: Counter[str] = Counter(check.verdict for check in checks)
    return ", ".join(_(label, count=counts[verdict]) for verdict, label in _VERDICT_COUNTS.items() if counts[verdict])


def has_failure(checks: Iterable[CheckResult]) -> bool:
    return any(check.verdict == "failing" for check in checks)


def resume_blocker(checks: Iterable[CheckResult]) -> str | None:
    """Why sending stays paused: a Twilio check fails, or the credentials could not be tried."""
    for check in checks:
        is_unproven = check.name == CREDENTIALS.name and check.verdict == "unknown"
        if check.group == "Twilio" and (check.verdict == "failing" or is_unproven):
            problem = f"{check.reason} {check.fix}".strip()
            return _("Sending stays paused. %(check)s: %(problem)s", check=_(check.name), problem=problem)
    return None


def merge_sender_checks(results: Sequence[tuple[str, CheckResult]]) -> CheckResult:
    """Merge one check’s results for several sending numbers: the worst verdict, with the reasons of all with it."""
    worst = min((check for _number, check in results), key=_severity)
    if {check.reason for _number, check in results} == {worst.reason}:
        return worst
    reasons = [
        check.reason
        if sender_label(number) in check.reason
        else _("%(number)s: %(reason)s", number=sender_label(number), reason=check.reason)
        for number, check in results
        if check.verdict == worst.verdict
    ]
    return replace(worst, reason=" ".join(reasons))


def check_mode(switches: Switches, simulated: bool, stopped_override: str | None = None) -> CheckResult:
    """`simulated`: texts go to the simulator. `stopped_override`: an override number that replied STOP."""
    if stopped_override:
        return MODE.failing(
            _(
                "The override is on, and its number %(number)s is opted out, so no texts are sent.",
                number=mask_phone(stopped_override),
            ),
            _("Text START from that phone, or choose another SmsOverrideNumber."),
        )
    if switches.mode == Mode.OFF:
        return MODE.warning(
            _("Texts are switched off: messages go by email only."), _("Turn EnableSmsNotifications on.")
        )
    if switches.test_mode:
        return MODE.warning(
            _("Test mode is on: texts reach no phone."), _("Turn EnableSmsTestMode off to send real texts.")
        )
    if switches.override_number:
        return MODE.warning(
            _("The override is on: every text goes to %(number)s.", number=mask_phone(switches.override_number)),
            _("Turn EnableSmsOverrideNumber off to text people."),
        )
    if not switches.configured:
        return MODE.failing(
            _("The gateway settings are incomplete, so no texts are sent."), _("Complete them under Settings.")
        )
    if simulated:
        return MODE.warning(
            _("Texts go to a simulator, not real phones."), _("Unset PORTAL_TWILIO_API_URL to use Twilio.")
        )
    return MODE.ok(_("Live: texts reach real phones."))


def check_quiet_hours(hours: str, simulated: bool) -> CheckResult:
    """`hours` such as “21:00 to 08:00”; "" if there are none."""
    if hours:
        return QUIET_HOURS_CHECK.ok(
            _("From %(hours)s local time, only urgent texts and replies to requests are sent.", hours=hours)
        )
    if simulated:
        return QUIET_HOURS_CHECK.ok(_("None are set, and no texts reach real phones."))
    return QUIET_HOURS_CHECK.warning(
        _("They are off: texts are sent all night."),
        _("Set SmsQuietHours to 20:00-08:00, or unset PORTAL_QUIET_HOURS."),
    )


def check_lanes(paused: Sequence[tuple[str, str]], limited: Sequence[tuple[str, str]] = ()) -> CheckResult:
    """`paused` senders with their reasons, and senders `limited` by a quota with Twilio's error code."""
    limits = [(sender_label(sender), explain_error_code(code)) for sender, code in limited]
    codes = [*(code_in_pause_reason(reason) for _sender, reason in paused), *(limit.code for _sender, limit in limits)]
    urls = [explain_error_code(code).docs_url for code in dict.fromkeys(filter(None, codes))]
    links = " ".join(_("See %(url)s", url=url) for url in urls)
    reasons = [
        _("Nothing is sent from %(sender)s: %(reason)s.", sender=sender_label(sender), reason=_(reason).rstrip("."))
        for sender, reason in paused
    ]
    reasons += [_("%(sender)s waits: %(problem)s", sender=label, problem=with_code(limit)) for label, limit in limits]
    if paused:
        fix = _("Fix the failing Twilio checks, then resume sending. %(links)s", links=links).rstrip()
        return LANES.failing(" ".join(reasons), fix, "resume")
    if limited:
        waits = _("Sending resumes automatically, and no text is lost. %(links)s", links=links)
        return LANES.warning(" ".join(reasons), waits)
    return LANES.ok(_("No lane is paused."))


def sender_label(sender: str) -> str:
    if sender.startswith("+"):
        return mask_phone(sender)
    return _("the messaging service") if sender.startswith("MG") else sender


def with_code(code: ProviderCode, remedy: str = "") -> str:
    problem = f"{code.sentence} {remedy}".strip()
    return _("%(problem)s (code %(code)s)", problem=problem, code=code.code)


def rate_label(rate: float) -> str:
    """“1 segment/s”, “2.5 segments/s”."""
    plural_of = int(rate) if rate == int(rate) else 2
    return ngettext("%(rate)s segment/s", "%(rate)s segments/s", plural_of, rate=f"{rate:g}")


def check_database(
    revisions: Iterable[str],
    heads: Iterable[str],
    missing_limits: Sequence[str] = (),
    tls_problem: ErrorExplanation | None = None,
) -> CheckResult:
    """`revisions` are those of the tables, `heads` those that this version of the portal needs.

    `missing_limits` are PostgreSQL timeouts that are not in force.
    """
    if missing_limits:
        return DATABASE.failing(
            _(
                "It answers, but %(limits)s did not take effect, so a query may wait forever.",
                limits=join_words(missing_limits),
            ),
            _("Connect PORTAL_DATABASE_URL to PostgreSQL itself, or to a pooler with pool_mode = session."),
        )
    if set(revisions) != set(heads):
        return DATABASE.failing(_("It answers, but its tables are of another version."), _("Run: portal db upgrade"))
    if tls_problem is not None:
        return DATABASE.warning(_(tls_problem.reason), _(tls_problem.fix))
    return DATABASE.ok(_("It answers, and its tables are up to date."))


def check_queue(
    error: ErrorExplanation | None, policy: str = NO_EVICTION, tls_problem: ErrorExplanation | None = None
) -> CheckResult:
    """`policy` is what Redis does when its memory is full."""
    if error is not None:
        effect = _("Sends continue: workers poll the database themselves.")
        return QUEUE.failing(f"{_(error.reason)} {effect}", _(error.fix))
    if policy != NO_EVICTION:
        return QUEUE.warning(
            _(
                "Redis accepts work, but %(setting)s drops queued work when memory is full. Sends would then start "
                "some seconds later.",
                setting=f"maxmemory-policy {policy}",
            ),
            _("Set %(setting)s in Redis.", setting=f"maxmemory-policy {NO_EVICTION}"),
        )
    if tls_problem is not None:
        return QUEUE.warning(_(tls_problem.reason), _(tls_problem.fix))
    return QUEUE.ok(_("Redis accepts work."))


def check_heartbeats(missing_kinds: Iterable[str]) -> list[CheckResult]:
    """`missing_kinds` of processes had no heartbeat for a minute."""
    missing = set(missing_kinds)
    workers = [kind for kind in WORKER_QUEUE_LABELS if kind in missing]
    worker_check = WORKER_HEARTBEATS.ok(_("Every queue has a worker with a heartbeat in the last minute."))
    if workers:
        labels = join_words([_(WORKER_QUEUE_LABELS[kind]) for kind in workers])
        commands = ", ".join(kind.replace("worker:", "portal worker ") for kind in workers)
        worker_check = WORKER_HEARTBEATS.failing(
            _("No worker for %(queues)s had a heartbeat in the last minute.", queues=labels),
            _("Start: %(commands)s. If portal up is running, check its output.", commands=commands),
        )
    scheduler_check = SCHEDULER_HEARTBEAT.ok(_("It had a heartbeat in the last minute."))
    if SCHEDULER in missing:
        scheduler_check = SCHEDULER_HEARTBEAT.failing(
            _("It had no heartbeat in the last minute, so interrupted work is not picked up."),
            _("Start: portal scheduler"),
        )
    return [worker_check, scheduler_check]


def _severity(check: CheckResult) -> int:
    return _SEVERITY_ORDER.index(check.verdict)
