"""Drafts of templates: saved without being used, published as a version, and never overwritten unseen."""

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.content import message_templates, template_drafts
from portal.content.message_templates import DraftConflict, TemplateDraft, draft_of
from portal.content.tables.saved_drafts import draft_saved_at_ms, find_draft
from portal.content.tables.templates import Template, find_template_version
from portal.core.errors import InvalidInput
from portal.core.extensions import db

pytestmark = pytest.mark.usefixtures("app")
NOW = 1_767_225_600_000
DRAFT = TemplateDraft("renewal", "Renewal", "Renew, {{ first_name }}", "Body", tags="Renewals")


@pytest.fixture
def template_id(app: Flask) -> int:
    return message_templates.create_template(DRAFT, None, NOW)


def template() -> Template:
    db.session.expire_all()
    return db.session.scalars(select(Template)).one()


def save(template_id: int, saved_ms: int = 0, at_ms: int = NOW, **changes: Any) -> int:
    """When the draft was saved."""
    template_drafts.save_draft(template_id, replace(DRAFT, **changes), None, at_ms, 1, saved_ms)
    return draft_saved_at_ms(template_id)


def test_saved_draft_changes_nothing_that_sends_use(template_id: int) -> None:
    save(template_id, subject="Unfinished {{ x", tags="Exams")
    assert draft_of(find_template_version(template())) == DRAFT
    assert template_drafts.latest_content(template()) == replace(DRAFT, subject="Unfinished {{ x", tags="Exams")


def test_draft_saved_by_somebody_else_is_not_overwritten(template_id: int) -> None:
    save(template_id, subject="One")
    with pytest.raises(DraftConflict):
        save(template_id, subject="Two")
    assert template_drafts.latest_content(template()).subject == "One"


def test_draft_of_a_later_edit_is_not_overwritten_at_the_same_millisecond(template_id: int) -> None:
    first = save(template_id, subject="One")
    save(template_id, first, subject="Two")
    with pytest.raises(DraftConflict):
        save(template_id, first, subject="Three")


def test_saving_the_same_draft_twice_changes_nothing(template_id: int) -> None:
    first = save(template_id, subject="One")
    assert save(template_id, 0, NOW + 5, subject="One") == first


def test_publishing_ends_the_draft(template_id: int) -> None:
    saved_ms = save(template_id, subject="Two")
    draft = template_drafts.latest_content(template())
    assert message_templates.save_template(template_id, draft, None, NOW, 1, draft_saved_ms=saved_ms) == 2
    assert find_draft(template_id) is None
    assert find_template_version(template()).subject == "Two"


def test_publishing_an_outdated_draft_is_refused(template_id: int) -> None:
    first = save(template_id, subject="Two")
    save(template_id, first, NOW + 1, subject="Three")
    with pytest.raises(DraftConflict):
        message_templates.save_template(template_id, DRAFT, None, NOW, 1, draft_saved_ms=first)
    assert template().current_version == 1


def test_version_saved_without_the_draft_keeps_it(template_id: int) -> None:
    save(template_id, subject="Two")
    message_templates.save_template(template_id, replace(DRAFT, body="Other"), None, NOW, 1)
    draft = find_draft(template_id)
    assert draft
    assert (draft.subject, draft.base_version, template().current_version) == ("Two", 1, 2)


def test_discarded_draft_shows_the_published_version_again(template_id: int) -> None:
    saved_ms = save(template_id, subject="Two")
    template_drafts.discard_draft(template_id, None, NOW, saved_ms)
    assert template_drafts.latest_content(template()) == DRAFT


def test_draft_changed_meanwhile_is_not_discarded(template_id: int) -> None:
    save(template_id, subject="Two")
    with pytest.raises(DraftConflict):
        template_drafts.discard_draft(template_id, None, NOW, NOW - 1)


@pytest.mark.parametrize(
    ("field", "text"), [("body", "x" * 50_001), ("subject", "x" * 251), ("name", "x" * 121), ("tags", "x" * 41)]
)
def test_draft_that_is_too_long_is_refused_at_its_field(template_id: int, field: str, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        save(template_id, 0, NOW, **{field: text})
    assert list(refused.value.errors) == [field]


def test_tags_are_kept_with_the_template(template_id: int) -> None:
    assert template().tags == ["Renewals"]
    message_templates.save_template(template_id, replace(DRAFT, tags="Exams, exams, Fees"), None, NOW)
    assert template().tags == ["Exams", "Fees"]


def test_subject_that_overrides_the_reading_direction_is_refused(template_id: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        message_templates.save_template(template_id, replace(DRAFT, subject="Pay \u202eexe.gpj"), None, NOW)
    assert "U+202E" in refused.value.errors["subject"]
