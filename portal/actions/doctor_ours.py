"""What the doctor looks at on our own side: the database, the queue, the processes, the mail server, our own door."""

from collections.abc import Callable

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from portal.actions import settings as app_settings
from portal.actions import vitals, webhook_refusals
from portal.actions.examining import Examination
from portal.actions.night import hours_of_night
from portal.causes import database_cause
from portal.clock import now_ms
from portal.config import ConfigError
from portal.context import settings
from portal.domain import diagnosis
from portal.domain.diagnosis import DATABASE, LANES, MODE, NIGHT, QUEUE, SCHEDULER_LIFE, WORKER_LIFE, Check
from portal.domain.diagnosis_address import ROUND_TRIP, round_trip
from portal.domain.diagnosis_mail import OVERRIDE, SERVER, SUBJECTS, mail, override
from portal.domain.webhook_refusals import judged
from portal.extensions import db, without_limit
from portal.gateways import queue, smtp_probe
from portal.gateways import round_trip as signed_call
from portal.gateways.smtp import host_of

LANES_EXAMINATION = Examination((LANES,), lambda: [_lanes()])


def examinations(clock: Callable[[], int]) -> list[Examination]:
    return [
        Examination((MODE,), lambda: [_mode()]),
        Examination((OVERRIDE,), lambda: [override(app_settings.email_route(clock()))]),
        Examination((NIGHT,), lambda: [_night()]),
        LANES_EXAMINATION,
        Examination((DATABASE,), lambda: [_database()], silence_fails=True),
        Examination((QUEUE,), lambda: [_takes_work()], silence_fails=True),
        Examination((WORKER_LIFE, SCHEDULER_LIFE), lambda: diagnosis.life(vitals.silent_kinds(clock()))),
        Examination((ROUND_TRIP,), lambda: [judged(webhook_refusals.refused(clock()), _round_trip(), clock())]),
        Examination(SUBJECTS, _mail),
    ]


def _lanes() -> Check:
    resting = [(sender, code) for sender, code, _ in app_settings.resting_lanes(now_ms())]
    return diagnosis.lanes(app_settings.paused_lanes(), resting)


def _mode() -> Check:
    simulated = app_settings.is_simulated(app_settings.configuration())
    switches = app_settings.gateway().switches
    return diagnosis.mode(switches, simulated, app_settings.stopped_override(switches))


def _night() -> Check:
    hours = hours_of_night()
    return diagnosis.night(str(hours) if hours else "", app_settings.is_simulated(app_settings.configuration()))


def _takes_work() -> Check:
    trouble = vitals.queue_trouble()
    policy = None if trouble else queue.policy(settings().redis_url)
    return diagnosis.queue(trouble, policy or diagnosis.KEEPS_ALL)


def _database() -> Check:
    script = ScriptDirectory(current_app.extensions["migrate"].directory)
    try:
        with db.engine.connect() as connection:
            revisions = MigrationContext.configure(connection).get_current_heads()
            unlimited = without_limit(connection)
    except SQLAlchemyError as error:
        cause = database_cause(str(getattr(error, "orig", None) or type(error).__name__))
        return DATABASE.failing(cause.why, cause.fix)
    return diagnosis.database(revisions, script.get_heads(), unlimited)


def _round_trip() -> Check:
    tokens = app_settings.signing_tokens()
    if not tokens:
        return ROUND_TRIP.unknown("Without an AuthToken nothing can be signed.", "Set SmsGatewayAuthentication.")
    public_url = settings().public_url
    return round_trip(signed_call.knock(public_url, tokens[0]), public_url)


def _mail() -> list[Check]:
    found = settings()
    try:
        return mail(smtp_probe.knock(found.smtp_url, found.mail_from), host_of(found.mail_from))
    except ConfigError as error:
        wrong = SERVER.failing(str(error), "Correct it, then start every process again.")
        return [wrong, *(subject.unknown("There is no server to knock at.") for subject in SUBJECTS[1:])]
