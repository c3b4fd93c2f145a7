"""The check of a send to a large audience: how long it takes to count and estimate it, and to show its people."""

import time
from collections.abc import Callable
from statistics import median

from benchmarks import targets
from benchmarks.environment import add_accounts, configure, fresh_portal
from portal.content import message_templates
from portal.content.message_templates import TemplateDraft
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.rules.routing import Reason
from portal.core.transaction import transaction
from portal.sends.send_creation import people_of_plan, plan_send

RECIPIENTS = 100_000
REPEATS = 5
_UNUSED_URL = "http://127.0.0.1:9"
_BODY = "Dear {{ first_name | upcase }},\n\n" + "A paragraph of a long notification.\n\n" * 270
_SUBJECTS = {
    "one text for everybody": "Your renewal is due",
    "the name in the text": "Your renewal is due, {{ name }}",
    "filters in the text": "Your renewal is due, {{ name | upcase | truncate: 20 }}",
}
"""By what the template has; each body is 10 KB with a filter."""


def run() -> list[str]:
    with fresh_portal(_UNUSED_URL):
        configure(100)
        add_accounts(RECIPIENTS)
        _stop_some()
        lines = [_line(name, *_plan_seconds(index, subject)) for index, (name, subject) in enumerate(_SUBJECTS.items())]
        seconds = _median_seconds(
            lambda: people_of_plan("plan-0", {"all": True}, {}, Reason.STOPPED, 50_000, 51, now_ms())
        )
        targets.at_most(f"people behind a count of {RECIPIENTS:,}", 1000 * seconds, 1000, "{:.0f} ms")
    return [
        f"| {RECIPIENTS:,} people | s | segments |",
        "|---|---|---|",
        *lines,
        f"| a page of people | {seconds:.2f} | |",
    ]


def _stop_some() -> None:
    """Every tenth phone number is opted out."""
    insert = "INSERT INTO phone_state (number, stopped_at_ms) SELECT number, 1 FROM phone_number WHERE id % 10 = 0"
    with transaction() as session:
        session.connection().exec_driver_sql(insert)


def _plan_seconds(index: int, subject: str) -> tuple[float, bool]:
    key = f"plan-{index}"
    message_templates.create_template(TemplateDraft(key, key, subject, _BODY, sms_enabled=True), None, now_ms())
    is_exact = plan_send(key, {"all": True}, {}, now_ms()).segments_are_exact
    return _median_seconds(lambda: plan_send(key, {"all": True}, {}, now_ms())), is_exact


def _median_seconds(work: Callable[[], object]) -> float:
    durations = []
    for _repeat in range(REPEATS):
        db.session.rollback()
        started = time.perf_counter()
        work()
        durations.append(time.perf_counter() - started)
    return median(durations)


def _line(name: str, seconds: float, is_exact: bool) -> str:
    targets.at_most(f"check of a send to {RECIPIENTS:,}, {name}", 1000 * seconds, 1000, "{:.0f} ms")
    return f"| {name} | {seconds:.2f} | {'exact' if is_exact else 'estimated'} |"
