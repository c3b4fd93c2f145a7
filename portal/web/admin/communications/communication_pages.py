"""Administration → communications: search everything that was sent, and show the delivery history of each."""

from dataclasses import replace

from flask import Blueprint, Response, abort, make_response, render_template
from flask.typing import ResponseReturnValue

from portal.accounts.account_language import recipient_language
from portal.content.email_rendering import body_language, email_look
from portal.content.rules import markdown
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.translation import use_language
from portal.messages.tables.communications import Communication
from portal.messages.timeline import mask_destination
from portal.records.communication_details import MODE_LABELS, charge_of, communication_details
from portal.records.content_visibility import hidden_content
from portal.records.sending_again import sends_of_communication
from portal.web.access import allow
from portal.web.admin.communications import search_pages
from portal.web.delivery_labels import build_timeline, is_final
from portal.web.layout import is_sms_visible
from portal.web.organisation_files import page_organisation
from portal.web.polling import poll_interval_seconds
from portal.web.security_headers import EMAIL_PREVIEW_POLICY

pages = Blueprint("admin_communications", __name__, url_prefix="/Admin/Communications")


@pages.get("")
@allow("admin")
def listing() -> ResponseReturnValue:
    return search_pages.render_list()


@pages.get("/<id:communication_id>")
@allow("admin")
def show(communication_id: int) -> str:
    communication = _communication(communication_id)
    details = communication_details(communication, is_sms_visible())
    text = _email_part("email/notification.txt", communication, body_text=markdown.to_text(communication.body))
    return _render(
        "admin/communications/one.html",
        communication,
        details=details,
        email_text=text,
        sent_again=sends_of_communication(communication.id),
        mode_labels=MODE_LABELS,
        charge_of=charge_of,
        mask_destination=mask_destination,
    )


@pages.get("/<id:communication_id>/story")
@allow("admin")
def timeline(communication_id: int) -> str:
    return _render("admin/communications/_delivery_history.html", _communication(communication_id))


@pages.get("/<id:communication_id>/email")
@allow("admin")
def email(communication_id: int) -> Response:
    """The email for an iframe, with a content security policy that allows only its styles."""
    communication = _communication(communication_id)
    if hidden_content(communication):
        abort(404)
    page = make_response(
        _email_part("email/notification.html", communication, body_html=markdown.to_html(communication.body))
    )
    page.headers["Content-Security-Policy"] = EMAIL_PREVIEW_POLICY
    return page


def _email_part(template: str, communication: Communication, **body: str) -> str:
    """As the recipient reads it, but without the link’s token, which is the recipient’s own."""
    with use_language(recipient_language(communication.account.language)):
        return render_template(
            template,
            subject=communication.subject,
            body_language=body_language(communication),
            portal_link=f"{settings().public_url}/c/…",
            organisation=page_organisation().name,
            look=email_look(replace(page_organisation(), logo=None)),  # the policy of the frame forbids images
            **body,
        )


def _communication(communication_id: int) -> Communication:
    return db.session.get(Communication, communication_id) or abort(404)


def _render(template: str, communication: Communication, **values: object) -> str:
    age_ms = now_ms() - communication.created_at_ms
    return render_template(
        template,
        communication=communication,
        hidden_content=hidden_content(communication),
        timeline=build_timeline(communication),
        poll_seconds=None if is_final(communication) else poll_interval_seconds(age_ms),
        **values,
    )
