"""Send the draft of a template to its author: by email, and by text if the author gets texts."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.accounts.tables.accounts import Recipient
from portal.content.links import communication_url, link_tokens_of
from portal.content.message_templates import TemplateDraft, TemplatePreview
from portal.content.rules.markdown_literals import mark_literal
from portal.content.rules.text_rules import notification_text
from portal.content.template_words import OWN_LANGUAGE, language_label, word_field
from portal.content.text_content import organisation_names
from portal.core.audit_log import record_audit_entry
from portal.core.context import settings
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules.limits.quiet_hours import no_quiet_hours
from portal.core.rules.routing import RoutingDecision, TextKind
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.gateways import queue
from portal.messages.tables.communications import Communication, Delivery, urgent_delivery
from portal.sends.authoring.template_preview import preview_for
from portal.sends.send_preview import RoutingQuery, decide_recipients
from portal.sends.tables.past_recipients import find_recipient
from portal.settings import app_settings


@dataclass(frozen=True)
class SentDraft:
    communication_id: int
    routing: RoutingDecision


def send_draft(
    draft: TemplateDraft, author_id: int, now_ms: int, request_key: str, language: str = OWN_LANGUAGE
) -> SentDraft:
    """What the draft says in a language. Repeating a `request_key` sends nothing again. Raises `InvalidInput`."""
    author = find_recipient(author_id)
    if author is None:
        raise ActionRefused(_("Your account is not active."))
    preview = preview_for(draft, author, language)
    if errors := preview.errors or _missing_variant(preview, language):
        raise InvalidInput(errors)
    decision, tokens = _decide(draft, author), link_tokens_of(request_key)
    if existing := _find(tokens):
        return SentDraft(existing, decision)
    try:
        communication_id = _create(draft, preview, author, decision, tokens[0], now_ms)
    except IntegrityError:  # the same request, committed in the meantime
        return SentDraft(_find(tokens) or 0, decision)
    for job in ("drain_email", "drain_sms"):
        queue.enqueue(settings().redis_url, job)
    return SentDraft(communication_id, decision)


def _decide(draft: TemplateDraft, author: Recipient) -> RoutingDecision:
    """At any hour, since the author asks for it now."""
    switches = app_settings.resolve_current_gateway().switches
    query = RoutingQuery(switches, draft.sms_enabled, no_quiet_hours, None)
    return next(decision for _recipient, decision in decide_recipients([author], query))


def _missing_variant(preview: TemplatePreview, language: str) -> dict[str, str]:
    if preview.language == language:
        return {}
    message = _("Enter the subject and the body in %(language)s first.", language=language_label(language))
    return {word_field("subject", language): message}


def _find(tokens: list[str]) -> int | None:
    return db.session.scalar(select(Communication.id).where(Communication.token.in_(tokens)))


def _create(
    draft: TemplateDraft,
    preview: TemplatePreview,
    author: Recipient,
    decision: RoutingDecision,
    token: str,
    now_ms: int,
) -> int:
    subject = _("[Test] %(subject)s", subject=preview.subject)
    notice = _("*A test of the draft of “%(name)s”. Nobody else got it.*", name=mark_literal(draft.name))
    communication = Communication(
        account_id=author.id,
        kind=TextKind.NOTIFICATION,
        subject=subject,
        body=f"{notice}\n\n{preview.body}",
        language=preview.language,
        token=token,
        created_at_ms=now_ms,
        read_at_ms=now_ms,
        is_only_marked_read=True,
        deliveries=[urgent_delivery("email", author.email, now_ms), _text_delivery(subject, decision, token, now_ms)],
    )
    with transaction() as session:
        session.add(communication)
        session.flush()
        communication_id, key = communication.id, f"template {draft.key}"
        record_audit_entry("template_draft_sent", key, author.id, now_ms, communication=communication_id)
    return communication_id


def _text_delivery(subject: str, decision: RoutingDecision, token: str, now_ms: int) -> Delivery:
    if not decision.will_send:
        return urgent_delivery("sms", decision.phone, now_ms, decision.reason)
    text = notification_text(subject, communication_url(token), organisation_names())
    return urgent_delivery("sms", decision.phone, now_ms, body=text.text, segments=text.size.segments)
