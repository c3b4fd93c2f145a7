"""Build the email of a communication: plain text and HTML, with a link to the copy in the portal."""

from dataclasses import dataclass
from functools import lru_cache

import css_inline
from flask import render_template

from portal.accounts.account_language import recipient_language
from portal.content.links import communication_url, logo_url
from portal.content.rules import markdown
from portal.content.template_words import OWN_LANGUAGE
from portal.core.context import settings
from portal.core.organisation import Organisation, current_organisation
from portal.core.translation import use_language
from portal.gateways.rules.email_message import OutgoingEmail
from portal.gateways.smtp import sender_domain
from portal.messages.tables.communications import Communication, Delivery
from portal.settings.rules.logo_image import fit_size

_DEFAULT_ACCENT = "#01588a"
_LOGO_WIDTH, _LOGO_HEIGHT = 240, 56


@dataclass(frozen=True)
class EmailLook:
    """What the frame of an email takes from the organisation. Some mail programs heed a size only as attributes."""

    accent: str
    logo_url: str = ""
    logo_width: int = 0
    logo_height: int = 0


def email_look(organisation: Organisation) -> EmailLook:
    accent, logo = organisation.accent_color or _DEFAULT_ACCENT, organisation.logo
    if logo is None:
        return EmailLook(accent)
    return EmailLook(accent, logo_url(logo.digest), *fit_size(logo.width, logo.height, _LOGO_WIDTH, _LOGO_HEIGHT))


def body_language(communication: Communication) -> str:
    """Of what a template says, which may differ from that of the frame around it; "" if it is the same."""
    return communication.language or (OWN_LANGUAGE if communication.send_id else "")


def build_mail(delivery: Delivery, sent_to: str = "") -> OutgoingEmail:
    """`sent_to` replaces the recipient's own address while the email override is on."""
    communication, organisation = delivery.communication, current_organisation()
    html_body, text_body = markdown.to_html(communication.body), markdown.to_text(communication.body)
    with use_language(recipient_language(communication.account.language)):
        html = _render_part("email/notification.html", communication, organisation, body_html=html_body)
        text = _render_part("email/notification.txt", communication, organisation, body_text=text_body)
    return OutgoingEmail(
        to=sent_to or delivery.address,
        recipient_name=communication.account.name,
        subject=communication.subject,
        text=text,
        html=_inliner().inline(html),
        message_id=f"<{delivery.id}.{communication.token}@{sender_domain(settings().mail_from)}>",
    )


def _render_part(name: str, communication: Communication, organisation: Organisation, **body: str) -> str:
    return render_template(
        name,
        subject=communication.subject,
        portal_link=communication_url(communication.token),
        organisation=organisation.name,
        look=email_look(organisation),
        body_language=body_language(communication),
        **body,
    )


@lru_cache(maxsize=1)
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(load_remote_stylesheets=False)
