"""Build the email of a communication: plain text and HTML, with a link to the copy in the portal."""

from functools import lru_cache

import css_inline
from flask import render_template

from portal.content.links import communication_url
from portal.content.rules import markdown
from portal.core.context import settings
from portal.gateways.rules.email_message import OutgoingEmail
from portal.gateways.smtp import sender_domain
from portal.messages.tables.communications import Communication, Delivery


def build_mail(delivery: Delivery, sent_to: str = "") -> OutgoingEmail:
    """`sent_to` replaces the recipient's own address while the email override is on."""
    communication = delivery.communication
    html = _render_part("email/notification.html", communication, body_html=markdown.to_html(communication.body))
    return OutgoingEmail(
        to=sent_to or delivery.address,
        recipient_name=communication.account.name,
        subject=communication.subject,
        text=_render_part("email/notification.txt", communication, body_text=markdown.to_text(communication.body)),
        html=_inliner().inline(html),
        message_id=f"<{delivery.id}.{communication.token}@{sender_domain(settings().mail_from)}>",
    )


def _render_part(name: str, communication: Communication, **body: str) -> str:
    return render_template(
        name,
        subject=communication.subject,
        portal_link=communication_url(communication.token),
        organisation=settings().organisation,
        **body,
    )


@lru_cache(maxsize=1)
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(load_remote_stylesheets=False)
