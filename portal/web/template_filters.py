"""Template filters: times, numbers, phone numbers, Markdown."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from babel.numbers import format_currency
from flask import Flask
from markupsafe import Markup

from portal.accounts.rules.account_fields import ACCOUNT_FIELDS
from portal.content.email_rendering import body_language
from portal.content.message_templates import required_fields
from portal.content.rules import markdown, merge_fields
from portal.content.tables.templates import TemplateVersion
from portal.content.template_words import language_label
from portal.core.context import settings
from portal.core.rules import phone
from portal.core.rules.routing import Reason
from portal.core.translation import format_number
from portal.core.translation import gettext as _
from portal.sends import file_audience
from portal.sends.rules import audience_conditions
from portal.sends.tables.condition_queries import condition_fields
from portal.sends.tables.recipient_files import RecipientFile
from portal.sends.tables.saved_audiences import saved_audience_name
from portal.web.time_display import (
    clock_time,
    current_locale,
    day_name,
    local_clock_time,
    month_name,
    precise_time,
    relative_time,
    since_time,
)


def init_app(app: Flask) -> None:
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters |= {
        "relative_time": relative_time,
        "since_time": since_time,
        "precise_time": precise_time,
        "clock_time": clock_time,
        "local_clock_time": local_clock_time,
        "day_name": day_name,
        "month_name": month_name,
        "intcomma": format_number,
        "display_phone": display_phone,
        "international_phone": international_phone,
        "masked_phone": phone.mask_phone,
        "body_html": body_html,
        "body_language": body_language,
        "reason_label": reason_label,
        "html_attributes": html_attributes,
        "initials": initials,
        "send_subject": send_subject,
        "describe_conditions": describe_conditions,
        "saved_audience_name": saved_audience_name,
        "recipient_file": recipient_file,
        "dollars": format_dollars,
        "charge": format_charge,
        "language_label": language_label,
        "describe_languages": describe_languages,
    }


def format_dollars(amount: Decimal) -> str:
    """“$2.38”, as the viewer's language writes US dollars."""
    return format_currency(amount, "USD", locale=current_locale())


def format_charge(amount: Decimal, unit: str) -> str:
    """“$0.0079”: a provider charges fractions of a cent."""
    return format_currency(amount, unit, format="¤#,##0.00###", currency_digits=False, locale=current_locale())


def describe_languages(version: TemplateVersion) -> str:
    """“English only”, “English, Spanish”; where languages are written small, the first is not."""
    labels = [language_label(words.language) for words in version.all_words]
    text = ", ".join(labels) if len(labels) > 1 else _("%(language)s only", language=labels[0])
    return text[:1].upper() + text[1:]


def initials(name: str) -> str:
    """“RE” for Robin Ellery."""
    words = name.split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


def international_phone(value: str) -> str:
    """Format a number with its country code in every region, for people who check every digit."""
    return phone.format_phone(value, "")


def html_attributes(attributes: Mapping[str, Any]) -> Markup:
    """Render True as a bare name; leave out False and None, because `required="False"` would mean required."""
    return Markup(" ").join(
        Markup("{}").format(name) if value is True else Markup('{}="{}"').format(name, value)
        for name, value in attributes.items()
        if value is not False and value is not None
    )


def display_phone(value: str) -> str:
    return phone.format_phone(value, settings().region)


def body_html(source: str) -> Markup:
    """Markdown as HTML."""
    return Markup(markdown.to_html(source))  # noqa: S704  sanitised by to_html


def reason_label(reason: str) -> str:
    return _(Reason(reason).label) if reason in list(Reason) else _(reason)


def recipient_file(audience: Mapping[str, Any]) -> RecipientFile | None:
    """The file that an audience is, if it is one."""
    return file_audience.file_of(audience)


def send_subject(version: TemplateVersion, data: Mapping[str, str]) -> str:
    """Return the subject with the send's data, and placeholders such as [full name] for what differs by recipient.

    If it cannot be rendered, return it as written in the template.
    """
    values = merge_fields.as_samples({name: f"[{_(label).lower()}]" for name, label in ACCOUNT_FIELDS.items()})
    try:
        attributes = merge_fields.attribute_names(version.subject)
        values |= merge_fields.as_samples({key: f"[{key.replace('_', ' ')}]" for key in attributes})
        # A value that no message can do without is blank only if a recipient file has it for each person.
        from_file = tuple(name for name in required_fields(version.own_words) if not data.get(name))
        values_of_data = {**data, **merge_fields.sample_data(from_file)}
        return merge_fields.render_subject(version.subject, {**values, "data": values_of_data})
    except merge_fields.MergeError:
        return version.subject


def describe_conditions(audience: Mapping[str, Any]) -> list[str]:
    return audience_conditions.describe_conditions(audience, condition_fields())
