"""Preview a template for a real person, and find the person with the longest text."""

from collections.abc import Sequence
from typing import Any

from portal.accounts.tables.accounts import Recipient
from portal.accounts.tables.attributes import with_attributes
from portal.content import message_templates
from portal.content.message_templates import (
    TemplateDraft,
    TemplatePreview,
    attribute_fields,
    clean_draft,
    data_fields,
)
from portal.content.rules import merge_fields
from portal.content.rules.merge_fields import MergeError
from portal.content.template_words import TemplateWords, fill_in_subject, words_for
from portal.sends.send_values import recipient_values
from portal.sends.tables.past_recipients import past_recipients, sample_people

PEOPLE_SAMPLE_SIZE = 300
"""The subjects of at most this many people are compared."""


def preview_for(draft: TemplateDraft, recipient: Recipient | None, language: str = "") -> TemplatePreview:
    """For a sample person without a `recipient`. Values of `data.…` are samples in both cases.

    In the language that the recipient has chosen, or the given one.
    """
    if recipient is None:
        return message_templates.preview_template(draft, language=language)
    (values,) = _account_values(draft, [recipient])
    return message_templates.preview_template(draft, values, language or recipient.language)


def people_of(template_id: int | None, limit: int) -> list[Recipient]:
    """Those who got the template last; if nobody has, a sample of everybody."""
    return (past_recipients(template_id, limit) if template_id else []) or sample_people(limit)[:limit]


def recipient_with_longest_subject(draft: TemplateDraft, template_id: int | None) -> Recipient | None:
    """None if the subject can be filled in for nobody."""
    people = people_of(template_id, PEOPLE_SAMPLE_SIZE)
    subjects = rendered_subjects(draft, people)
    filled = [(len(subject), recipient) for subject, recipient in zip(subjects, people, strict=True) if subject]
    return max(filled, key=lambda pair: pair[0])[1] if filled else None


def rendered_subjects(draft: TemplateDraft, recipients: Sequence[Recipient]) -> list[str | None]:
    """None where it cannot be filled in."""
    draft = clean_draft(draft)
    data = merge_fields.sample_data(data_fields(draft))
    return [
        _filled_subject(words_for(draft.all_words, recipient.language), {**values, "data": data})
        for recipient, values in zip(recipients, _account_values(draft, recipients), strict=True)
    ]


def _account_values(draft: TemplateDraft, recipients: Sequence[Recipient]) -> list[dict[str, Any]]:
    """The merge fields of each recipient's account, with the attributes that the draft names."""
    return [recipient_values(recipient, {}) for recipient in with_attributes(recipients, attribute_fields(draft))]


def _filled_subject(words: TemplateWords, values: dict[str, Any]) -> str | None:
    try:
        return fill_in_subject(words, values)
    except MergeError:
        return None
