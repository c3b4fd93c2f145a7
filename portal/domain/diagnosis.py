"""The doctor's findings: a line for each check, with a verdict, why, and how to mend it; and what its own side shows.

What could not be checked is unknown, never ok.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from portal.causes import Cause
from portal.domain.phone import masked
from portal.domain.provider_codes import code_of, explain
from portal.domain.routing import Mode, Switches

Verdict = Literal["failing", "warning", "unknown", "ok"]
Group = Literal["Twilio", "Portal", "Mail"]
Button = Literal["", "set_webhooks", "resume"]
GROUPS: tuple[Group, ...] = ("Twilio", "Portal", "Mail")
WORKERS = {"worker:sms": "texts", "worker:email": "email", "worker:work": "sends"}
"""Kinds of worker that must be alive, and what each one carries."""
SCHEDULER = "scheduler"
_WORST_FIRST: tuple[Verdict, ...] = ("failing", "warning", "unknown", "ok")
_COUNTED = {"failing": "failing", "warning": "with a warning", "unknown": "not checked", "ok": "ok"}


@dataclass(frozen=True)
class Check:
    """`button` names what the page offers beside the line."""

    group: Group
    name: str
    verdict: Verdict
    why: str
    mend: str = ""
    button: Button = ""


@dataclass(frozen=True)
class Subject:
    """What is checked; its methods are the verdicts."""

    group: Group
    name: str

    def ok(self, why: str) -> Check:
        return Check(self.group, self.name, "ok", why)

    def warning(self, why: str, mend: str, button: Button = "") -> Check:
        return Check(self.group, self.name, "warning", why, mend, button)

    def failing(self, why: str, mend: str, button: Button = "") -> Check:
        return Check(self.group, self.name, "failing", why, mend, button)

    def unknown(self, why: str, mend: str = "") -> Check:
        return Check(self.group, self.name, "unknown", why, mend)


CREDENTIALS = Subject("Twilio", "Credentials")
MODE = Subject("Portal", "Mode")
NIGHT = Subject("Portal", "Quiet hours")
LANES = Subject("Portal", "Lanes")
DATABASE = Subject("Portal", "Database")
QUEUE = Subject("Portal", "Queue")
KEEPS_ALL = "noeviction"
WORKER_LIFE = Subject("Portal", "Workers")
SCHEDULER_LIFE = Subject("Portal", "Scheduler")


def grouped(checks: Iterable[Check]) -> list[tuple[Group, list[Check]]]:
    """By group, failing first; within a verdict in the order of the checks. Empty groups are left out."""
    found = list(checks)
    sorted_ = [(group, sorted((c for c in found if c.group == group), key=_badness)) for group in GROUPS]
    return [(group, lines) for group, lines in sorted_ if lines]


def tally(checks: Sequence[Check]) -> str:
    """“1 failing, 2 with a warning, 14 ok”."""
    counts = [(verdict, sum(check.verdict == verdict for check in checks)) for verdict in _WORST_FIRST]
    return ", ".join(f"{count} {_COUNTED[verdict]}" for verdict, count in counts if count)


def is_failing(checks: Iterable[Check]) -> bool:
    return any(check.verdict == "failing" for check in checks)


def why_not_resume(checks: Iterable[Check]) -> str | None:
    """What keeps a paused lane paused: a failing check of Twilio, or credentials that nobody could try."""
    for check in checks:
        unproven = check.name == CREDENTIALS.name and check.verdict == "unknown"
        if check.group == "Twilio" and (check.verdict == "failing" or unproven):
            return f"Sending stays paused. {check.name}: {check.why} {check.mend}".strip()
    return None


def of_each(found: Sequence[tuple[str, Check]]) -> Check:
    """The same check of several sending numbers as one line: the worst of them, with all that are as bad."""
    worst = min((check for _, check in found), key=_badness)
    alike = [(number, check.why) for number, check in found if check.verdict == worst.verdict]
    if {why for _, why in alike} == {check.why for _, check in found} == {worst.why}:
        return worst
    said = [why if sender_words(number) in why else f"{sender_words(number)}: {why}" for number, why in alike]
    return replace(worst, why=" ".join(said))


def mode(switches: Switches, simulated: bool, stopped_override: str | None = None) -> Check:
    """`simulated`: texts go to a stand-in for Twilio. `stopped_override`: an override number that said STOP."""
    if stopped_override:
        return MODE.failing(
            f"The override is on, and its number {masked(stopped_override)} replied STOP: not one text leaves.",
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
            f"The override is on: every text goes to {masked(switches.override_number)} instead.",
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


def night(hours: str, simulated: bool) -> Check:
    """`hours` in words, empty where there are none."""
    if hours:
        return NIGHT.ok(f"From {hours}, where each person is, only urgent texts and those just asked for leave.")
    if simulated:
        return NIGHT.ok("There are none, and no real phone rings.")
    return NIGHT.warning(
        "There are none: texts leave at any hour of the night.", "Set PORTAL_QUIET_HOURS, such as 21:00-08:00."
    )


def lanes(paused: Sequence[tuple[str, str]], resting: Sequence[tuple[str, str]] = ()) -> Check:
    """Sending number or service, and the reason it was paused for, or the code of the limit that it rests for."""
    said = [f"Nothing leaves from {sender_words(sender)}: {reason.rstrip('.')}." for sender, reason in paused]
    codes = [*(code_of(reason) for _, reason in paused), *(code for _, code in resting)]
    links = " ".join(f"See {explain(code).link}" for code in dict.fromkeys(filter(None, codes)))
    said += [f"{sender_words(sender)} rests: {explain(code).sentence} (code {code})" for sender, code in resting]
    if paused:
        mend = f"Mend what is failing under Twilio, then resume sending. {links}".strip()
        return LANES.failing(" ".join(said), mend, "resume")
    if resting:
        return LANES.warning(" ".join(said), f"It goes on by itself; nothing is lost. {links}")
    return LANES.ok("No lane is paused.")


def sender_words(sender: str) -> str:
    return masked(sender) if sender.startswith("+") else "the messaging service" if sender[:2] == "MG" else sender


def database(revisions: Iterable[str], heads: Iterable[str], unlimited: Sequence[str] = ()) -> Check:
    """`revisions` are those the tables stand at, `heads` those this version of the portal wants.

    `unlimited` are time limits of PostgreSQL that do not hold.
    """
    if unlimited:
        return DATABASE.failing(
            f"It answers, but {' and '.join(unlimited)} did not take effect, so a call may wait for ever.",
            "Name PostgreSQL itself in PORTAL_DATABASE_URL, or a pooler with pool_mode = session.",
        )
    if set(revisions) == set(heads):
        return DATABASE.ok("It answers, and its tables are up to date.")
    return DATABASE.failing(
        "It answers, but its tables are not those of this version of the portal.", "Run: portal db upgrade"
    )


def queue(trouble: Cause | None, policy: str = KEEPS_ALL) -> Check:
    """`policy` is what the server does when its memory is full."""
    if trouble is not None:
        return QUEUE.failing(f"{trouble.why} Sends go on: workers look into the database by themselves.", trouble.fix)
    if policy != KEEPS_ALL:
        return QUEUE.warning(
            f"Redis takes work, but it has maxmemory-policy {policy}, which drops queued work when memory is short. "
            "Sends would go on, some seconds later.",
            f"Set maxmemory-policy {KEEPS_ALL} there.",
        )
    return QUEUE.ok("Redis takes work.")


def life(silent: Iterable[str]) -> list[Check]:
    """`silent` are the kinds that gave no sign of life for a minute."""
    quiet = set(silent)
    return [_workers([kind for kind in WORKERS if kind in quiet]), _scheduler(SCHEDULER in quiet)]


def _workers(silent: list[str]) -> Check:
    if not silent:
        return WORKER_LIFE.ok("One for each queue gave a sign of life within a minute.")
    stuck = " and ".join(WORKERS[kind] for kind in silent)
    commands = ", ".join(kind.replace("worker:", "portal worker ") for kind in silent)
    return WORKER_LIFE.failing(
        f"No worker for {stuck} gave a sign of life for a minute.",
        f"Start: {commands}. With portal up, look at what it prints.",
    )


def _scheduler(silent: bool) -> Check:
    if not silent:
        return SCHEDULER_LIFE.ok("It gave a sign of life within a minute.")
    return SCHEDULER_LIFE.failing(
        "It gave no sign of life for a minute: what was left behind is not found again.", "Start: portal scheduler"
    )


def _badness(check: Check) -> int:
    return _WORST_FIRST.index(check.verdict)
