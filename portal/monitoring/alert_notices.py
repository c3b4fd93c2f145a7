"""Tell system administrators and the webhook about alerts; what fails is tried again (ADR 47)."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from html import escape

import structlog

from portal.accounts.account_language import recipient_language
from portal.accounts.tables.accounts import Account
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.organisation import current_organisation
from portal.core.transaction import transaction
from portal.core.translation import N_, use_language
from portal.core.translation import gettext as _
from portal.delivery.rules.backoff import backoff_ms
from portal.gateways.alert_webhook import post_alert
from portal.gateways.outcomes import Accepted
from portal.gateways.rules.email_message import OutgoingEmail
from portal.gateways.smtp import send_mail, sender_domain
from portal.monitoring.rules.alert_kinds import AlertText, describe_alert
from portal.monitoring.tables import alerts
from portal.monitoring.tables.alerts import EMAIL, STARTED, Alert, AlertNotice
from portal.settings.app_settings import configuration, email_route
from portal.settings.rules.webhook_setting import WEBHOOK, is_permitted_url

_RETRY_SECONDS = (60, 300, 900, 3_600, 14_400)
MAX_ATTEMPTS = 12
"""The last after about a day and a half."""
_BATCH_SIZE = 50
_NO_WEBHOOK = N_("No webhook is set.")
_NO_ADDRESS = N_("The account is no longer an active system administrator, or the email override has no address.")
_NOT_ACCEPTED = N_("The mail server did not accept the email.")
_log = structlog.get_logger(__name__)


def send_due_notices(clock: Callable[[], int]) -> None:
    """Each is claimed before it is sent, so that of two schedulers one sends it.

    The claim compares with what was read here: a row that were read again would hide that another process has it.
    """
    notices = alerts.due_notices(clock(), _BATCH_SIZE)
    db.session.expunge_all()
    for notice in notices:
        attempts, now_ms = notice.attempts + 1, clock()
        retry_ms = None if attempts >= MAX_ATTEMPTS else now_ms + backoff_ms(_RETRY_SECONDS, attempts)
        with transaction():
            is_claimed = alerts.claim_notice(notice, retry_ms)
        if is_claimed:
            _send(notice, clock)


def _send(notice: AlertNotice, clock: Callable[[], int]) -> None:
    alert = db.session.get_one(Alert, notice.alert_id)
    problem = _send_email(notice, alert, clock()) if notice.route == EMAIL else _call_webhook(notice, alert, clock())
    with transaction():
        alerts.record_notice(notice, None if problem else clock(), problem)
    _log.info("alert notice sent" if not problem else "alert notice failed", alert=notice.alert_id, route=notice.route)


def _send_email(notice: AlertNotice, alert: Alert, now_ms: int) -> str:
    """Why it was not sent; "" if it was."""
    account, route = db.session.get(Account, notice.account_id), email_route(now_ms)
    if account is None or not account.active or account.role != "sysadmin" or route.has_no_destination:
        return _NO_ADDRESS
    with use_language(recipient_language(account.language)):
        mail = _build_mail(notice, alert, route.destination_for(account.email), account.name)
    db.session.rollback()
    outcome = send_mail(settings().smtp_url, settings().mail_from, mail)
    return "" if isinstance(outcome, Accepted) else _NOT_ACCEPTED


def _build_mail(notice: AlertNotice, alert: Alert, to: str, name: str) -> OutgoingEmail:
    described = describe_alert(alert.kind, alert.subject)
    has_started, url = notice.event == STARTED, _page_url()
    title = described.title if has_started else _("Over: %(title)s", title=described.title)
    lines = [title, *_mail_lines(alert, described, has_started)]
    link = '<a href="{}">{}</a>'.format(escape(url), escape(_("Open the alerts")))
    return OutgoingEmail(
        to=to,
        recipient_name=name,
        subject=f"[{current_organisation().name}] {title}",
        text="\n\n".join([*lines, url]) + "\n",
        html="".join(f"<p>{line}</p>" for line in [*map(escape, lines), link]),
        message_id=f"<{_notice_id(notice)}@{sender_domain(settings().mail_from)}>",
    )


def _mail_lines(alert: Alert, described: AlertText, has_started: bool) -> list[str]:
    since = _("Since %(time)s.", time=_utc(alert.started_at_ms))
    if has_started:
        return [since, described.meaning, described.advice]
    return [_("From %(start)s to %(end)s.", start=_utc(alert.started_at_ms), end=_utc(alert.ended_at_ms or 0))]


def _call_webhook(notice: AlertNotice, alert: Alert, now_ms: int) -> str:
    webhook = configuration(WEBHOOK).json_object(WEBHOOK)
    url, secret = str(webhook.get("Url", "")), str(webhook.get("Secret", ""))
    body = json.dumps(webhook_body(notice, alert)).encode()
    db.session.rollback()
    if not secret or not is_permitted_url(url):
        return _NO_WEBHOOK
    problem, status = post_alert(url, secret, body, now_ms, settings().webhook_hosts)
    return problem.replace("%(status)s", str(status))


def webhook_body(notice: AlertNotice, alert: Alert) -> dict[str, str | None]:
    """Without phone numbers, addresses or secrets. `id` is the same for each attempt."""
    described = describe_alert(alert.kind, alert.subject)
    return {
        "id": _notice_id(notice),
        "event": notice.event,
        "kind": alert.kind,
        "subject": alert.subject,
        "title": described.title,
        "meaning": described.meaning,
        "advice": described.advice,
        "started_at": _utc(alert.started_at_ms),
        "ended_at": _utc(alert.ended_at_ms) if alert.ended_at_ms else None,
        "page": _page_url(),
    }


def _notice_id(notice: AlertNotice) -> str:
    account = f"-{notice.account_id}" if notice.account_id else ""
    return f"alert-{notice.alert_id}-{notice.event}{account}"


def _page_url() -> str:
    return f"{settings().public_url}/SysAdmin/Alerts"


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
