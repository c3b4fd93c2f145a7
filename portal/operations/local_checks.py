"""What the doctor looks at on our own side: the database, the queue, the processes, the mail server, our own door."""

from collections.abc import Callable

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from portal.core.clock import now_ms
from portal.core.config import ConfigError
from portal.core.context import settings
from portal.core.extensions import db, missing_timeouts
from portal.core.rules.connection_errors import explain_database_error
from portal.gateways import queue, smtp_probe
from portal.gateways import round_trip as signed_call
from portal.gateways.smtp import sender_domain
from portal.operations import health, webhook_rejections
from portal.operations.check_runner import CheckTask
from portal.operations.rules import checks
from portal.operations.rules.checks import (
    DATABASE,
    LANES,
    MODE,
    QUEUE,
    QUIET_HOURS_CHECK,
    SCHEDULER_HEARTBEAT,
    WORKER_HEARTBEATS,
    CheckResult,
)
from portal.operations.rules.mail_server_checks import (
    EMAIL_OVERRIDE,
    MAIL_CHECKS,
    MAIL_SERVER,
    check_email_override,
    check_mail_server,
)
from portal.operations.rules.public_url_checks import ROUND_TRIP, check_round_trip
from portal.operations.rules.rejection_reasons import check_signatures
from portal.sends import provider_availability
from portal.sends.deferred_texts import configured_quiet_hours
from portal.settings import app_settings

LANES_CHECK_TASK = CheckTask((LANES,), lambda: [_lanes_check()])


def local_check_tasks(clock: Callable[[], int]) -> list[CheckTask]:
    return [
        CheckTask((MODE,), lambda: [_mode_check()]),
        CheckTask((EMAIL_OVERRIDE,), lambda: [check_email_override(app_settings.email_route(clock()))]),
        CheckTask((QUIET_HOURS_CHECK,), lambda: [_quiet_hours_check()]),
        LANES_CHECK_TASK,
        CheckTask((DATABASE,), lambda: [_database_check()], timeout_is_failure=True),
        CheckTask((QUEUE,), lambda: [_queue_check()], timeout_is_failure=True),
        CheckTask(
            (WORKER_HEARTBEATS, SCHEDULER_HEARTBEAT),
            lambda: checks.check_heartbeats(provider_availability.missing_process_kinds(clock())),
        ),
        CheckTask(
            (ROUND_TRIP,),
            lambda: [check_signatures(webhook_rejections.all_rejections(clock()), _round_trip_check(), clock())],
        ),
        CheckTask(MAIL_CHECKS, _mail_server_checks),
    ]


def _lanes_check() -> CheckResult:
    resting = [(sender, code) for sender, code, _ in app_settings.limited_sending_numbers(now_ms())]
    return checks.check_lanes(app_settings.paused_sending_numbers(), resting)


def _mode_check() -> CheckResult:
    simulated = app_settings.is_simulated(app_settings.configuration())
    switches = app_settings.resolve_current_gateway().switches
    return checks.check_mode(switches, simulated, app_settings.opted_out_override(switches))


def _quiet_hours_check() -> CheckResult:
    hours = configured_quiet_hours()
    return checks.check_quiet_hours(
        str(hours) if hours else "", app_settings.is_simulated(app_settings.configuration())
    )


def _queue_check() -> CheckResult:
    trouble = health.queue_problem()
    eviction_policy = None if trouble else queue.eviction_policy(settings().redis_url)
    return checks.check_queue(trouble, eviction_policy or checks.NO_EVICTION)


def _database_check() -> CheckResult:
    script = ScriptDirectory(current_app.extensions["migrate"].directory)
    try:
        with db.engine.connect() as connection:
            revisions = MigrationContext.configure(connection).get_current_heads()
            unlimited = missing_timeouts(connection)
    except SQLAlchemyError as error:
        cause = explain_database_error(str(getattr(error, "orig", None) or type(error).__name__))
        return DATABASE.failing(cause.reason, cause.fix)
    return checks.check_database(revisions, script.get_heads(), unlimited)


def _round_trip_check() -> CheckResult:
    tokens = app_settings.signing_tokens()
    if not tokens:
        return ROUND_TRIP.unknown("Without an AuthToken nothing can be signed.", "Set SmsGatewayAuthentication.")
    public_url = settings().public_url
    return check_round_trip(signed_call.probe_webhook(public_url, tokens[0]), public_url)


def _mail_server_checks() -> list[CheckResult]:
    found = settings()
    try:
        return check_mail_server(smtp_probe.probe_smtp(found.smtp_url, found.mail_from), sender_domain(found.mail_from))
    except ConfigError as error:
        wrong = MAIL_SERVER.failing(str(error), "Correct it, then start every process again.")
        return [wrong, *(spec.unknown("There is no server to knock at.") for spec in MAIL_CHECKS[1:])]
