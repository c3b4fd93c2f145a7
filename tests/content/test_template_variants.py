"""Variants: what a version of a template says in another language, with all or nothing of it."""

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.attribute_management import add_attribute
from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeKind
from portal.content import message_templates, template_drafts
from portal.content.message_templates import (
    DraftConflict,
    TemplateDraft,
    copy_of,
    data_fields,
    draft_of,
    preview_template,
    required_fields,
)
from portal.content.tables.saved_drafts import draft_saved_at_ms
from portal.content.tables.templates import Template, find_template_version
from portal.content.template_words import TemplateWords
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.operations.attribute_uses import attribute_uses

pytestmark = pytest.mark.usefixtures("app")
NOW = 1_767_225_600_000
SPANISH = TemplateWords("es", "Pague {{ data.fee }}", "Hola, {{ name }}")
DRAFT = TemplateDraft("fee", "Fee", "Pay {{ data.fee }}", "Hello {{ name }}", sms_enabled=True, variants=(SPANISH,))


@pytest.fixture
def template_id(app: Flask) -> int:
    return message_templates.create_template(DRAFT, None, NOW)


def template() -> Template:
    db.session.expire_all()
    return db.session.scalars(select(Template)).one()


def problems(variant: TemplateWords = SPANISH, **changes: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        message_templates.create_template(replace(DRAFT, **changes, variants=(variant,)), None, NOW)
    return refused.value.errors


def test_each_version_keeps_its_own_variants(template_id: int) -> None:
    newer = replace(DRAFT, variants=(SPANISH._replace(subject="Debe {{ data.fee }}"),))
    message_templates.save_template(template_id, newer, None, NOW)
    message_templates.save_template(template_id, replace(DRAFT, variants=()), None, NOW)
    drafts = [draft_of(find_template_version(template(), number)) for number in (1, 2, 3)]
    assert [draft.variants for draft in drafts] == [(SPANISH,), newer.variants, ()]
    message_templates.save_template(template_id, drafts[0], None, NOW, 3, restored_from=1)
    assert copy_of(template()).variants == (SPANISH,)


def test_blank_variant_is_none(template_id: int) -> None:
    blank = replace(DRAFT, variants=(TemplateWords("es", " \r\n", "\x00 \n"),))
    message_templates.save_template(template_id, blank, None, NOW)
    assert draft_of(find_template_version(template())).variants == ()


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"body": " "}, "body_es", "Enter the body in Spanish too, or empty the subject"),
        ({"subject": ""}, "subject_es", "Enter the subject in Spanish too, or empty the body"),
        ({"language": "fr"}, "languages", "The portal has no language “fr”. It has English and Spanish."),
        (
            {"body": "{{ data.room }} {{ data.fee }} {% if data.day %}{{ data.day }}{% endif %}"},
            "body_es",
            "The English words do not have data.room and data.day",
        ),
        ({"subject": "{{ data.day }}"}, "subject_es", "The English words do not have data.day"),
        ({"subject": "{{ nobody }}"}, "subject_es", "Line 1: there is no merge field “nobody”."),
        ({"subject": "x" * 251}, "subject_es", "Use 250 characters or fewer."),
        ({"body": "x" * 5_000_000}, "body_es", "Use 50,000 characters or fewer. You have used 5,000,000."),
        ({"body": "{% for i in (1..1000000000) %}x{% endfor %}"}, "body_es", "Line 1: the template does too much"),
        ({"subject": "Pague \u202eexe.gpj"}, "subject_es", "U+202E"),
        ({"subject": "Vea https://bit.ly/x"}, "subject_es", "Remove the link to bit.ly"),
    ],
)
def test_invalid_variant_is_refused_at_its_field(changes: dict[str, str], field: str, problem: str) -> None:
    errors = problems(SPANISH._replace(**changes))
    assert list(errors) == [field]
    assert problem in errors[field]
    assert db.session.query(Template).count() == 0


