"""What the texts of a template version would take and cost for real people."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from portal.accounts.tables.accounts import Recipient
from portal.content.message_templates import TemplateDraft, sample_link
from portal.content.rules.text_rules import notification_text
from portal.content.text_content import organisation_names
from portal.core.rules.limits.quiet_hours import no_quiet_hours
from portal.sends.authoring.template_preview import rendered_subjects
from portal.sends.send_preview import RoutingQuery, decide_recipients
from portal.settings import app_settings

COMPARED_RECIPIENTS = 100


@dataclass(frozen=True)
class TextTotals:
    """Of those who would get a text. `failed` cannot be filled in; `price` is None if no price is set."""

    texts: int
    segments: int
    shortened: int
    ucs2: int
    failed: int
    price: Decimal | None


def text_totals(draft: TemplateDraft, recipients: Sequence[Recipient], price: Decimal | None) -> TextTotals:
    """`price` is that of a segment."""
    switches = app_settings.resolve_current_gateway().switches
    query = RoutingQuery(switches, draft.sms_enabled, no_quiet_hours, None)
    texted = [recipient for recipient, decision in decide_recipients(recipients, query) if decision.will_send]
    subjects = rendered_subjects(draft, texted)
    link, names = sample_link(), organisation_names()
    texts = [notification_text(subject, link, names) for subject in subjects if subject]
    segments = sum(text.size.segments for text in texts)
    return TextTotals(
        texts=len(texts),
        segments=segments,
        shortened=sum(text.is_shortened for text in texts),
        ucs2=sum(text.size.encoding == "UCS-2" for text in texts),
        failed=len(subjects) - len(texts),
        price=None if price is None else price * segments,
    )
