"""The checks of the portal itself: modes, database, queue, processes, webhooks, public pages and the mail server."""

import os
from http import HTTPStatus

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from portal.carriers.consent_reporting import twilio_credentials
from portal.carriers.tables import deactivation_days
from portal.content.rules.content_block_checks import PUBLIC_PAGES, localizations
from portal.core.clock import now_ms
from portal.core.config import ConfigError, is_production
from portal.core.context import settings
from portal.core.extensions import db, missing_timeouts
from portal.core.organisation import current_organisation
from portal.core.rules.connection_errors import explain_database_error
from portal.core.rules.transport.required_tls import database_tls_problem, redis_tls_problem
from portal.core.translation import gettext as _
from portal.gateways import public_page, queue, round_trip, smtp_probe
from portal.gateways.rules.fetched_page import FetchedPage
from portal.gateways.smtp import sender_domain
from portal.operations import health, policy_reports, webhook_rejections
from portal.operations.check_runner import CheckTask, Clock
from portal.operations.queue_overview import consent_reporting
from portal.operations.rules import checks, mail_server_checks, public_page_checks
from portal.operations.rules.carrier_checks import (
    CONSENT_REPORTS,
    DEACTIVATIONS,
    check_consent_reports,
    check_deactivations,
)
from portal.operations.rules.checks import CheckResult
from portal.operations.rules.mail_server_checks import EMAIL_OVERRIDE, MAIL_CHECKS, MAIL_SERVER
from portal.operations.rules.policy_violations import CONTENT_POLICY
from portal.operations.rules.public_page_checks import PUBLIC_PAGES_CHECK
from portal.operations.rules.public_url_checks import ROUND_TRIP, check_round_trip
from portal.operations.rules.rejection_reasons import check_signatures
from portal.operations.rules.sign_in_checks import SECOND_FACTOR_CHECK, check_second_factor
from portal.sends import provider_availability
from portal.settings import app_settings
from portal.settings.tables import sending_numbers

LANES_CHECK_TASK = CheckTask((checks.LANES,), lambda: [_lanes_check()])


def local_check_tasks(clock: Clock) -> list[CheckTask]:
    return [
        CheckTask((checks.MODE,), lambda: [_mode_check()]),
        CheckTask(
            (EMAIL_OVERRIDE,), lambda: [mail_server_checks.check_email_override(app_settings.email_route(clock()))]
        ),
        CheckTask((checks.QUIET_HOURS_CHECK,), lambda: [_quiet_hours_check()]),
        CheckTask((SECOND_FACTOR_CHECK,), lambda: [_second_factor_check()]),
        LANES_CHECK_TASK,
        CheckTask((checks.DATABASE,), lambda: [_database_check()], timeout_is_failure=True),
        CheckTask((checks.QUEUE,), lambda: [_queue_check()], timeout_is_failure=True),
        CheckTask(
            (checks.WORKER_HEARTBEATS, checks.SCHEDULER_HEARTBEAT),
            lambda: checks.check_heartbeats(provider_availability.missing_process_kinds(clock())),
        ),
        CheckTask((CONSENT_REPORTS,), lambda: [_consent_reports_check(clock())]),
        CheckTask((DEACTIVATIONS,), lambda: [_deactivations_check(clock())]),
        CheckTask((ROUND_TRIP,), lambda: [_signature_check(clock)]),
        CheckTask((CONTENT_POLICY,), lambda: [policy_reports.check_policy_reports(clock())]),
        CheckTask((PUBLIC_PAGES_CHECK,), lambda: [_public_pages_check()]),
        CheckTask(MAIL_CHECKS, _mail_server_checks),
    ]


def _lanes_check() -> CheckResult:
    paused = [(sender.number, sender.paused_reason) for sender in sending_numbers.paused_senders()]
    limited = [(sender.number, sender.limit_code) for sender in sending_numbers.rate_limited_senders(now_ms())]
    return checks.check_lanes(paused, limited)


def _consent_reports_check(now_ms: int) -> CheckResult:
    state = consent_reporting()
    return check_consent_reports(state.is_on, state.since_ms, state.errors, state.refused, now_ms)


def _deactivations_check(now_ms: int) -> CheckResult:
    failed = [row for row in deactivation_days.known_days().values() if row.error]
    error = max(failed, key=lambda row: row.day).error if failed else ""
    is_set_up = twilio_credentials() is not None
    return check_deactivations(deactivation_days.last_read_day(), error, is_set_up, now_ms)


def _mode_check() -> CheckResult:
    switches = app_settings.resolve_current_gateway().switches
    return checks.check_mode(switches, _is_simulated(), app_settings.opted_out_override(switches))


def _quiet_hours_check() -> CheckResult:
    hours = app_settings.current_text_limits().quiet_hours
    return checks.check_quiet_hours(str(hours or ""), _is_simulated())


def _second_factor_check() -> CheckResult:
    return check_second_factor(settings().second_factor == "required", is_production(os.environ))


def _is_simulated() -> bool:
    return app_settings.is_simulated(app_settings.configuration())


def _queue_check() -> CheckResult:
    error = health.queue_problem()
    eviction_policy = None if error else queue.eviction_policy(settings().redis_url)
    tls_problem = redis_tls_problem(settings().redis_url)
    return checks.check_queue(error, eviction_policy or checks.NO_EVICTION, tls_problem)


def _database_check() -> CheckResult:
    script = ScriptDirectory(current_app.extensions["migrate"].directory)
    try:
        with db.engine.connect() as connection:
            revisions = MigrationContext.configure(connection).get_current_heads()
            missing_limits = missing_timeouts(connection)
    except SQLAlchemyError as error:
        cause = explain_database_error(str(getattr(error, "orig", None) or type(error).__name__))
        return checks.DATABASE.failing(_(cause.reason), _(cause.fix))
    tls_problem = database_tls_problem(settings().database_url, os.environ)
    return checks.check_database(revisions, script.get_heads(), missing_limits, tls_problem)


def _signature_check(clock: Clock) -> CheckResult:
    rejections = webhook_rejections.all_rejections(clock())
    return check_signatures(rejections, _round_trip_check(), clock())


def _round_trip_check() -> CheckResult:
    tokens, public_url = app_settings.signing_tokens(), settings().public_url
    if not tokens:
        return ROUND_TRIP.unknown(_("Nothing can be signed without an AuthToken."), _("Set SmsGatewayAuthentication."))
    return check_round_trip(round_trip.probe_webhook(public_url, tokens[0]), public_url)


def _public_pages_check() -> CheckResult:
    """In every language, one after the other: the first that cannot be opened says why none can."""
    base, organisation = settings().public_url, current_organisation().name
    db.session.rollback()  # no transaction stays open during the calls
    fetched: dict[str, tuple[str, FetchedPage]] = {}
    for block in (block for key in PUBLIC_PAGES for block in localizations(key)):
        url = f"{base}/{block.base_key.replace('-', '/', 1)}?language={block.language}"
        fetched[block.key] = url, public_page.fetch_page(url)
        if fetched[block.key][1].status != HTTPStatus.OK:
            break
    return public_page_checks.check_public_pages(fetched, organisation)


def _mail_server_checks() -> list[CheckResult]:
    smtp_url, mail_from = settings().smtp_url, settings().mail_from
    try:
        probe = smtp_probe.probe_smtp(smtp_url, mail_from)
        return mail_server_checks.check_mail_server(probe, sender_domain(mail_from))
    except ConfigError as error:
        failure = MAIL_SERVER.failing(str(error), _("Correct it, then restart every process."))
        return [failure, *checks.unknown_results(MAIL_CHECKS[1:], _("There is no server to connect to."))]