def test_own_language_has_no_variant() -> None:
    """The words of the template and of the variant would compete."""
    assert list(problems(SPANISH._replace(language="en"))) == ["languages"]


def test_fields_are_compared_only_with_valid_words() -> None:
    assert list(problems(SPANISH._replace(subject="{{ data.day }}"), body="{{ nobody }}")) == ["body"]


def test_line_breaks_cannot_add_an_email_header(template_id: int) -> None:
    variant = SPANISH._replace(subject="Pague {{ data.fee }}\r\nBcc: all@example.org")
    message_templates.save_template(template_id, replace(DRAFT, variants=(variant,)), None, NOW)
    assert find_template_version(template()).variants[0].subject == "Pague {{ data.fee }} Bcc: all@example.org"


def test_fields_that_a_language_lacks_are_a_warning() -> None:
    variant = SPANISH._replace(subject="Pague", body="Hola, {{ first_name }}")
    preview = preview_template(replace(DRAFT, variants=(variant,)))
    assert preview.missing_fields == {"en": ["first_name"], "es": ["name", "data.fee"]}
    assert preview.errors == {}
    assert preview_template(DRAFT).missing_fields == {}


def test_value_is_required_if_one_language_requires_it() -> None:
    optional = replace(DRAFT, subject="Pay {{ data.fee | default: 'soon' }}")
    assert (data_fields(optional), required_fields(optional)) == (("fee",), ("fee",))
    assert required_fields(replace(optional, variants=())) == ()


def test_preview_is_in_the_language_that_is_asked_for() -> None:
    spanish, other = preview_template(DRAFT, language="es"), preview_template(DRAFT, language="fr")
    assert (spanish.subject, spanish.text.strip(), spanish.language) == ("Pague [fee]", "Hola, Jordan Rivera", "es")
    assert spanish.sms
    assert ": Pague [fee] http" in spanish.sms.text
    assert (other.subject, other.language) == ("Pay [fee]", "en")


def test_draft_keeps_an_unfinished_variant(template_id: int) -> None:
    def save(variant: TemplateWords, saved_ms: int) -> None:
        template_drafts.save_draft(template_id, replace(DRAFT, variants=(variant,)), None, NOW, 1, saved_ms)

    unfinished = SPANISH._replace(subject="Pague {{ x", body="")
    save(unfinished, 0)
    saved_ms = draft_saved_at_ms(template_id)
    save(unfinished, 0)  # a double click
    assert draft_saved_at_ms(template_id) == saved_ms
    with pytest.raises(DraftConflict):
        save(SPANISH, 0)
    with pytest.raises(InvalidInput, match="50,000 characters"):
        save(SPANISH._replace(body="x" * 50_001), saved_ms)
    assert template_drafts.latest_content(template()).variants == (unfinished,)
    assert draft_of(find_template_version(template())).variants == (SPANISH,)


def test_attribute_in_a_variant_is_in_use(template_id: int) -> None:
    add_attribute(AttributeDefinition("region", "Region", AttributeKind.CHOICE, ("North", "South")), None, NOW)
    body = 'Hola{% if region == "North" %}, norte{% endif %}'
    draft = replace(DRAFT, variants=(SPANISH._replace(body=body),))
    message_templates.save_template(template_id, draft, None, NOW)
    template_drafts.save_draft(template_id, replace(draft, subject="Pay"), None, NOW, 1, 0)
    assert [use.kind for use in attribute_uses("region")] == ["template", "draft"]
    assert [use.kind for use in attribute_uses("region", "North")] == ["template", "draft"]
    assert attribute_uses("region", "South") == []


def test_variant_that_became_invalid_makes_the_template_unusable(template_id: int) -> None:
    find_template_version(template()).variants[0].subject = "{{ name | escape }}"
    db.session.commit()
    assert "there is no filter “escape”" in message_templates.unusable_templates()["fee"]
