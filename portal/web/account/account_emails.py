"""Emails about an account itself, such as links to a new password. They are no communications, and are kept nowhere."""

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import make_msgid
from typing import Any

import structlog
from flask import Flask, Response, after_this_request, current_app

from portal.accounts.account_language import recipient_language
from portal.accounts.tables.accounts import Account
from portal.content.email_rendering import email_look
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.organisation import current_organisation
from portal.core.translation import N_, use_language
from portal.core.translation import gettext as _
from portal.gateways.outcomes import Outcome
from portal.gateways.rules.email_message import OutgoingEmail
from portal.gateways.smtp import send_mail, sender_domain

PASSWORD_CHANGED = N_("Your password was changed")
"""A subject."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class EmailRecipient:
    """Whom an email is to, in the language of the account. Kept for after the response, when the account is gone."""

    email: str
    name: str
    language: str


def recipient_of(account: Account) -> EmailRecipient:
    return EmailRecipient(account.email, account.name, account.language)


def send_account_email(template: str, recipient: EmailRecipient, subject: str, **context: Any) -> Outcome:
    """`subject` is a message (`N_`)."""
    config = settings()
    with use_language(recipient_language(recipient.language)):
        message = _build_email(template, recipient, _(subject), context)
    outcome = send_mail(config.smtp_url, config.mail_from, message)
    _log.info("account email sent", template=template, outcome=type(outcome).__name__)
    return outcome


def _build_email(template: str, recipient: EmailRecipient, subject: str, context: dict[str, Any]) -> OutgoingEmail:
    organisation = current_organisation()
    context |= {
        "recipient_name": recipient.name,
        "organisation": organisation.name,
        "look": email_look(organisation),
        "forgot_password_url": public_address("security.forgot_password"),
    }
    # not `render_template`, whose context processors look at the visitor
    files = (current_app.jinja_env.get_template(f"security/email/{template}.{kind}") for kind in ("txt", "html"))
    text, html = (file.render(context) for file in files)
    message_id = make_msgid(domain=sender_domain(settings().mail_from))
    return OutgoingEmail(recipient.email, recipient.name, subject, text, html, message_id)


def run_after_response(task: Callable[[], object]) -> None:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]

    def run() -> None:
        with app.app_context():
            try:
                task()
            except Exception:
                _log.exception("after-response task failed")
            finally:
                db.session.remove()

    @after_this_request
    def _afterwards(response: Response) -> Response:
        response.call_on_close(run)
        return response


def public_address(endpoint: str, **values: str) -> str:
    """Uses the configured public address: an attacker could forge the Host header to steal a reset link."""
    return settings().public_url + current_app.url_map.bind("portal").build(endpoint, values)
